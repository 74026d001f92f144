"""Conversations: steps of (direction, bytes), fed to a connection in every way that TCP may cut them.

`listen` holds the promises of `sidecar.wire` after every single call, so every test that uses it tests them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from sidecar.exchange import Exchange, Message
from sidecar.wire.body import Held
from sidecar.wire.http1 import PIPELINE_LIMIT, Http1Connection
from sidecar.wire.http2 import Http2Connection

CLIENT, SERVER = 0, 1

Step: TypeAlias = tuple[int, bytes]

HEADER_LIMIT = 512
BODY_LIMIT = 64
HELD_LIMIT = 4096

Reader = TypeVar("Reader", Http1Connection, Http2Connection)
Heard = TypeVar("Heard", bound="Hearing[Any]")


class Seen(NamedTuple):
    """An exchange without its times, which depend on how the bytes were cut."""

    method: bytes
    target: bytes
    status: int
    request_body: bytes = b""
    response_body: bytes = b""
    request_complete: bool = True
    response_complete: bool = True
    closed: bool = False


def assert_in_order(exchange: Exchange) -> None:
    """Its times, which do depend on them."""
    assert 0 < exchange.started <= exchange.ended
    assert exchange.answered == 0 or exchange.started <= exchange.answered <= exchange.ended


def seen(exchange: Exchange) -> Seen:
    """What of *exchange* does not depend on the cuts."""
    assert_in_order(exchange)
    return Seen(
        exchange.method,
        exchange.target,
        exchange.status,
        exchange.request_body,
        exchange.response_body,
        exchange.request_body_complete,
        exchange.response_body_complete,
        exchange.closed,
    )


class Hearing(ABC, Generic[Reader]):
    """A connection, what it returned, and a clock that moves by one nanosecond with every byte."""

    def __init__(self, connection: Reader, held: Held, header_limit: int) -> None:
        self.connection = connection
        self.held = held
        self.header_limit = header_limit
        self.returned: list[Exchange | Message] = []
        self.now = 0
        self.received = [0, 0]

    @property
    def exchanges(self) -> list[Exchange]:
        return [item for item in self.returned if isinstance(item, Exchange)]

    def receive(self, direction: int, data: bytes) -> None:
        self.now += len(data)
        self.received[direction] += len(data)
        self._take(self.connection.receive(direction, memoryview(data), self.now), len(data))

    def skip(self, direction: int, nbytes: int) -> None:
        self.now += max(nbytes, 0)
        self.received[direction] += nbytes
        self._take(self.connection.skip(direction, nbytes, self.now))

    def close(self) -> None:
        self.now += 1
        self._take(self.connection.close(self.now))
        assert self.connection.open_exchanges == 0
        assert self.held.bytes == 0

    def _take(self, returned: Sequence[Exchange | Message], piece: int = 0) -> None:
        self.returned += returned
        self.check(piece)

    def check(self, piece: int = 0) -> None:
        """Conservation, the books of `Held`, and the bound on memory, after *piece* bytes at once."""
        connection = self.connection
        assert connection.begun == connection.finished + connection.lost + connection.open_exchanges
        assert connection.finished == len(self.exchanges)
        assert connection.lost == sum(connection.losses.values())
        assert (connection.state == "tunnel") == (connection.tunnel_reason is not None)
        assert (connection.state == "broken") == (connection.broken_reason is not None)
        assert self.held.bytes == self.held_bytes()
        assert self.held.bytes <= self.held.limit + self.header_limit

    @abstractmethod
    def held_bytes(self) -> int:
        """What the connection holds, counted anew."""


class Listener(Hearing[Http1Connection]):
    def __init__(
        self, header_limit: int = HEADER_LIMIT, body_limit: int = BODY_LIMIT, held_limit: int = HELD_LIMIT
    ) -> None:
        held = Held(held_limit)
        super().__init__(Http1Connection(header_limit, body_limit, held), held, header_limit)

    def resync(self) -> None:
        self.connection.resync()
        self.check()

    def check(self, piece: int = 0) -> None:
        super().check(piece)
        connection = self.connection
        assert len(connection._open) <= PIPELINE_LIMIT
        assert len(connection._request_part) <= self.header_limit + piece
        assert len(connection._answer_part) <= self.header_limit + piece

    def held_bytes(self) -> int:
        connection = self.connection
        bodies = [body for body in (connection._request_body, connection._answer_body) if body is not None]
        return (
            sum(len(body.copy) for body in bodies)
            + sum(
                len(exchange.target) + len(exchange.request_body) + len(exchange.response_body)
                for exchange in connection._open
            )
            + len(connection._request_part)
            + len(connection._answer_part)
        )


def listen(steps: Iterable[Step], *, close: bool = True, body_limit: int = 1 << 20) -> Listener:
    """Feed *steps*; every step is one call."""
    return told(Listener(65536, body_limit, 1 << 26), steps, close)


def told(listener: Heard, steps: Iterable[Step], close: bool) -> Heard:
    """*listener* when it has received *steps*."""
    for direction, data in steps:
        listener.receive(direction, data)
    if close:
        listener.close()
    return listener


def by_the_byte(steps: Iterable[Step]) -> Iterator[Step]:
    """Every byte in a call of its own."""
    for direction, data in steps:
        for position in range(len(data)):
            yield direction, data[position : position + 1]


def cut(steps: Iterable[Step], cuts: Iterable[int]) -> Iterator[Step]:
    """The steps, cut at the offsets *cuts* of all bytes put behind one another."""
    offsets = sorted(set(cuts))
    start = 0
    for direction, data in steps:
        inside = [offset - start for offset in offsets if start < offset < start + len(data)]
        for first, last in zip([0, *inside], [*inside, len(data)], strict=True):
            yield direction, data[first:last]
        start += len(data)


def damaged(steps: Iterable[Step], damage: list[tuple[int, int]]) -> Iterator[Step]:
    """The steps with some bytes of others: *damage* says where and which, to a third of the steps each."""
    for number, (direction, data) in enumerate(steps):
        changed = bytearray(data)
        for position, value in damage:
            if changed and position % 3 == number % 3:
                changed[position % len(changed)] = value
        yield direction, bytes(changed)


def joined(steps: Iterable[Step]) -> list[Step]:
    """Neighbouring steps of one direction as one call."""
    result: list[Step] = []
    for direction, data in steps:
        if result and result[-1][0] == direction:
            result[-1] = (direction, result[-1][1] + data)
        else:
            result.append((direction, data))
    return result


def truncated(steps: Iterable[Step], length: int) -> Iterator[Step]:
    """The first *length* bytes of all."""
    for direction, data in steps:
        if length <= 0:
            return
        yield direction, data[:length]
        length -= len(data)
