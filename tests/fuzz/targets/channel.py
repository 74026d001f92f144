"""`Channel`: records of any bytes, as far as a tap may put them: nothing escapes, and the law holds.

The bytes are anybody's, the records are the tap's: it opens a connection once, says of each whether it is
HTTP/2, and of these alone that streams were shed. Where they begin, what is missing and what was counted is free.
"""

from __future__ import annotations

import mmap
import struct

from exporter.schema import Limits
from sidecar.books import Books
from sidecar.channel import Channel
from sidecar.decode import Decoded, Failed, decode, decode_message, finish, is_stream
from sidecar.exchange import Exchange, Message
from sidecar.ring import BOUNDARY, FRAMES, GAP, HEADS_ONLY, START, Kind, RingWriter
from sidecar.words import PAGE
from tests.fuzz.mutate import LONGEST
from tests.fuzz.outcomes import check
from tests.wire import captures

LIMITS = Limits(body_bytes=2000, header_bytes=4096)
_RECORD = struct.Struct("<BBBHH")
WORDS = [
    _RECORD.pack(kind, flags, 1, size, 0) for kind in range(2, 12) for flags, size in ((0, 0), (0, 3), (1, 1), (25, 2))
] + [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]  # fmt: skip


def seeds() -> list[bytes]:
    made = []
    for number, name in enumerate((*captures.NAMES, *captures.GRPC_NAMES)):
        flags = 24 if name in captures.GRPC_NAMES else 0
        packed = _RECORD.pack(4, flags, number & 7, 0, 0)
        for direction, data in captures.steps(name):
            for start in range(0, len(data), 65_535):
                piece = data[start : start + 65_535]
                begins = 1 if direction == 0 and start == 0 else 0
                packed += _RECORD.pack(direction, flags | begins, number & 7, begins, len(piece)) + piece
        if len(packed) < LONGEST:
            made.append(packed + _RECORD.pack(5, 0, number & 7, 0, 0))
    return made


def target(data: bytes) -> None:
    memory = mmap.mmap(-1, PAGE + 65_536)
    writer = RingWriter(memory)

    def settle(exchange: Exchange, heads_only: bool, books: Books) -> None:
        outcome = finish(exchange)[0] if exchange.streamed else decode(exchange, LIMITS)
        check(outcome)
        if isinstance(outcome, Decoded):
            books.recorded(1)
        else:
            books.ignored("failed" if isinstance(outcome, Failed) else "not_inference")

    def take(message: Message) -> None:
        for told in decode_message(message, LIMITS):
            check(told.outcome)

    channel = Channel(memory, "http", LIMITS, bool(len(data) & 1), settle, take, is_stream)
    channel.attach(first=True)
    http2: dict[int, bool] = {}  # the connections that are open, and whether frames are followed
    position = time = 0
    while position + _RECORD.size <= len(data):
        kind, flags, number, size, length = _RECORD.unpack_from(data, position)
        position += _RECORD.size
        kind %= 12
        number &= 7
        payload = data[position : position + length] if kind < 2 or kind >= Kind.REQUEST_TABLE else b""
        position += len(payload)
        time += 1
        if kind == Kind.RESET:
            http2.clear()
        elif kind == Kind.OPEN:
            if number in http2:
                continue
        elif kind == Kind.CLOSE:
            if number not in http2:
                continue
            del http2[number]
        if kind == Kind.OPEN or (kind < 2 and number not in http2):
            http2[number] = bool(flags & FRAMES)
        framed = http2.get(number, False)
        if framed and kind == Kind.LOST:
            continue
        if not framed and kind >= Kind.STREAM_SHED:
            continue
        if kind > 1:
            flags = 0
        elif framed:
            flags = flags & (START | GAP | BOUNDARY) | FRAMES
        else:
            flags &= START | GAP | HEADS_ONLY
            size = 0
        if not writer.put(kind, flags, number, time, size, payload):
            assert len(payload) > 20_000
            continue
        channel.read(1 << 20)
        assert channel.faults == 0, "a fault of ours"
        view = channel.books.view(channel.in_flight)
        parts = (view.recorded, view.sampled_out, view.unsettled, *view.dropped.values(), *view.undecodable.values(),
                 *view.unobservable.values(), *view.ignored.values())  # fmt: skip
        assert view.seen == sum(parts)
        assert channel.in_flight >= 0
    writer.put(7, 0, 0, time + 1, 0, b"")
    channel.read(1 << 20)
    assert channel.in_flight == 0
    assert channel._held.bytes == 0
