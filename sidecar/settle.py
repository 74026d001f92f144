"""Settling: what becomes of an exchange is said once, in the traffic, in the batch of rows and in the books.

Promises: an exchange's books are written last, so that a fault before leaves it to be counted as such
(`Channel`); one that was decoded stands in the books when its rows are in the profiles, not before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from msgspec.structs import replace

from exporter.schema import Configuration
from exporter.traffic import FailureReason, Traffic
from sidecar.books import Books
from sidecar.decode import (
    Decoded,
    Failed,
    Ignored,
    Outcome,
    Routes,
    Undecodable,
    Unobservable,
    decode,
    decode_heads,
    decode_message,
    failure_of,
    finish,
)
from sidecar.decode.batch import Batcher
from sidecar.decode.stream import Inference
from sidecar.exchange import Exchange, Message


class Settler:
    """Decodes exchanges and messages and says what became of them.

    *full* is called when the batch is due; it calls `settled` once its rows are in the profiles.
    """

    def __init__(
        self,
        configuration: Configuration,
        routes: Routes,
        traffic: Traffic,
        batcher: Batcher,
        line: tuple[float, float],
        full: Callable[[], None],
    ) -> None:
        self._limits = configuration.limits
        self._routes = routes
        self._traffic = traffic
        self._batcher = batcher
        self.line = line
        """Intercept and slope of Unix seconds over the tap's nanoseconds (`sidecar.clock.Clock.line`)."""
        self._full = full
        self._pending: Counter[Books] = Counter()
        """Exchanges in the batch that is being filled, by the books in which they will be recorded."""

    @property
    def pending(self) -> bool:
        """Whether exchanges wait for their batch, or rows of streams that are under way."""
        return bool(self._pending) or self._batcher.pending_rows > 0

    def settled(self, *, whole: bool = True) -> None:
        """The batch is in the profiles; unless *whole*, some column of it is not.

        Which exchanges that column's values came from is not known any more, so all count as lost: a share
        told too small is looked into, one told too large is believed.
        """
        pending, self._pending = self._pending, Counter()
        for books, count in pending.items():
            if whole:
                books.recorded(count)
            else:
                books.dropped("fault", count)

    def exchange(
        self, exchange: Exchange, heads_only: bool, books: Books, routes: Routes | None = None
    ) -> None:
        """Settle *exchange* in *books*; of *routes*, when it did not come by a path of its own server."""
        if exchange.streamed:
            self._stream(exchange, heads_only, books)
            return
        routes = routes or self._routes
        if heads_only:
            self._traffic_of(exchange, decode_heads(exchange, self._limits, routes))
            books.sampled_out()
            return
        outcome = decode(exchange, self._limits, routes)
        if type(outcome) is Decoded:
            self._count(exchange, outcome.model, outcome.version, None)
            if outcome.tokens is not None:
                self._traffic.add_tokens(outcome.model, outcome.version, exchange.protocol, outcome.tokens)
            due = self._add(outcome, exchange.started)
            self._pending[books] += 1
            if due:
                self._full()
            return
        self._traffic_of(exchange, outcome)
        _write(books, outcome)

    def message(self, message: Message) -> None:
        """A message of a stream under way: its inferences are traffic and rows at once."""
        if not message.exchange.heads_only:
            for inference in decode_message(message, self._limits):
                self._inference(inference)

    def _stream(self, exchange: Exchange, heads_only: bool, books: Books) -> None:
        """A stream has ended."""
        outcome, inferences = finish(exchange)
        for inference in inferences:
            self._inference(inference)
        if heads_only:
            books.sampled_out()
        elif isinstance(outcome, Decoded):
            self._pending[books] += 1
        else:
            _write(books, outcome)

    def _inference(self, inference: Inference) -> None:
        outcome = inference.outcome
        if inference.finished and not isinstance(outcome, Ignored):
            self._traffic.add(
                outcome.model,
                outcome.version,
                "grpc",
                (inference.ended - inference.started) * 1e-9,
                inference.request_bytes,
                inference.response_bytes,
                outcome.reason if isinstance(outcome, Failed) else None,
            )
        elif isinstance(outcome, Decoded):  # an answer names its model, though more are to come
            self._traffic.name(outcome.model, outcome.version, succeeded=True)
        if (
            isinstance(outcome, Decoded)
            and (outcome.inputs or outcome.outputs)
            and self._add(outcome, inference.started)
        ):
            self._full()

    def _add(self, outcome: Decoded, nanoseconds: int) -> bool:
        """Put rows into the batch, under the version that the traffic has for them; True when it is due."""
        if not outcome.version:
            model, version = self._traffic.name(outcome.model, "", succeeded=True)
            if model == outcome.model:
                outcome = replace(outcome, version=version)
        return self._batcher.add(outcome, self.line[0] + self.line[1] * nanoseconds)

    def _traffic_of(self, exchange: Exchange, outcome: Outcome) -> None:
        if isinstance(outcome, Failed):
            self._count(exchange, outcome.model, outcome.version, outcome.reason)
        elif not isinstance(outcome, Ignored):
            self._count(exchange, outcome.model, outcome.version, None)
        elif outcome.reason == "unknown_dialect":
            self._count(exchange, "", "", failure_of(exchange))

    def _count(self, exchange: Exchange, model: str, version: str, failure: FailureReason | None) -> None:
        self._traffic.add(
            model,
            version,
            exchange.protocol,
            (exchange.ended - exchange.started) * 1e-9,
            exchange.request_bytes,
            exchange.response_bytes,
            failure,
        )


def _write(books: Books, outcome: Outcome) -> None:
    """Put what is not recorded into *books*."""
    if isinstance(outcome, Failed):
        books.ignored("failed")
    elif isinstance(outcome, Undecodable):
        books.undecodable(outcome.reason)
    elif isinstance(outcome, Unobservable):
        books.unobservable(outcome.reason)
    elif isinstance(outcome, Ignored):
        books.ignored(outcome.reason)
