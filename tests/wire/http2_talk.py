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
from tests.wire.conversation import (
    BODY_LIMIT,
    CLIENT,
    HEADER_LIMIT,
    HELD_LIMIT,
    Hearing,
    Step,
    assert_in_order,
    told,
)

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
    assert_in_order(exchange)
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


class Listener(Hearing[Http2Connection]):
    def __init__(
        self,
        header_limit: int = HEADER_LIMIT,
        body_limit: int = BODY_LIMIT,
        held_limit: int = HELD_LIMIT,
        streaming: Callable[[bytes], bool] = lambda target: target == STREAMED,
    ) -> None:
        held = Held(held_limit)
        super().__init__(Http2Connection(header_limit, body_limit, held, streaming), held, header_limit)
        self.body_limit = body_limit

    @property
    def messages(self) -> list[Message]:
        return [item for item in self.returned if isinstance(item, Message)]

    @property
    def seen(self) -> list[Seen]:
        return [seen(exchange) for exchange in self.exchanges]

    def resync(self, direction: int | None = None) -> None:
        self.connection.resync(direction)
        self.check()

    def check(self, piece: int = 0) -> None:
        super().check(piece)
        connection = self.connection
        assert connection.state in ("ok", "broken")
        assert len(connection._streams) <= STREAM_LIMIT
        for stream in connection._streams.values():
            assert max(len(stream.request or b""), len(stream.answer or b"")) <= self.body_limit
            assert all(one.held <= self.body_limit for one in stream.messages or ())
        for side in (connection._client, connection._server):
            assert side.held <= self.header_limit + 9
            assert side.stream is None or connection._streams[side.stream.number] is side.stream
            assert len(side.blocks.known) <= KNOWN
            assert all(len(block) <= LONGEST for block in side.blocks.known)
            table = side.blocks.table
            assert sum(size for _, _, size in table._entries) == table._size <= table._maximum <= CAP

    def held_bytes(self) -> int:
        connection = self.connection
        streams = connection._streams.values()
        parts = sum(side.held for side in (connection._client, connection._server))
        of_messages = sum(one.held for stream in streams for one in stream.messages or ())
        return parts + sum(stream.held for stream in streams) + of_messages


def listen(
    steps: Iterable[Step], *, close: bool = True, body_limit: int = 1 << 20, header_limit: int = 65536
) -> Listener:
    """Feed *steps*; every step is one call."""
    return told(Listener(header_limit, body_limit, 1 << 26), steps, close)


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
