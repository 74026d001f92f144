"""Ingest as the recorder sees it: a listener to start, exchanges to take, books to show."""

from __future__ import annotations

import mmap
import random
import socket
from pathlib import Path

from exporter.errors import ErrorCounts
from exporter.schema import Limits
from exporter.views import LawView
from exporter.web import Server
from sidecar.books import Books
from sidecar.decode.route import Routes
from sidecar.exchange import Exchange
from sidecar.ingest.app import App, body_limit
from sidecar.ingest.dialect import EventRoutes
from sidecar.ingest.pairs import Bounds, Pairs

READ_EXCHANGES = 256
"""Taken at once before anything else has its turn."""
_CHUNK_FRAMING = 65_536


class Ingest:
    """The second door.

    *memory* is shared memory of `sidecar.words.DOOR_BYTES` that outlives this process.
    """

    def __init__(
        self,
        memory: mmap.mmap,
        limits: Limits,
        routes: Routes,
        sampling: float = 1.0,
        bounds: Bounds = Bounds(),  # noqa: B008  (frozen)
    ) -> None:
        self.pairs = Pairs(memory, bounds)
        self.app = App(self.pairs, limits)
        self.routes = EventRoutes(routes)
        """To decode with."""
        self.faults = 0
        """Exchanges that were dropped by a fault of ours; the recorder counts them."""
        self._limits = limits
        self._sampling = sampling
        self._server: Server | None = None

    @property
    def books(self) -> Books:
        """In which the recorder settles what `drain` gave it."""
        return self.pairs.books

    def attach(self, first: bool) -> int:
        """Go on where a recorder before us ended; returns the exchanges it had not settled."""
        return self.pairs.attach(first)

    def start(self, listening: socket.socket, web_config: Path | None, errors: ErrorCounts) -> None:
        """Serve on the inherited socket from now on."""
        host, port = listening.getsockname()[:2]
        self._server = Server(
            self.app,
            host,
            port,
            web_config,
            errors=errors,
            listening=listening,
            # cheroot counts the framing of chunks; the app counts what is in them.
            body_bytes=body_limit(self._limits) + _CHUNK_FRAMING,
            tokens=True,
        )
        self._server.start()

    def drain(self, limit: int = READ_EXCHANGES) -> list[Exchange]:
        """Exchanges that are whole; `Exchange.heads_only` when not drawn for recording."""
        exchanges = self.pairs.drain(limit)
        if self._sampling < 1.0:
            for exchange in exchanges:
                exchange.heads_only = random.random() >= self._sampling
        return exchanges

    def expire(self) -> None:
        """Give up on halves that have waited too long; called now and then."""
        self.pairs.expire()

    def view(self) -> LawView:
        """The conservation law of this door."""
        return self.pairs.view()

    def close(self) -> None:
        """Take nothing more: senders are told to try again, and find the next recorder."""
        self.app.closed = True

    def stop(self) -> None:
        """Close the port and end the threads."""
        if self._server is not None:
            self._server.stop()
