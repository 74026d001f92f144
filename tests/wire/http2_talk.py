"""HTTP/2 conversations for the tests: frames by hand, a listener, and two honest ends by the library h2."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import hpack

from sidecar.exchange import Exchange, Message
from sidecar.framing import CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS
from sidecar.wire.body import Held
from sidecar.wire.fields import KNOWN, LONGEST
from sidecar.wire.hpack import CAP
from sidecar.wire.http2 import STREAM_LIMIT, Http2Connection
from tests.wire.conversation import CLIENT, Step

HEADER_LIMIT = 512
BODY_LIMIT = 64
HELD_LIMIT = 4096

Fields = list[tuple[bytes, bytes]]

STREAMED = b"/s/Stream"
"""The target whose messages are handed out."""


def frame(kind: int, flags: int, number: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + number.to_bytes(4, "big") + payload


def plain(fields: Fields) -> bytes:
    """A block that neither uses nor changes a table: every field a literal, nothing in Huffman code."""
    block = b""
    for name, value in fields:
        assert len(name) < 127
        assert len(value) < 127
        block += b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value
    return block


def headers(number: int, fields: Fields, flags: int = END_HEADERS) -> bytes:
    """A HEADERS frame of `plain` *fields*."""
    return frame(HEADERS, flags, number, plain(fields))


def request(target: bytes = b"/a", method: bytes = b"POST", *more: tuple[bytes, bytes]) -> Fields:
    return [(b":method", method), (b":scheme", b"http"), (b":path", target), *more]


def call(target: bytes = b"/s/Call") -> Fields:
    """A request of gRPC."""
    return request(target, b"POST", (b"content-type", b"application/grpc"), (b"te", b"trailers"))


def status(code: bytes = b"200", *more: tuple[bytes, bytes]) -> Fields:
    return [(b":status", code), *more]


def message(body: bytes, flag: int = 0) -> bytes:
    """A message of gRPC."""
    return struct.pack(">BI", flag, len(body)) + body


class Seen(NamedTuple):
    """A stream without its times, which depend on how the bytes were cut."""

    target: bytes
    status: int
    request: bytes = b""
    answer: bytes = b""
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    method: bytes = b"POST"
    protocol: str = "http"
    request_complete: bool = True
    answer_complete: bool = True
    closed: bool = False
    known: bool = True


def seen(exchange: Exchange) -> Seen:
    """What of *exchange* does not depend on the cuts."""
    assert 0 < exchange.started <= exchange.ended
    assert exchange.answered == 0 or exchange.started <= exchange.answered <= exchange.ended
    return Seen(
        exchange.target,
        exchange.status,
        exchange.request_body,
        exchange.response_body,
        tuple(sorted(exchange.trailers.items())),
        exchange.method,
        exchange.protocol,
        exchange.request_body_complete,
        exchange.response_body_complete,
        exchange.closed,
        exchange.headers_known,
    )


class Listener:
    """A connection, what it returned, and a clock that moves by one nanosecond with every byte."""

    def __init__(
        self,
        header_limit: int = HEADER_LIMIT,
        body_limit: int = BODY_LIMIT,
        held_limit: int = HELD_LIMIT,
        streaming: Callable[[bytes], bool] = lambda target: target == STREAMED,
    ) -> None:
        self.header_limit = header_limit
        self.body_limit = body_limit
        self.held = Held(held_limit)
        self.connection = Http2Connection(header_limit, body_limit, self.held, streaming)
        self.returned: list[Exchange | Message] = []
        self.now = 0

    @property
    def exchanges(self) -> list[Exchange]:
        return [item for item in self.returned if isinstance(item, Exchange)]

    @property
    def messages(self) -> list[Message]:
        return [item for item in self.returned if isinstance(item, Message)]

    @property
    def seen(self) -> list[Seen]:
        return [seen(exchange) for exchange in self.exchanges]

    def receive(self, direction: int, data: bytes) -> None:
        self.now += len(data)
        self._take(self.connection.receive(direction, memoryview(data), self.now))

    def skip(self, direction: int, nbytes: int) -> None:
        self.now += max(nbytes, 0)
        self._take(self.connection.skip(direction, nbytes, self.now))

    def close(self) -> None:
        self.now += 1
        self._take(self.connection.close(self.now))
        assert self.connection.open_exchanges == 0
        assert self.held.bytes == 0

    def resync(self, direction: int | None = None) -> None:
        self.connection.resync(direction)
        self.check()

    def _take(self, returned: list[Exchange | Message]) -> None:
        self.returned += returned
        self.check()

    def check(self) -> None:
        """Conservation, the books of `Held`, and the bound on memory."""
        connection, held = self.connection, self.held
        assert connection.begun == connection.finished + connection.lost + connection.open_exchanges
        assert connection.finished == len(self.exchanges)
        assert connection.state in ("ok", "broken")
        assert (connection.state == "broken") == (connection.broken_reason is not None)
        sides = (connection._client, connection._server)
        streams = connection._streams.values()
        assert len(streams) <= STREAM_LIMIT
        parts = sum(side.held for side in sides)
        of_streams = sum(stream.held for stream in streams)
        of_messages = sum(one.held for stream in streams for one in stream.messages or ())
        assert held.bytes == parts + of_streams + of_messages
        assert held.bytes <= held.limit + self.header_limit
        for stream in streams:
            assert max(len(stream.request or b""), len(stream.answer or b"")) <= self.body_limit
            assert all(one.held <= self.body_limit for one in stream.messages or ())
        for side in sides:
            assert side.held <= self.header_limit + 9
            assert side.stream is None or connection._streams[side.stream.number] is side.stream
            assert len(side.blocks.known) <= KNOWN
            assert all(len(block) <= LONGEST for block in side.blocks.known)
            table = side.blocks.table
            assert sum(size for _, _, size in table._entries) == table._size <= table._maximum <= CAP


def listen(
    steps: Iterable[Step], *, close: bool = True, body_limit: int = 1 << 20, header_limit: int = 65536
) -> Listener:
    """Feed *steps*; every step is one call."""
    listener = Listener(header_limit, body_limit, 1 << 26)
    for direction, data in steps:
        listener.receive(direction, data)
    if close:
        listener.close()
    return listener


@dataclass
class Ends:
    """Frames of both ends as hpack's encoders would send them, kept one by one."""

    client: hpack.Encoder = field(default_factory=hpack.Encoder)
    server: hpack.Encoder = field(default_factory=hpack.Encoder)
    steps: list[Step] = field(default_factory=lambda: [(CLIENT, PREFACE), (CLIENT, frame(SETTINGS, 0, 0))])

    def head(self, direction: int, number: int, fields: Fields, *, end: bool = False, parts: int = 1) -> None:
        """A header block in *parts* frames."""
        block = (self.client if direction == CLIENT else self.server).encode(fields)
        cut = -(-len(block) // parts)
        pieces = [block[start : start + cut] for start in range(0, len(block), cut)] or [b""]
        sent = b""
        for index, piece in enumerate(pieces):
            flags = (END_HEADERS if index == len(pieces) - 1 else 0) | (
                END_STREAM if end and not index else 0
            )
            sent += frame(CONTINUATION if index else HEADERS, flags, number, piece)
        self.steps.append((direction, sent))

    def data(self, direction: int, number: int, body: bytes, *, end: bool = False) -> None:
        self.steps.append((direction, frame(DATA, END_STREAM if end else 0, number, body)))
