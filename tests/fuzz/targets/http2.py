"""`Http2Connection`: conservation, and what it holds is counted, after every call, however it is fed."""

from __future__ import annotations

from sidecar.decode import is_stream
from sidecar.exchange import Exchange
from sidecar.framing import PREFACE
from sidecar.wire.body import Held
from sidecar.wire.http2 import Http2Connection
from tests.fuzz.mutate import pack, unpack
from tests.wire import captures

HEADER_LIMIT, BODY_LIMIT, HELD_LIMIT = 4096, 1024, 65_536
WORDS = [
    PREFACE, b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", b"\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08",
    b"\x00\x00\x01\x01\x05\x00\x00\x00\x01\x82", b"\x00\x00\x01\x01\x04\x00\x00\x00\x03\x83", b"\x00\x00\x00\x00\x01\x00\x00\x00\x01",
    b"\x00\x00\x01\x09\x00\x00\x00\x00\x01\x82", b"\x00\x00\x01\x09\x04\x00\x00\x00\x01\x82", b"\x00\x40\x00\x00\x08\x00\x00\x00\x01\xff",
    b"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00", b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00",
    b"\x00\x00\x05\x05\x04\x00\x00\x00\x01\x00\x00\x00\x02\x82", b"\x3f\xe1\x1f", b"\x20", b"\xbe", b"\x40\x01a\x01b", b"\x7f\xff\xff\xff\x7f",
]  # fmt: skip


def seeds() -> list[bytes]:
    talks = [pack(captures.steps(name)) for name in captures.GRPC_NAMES]
    return [talk[:20_000] for talk in talks]


def target(data: bytes) -> None:
    held = Held(HELD_LIMIT)
    connection = Http2Connection(HEADER_LIMIT, BODY_LIMIT, held, is_stream)
    finished = 0
    for now, (what, direction, value) in enumerate(unpack(data), 1):
        piece = 0
        if isinstance(value, bytes):
            piece = len(value)
            done = connection.receive(direction, value, now)
        elif what == "skip":
            if value & 7 == 7:
                connection.shed(value)
            elif value & 7 == 6:
                connection.heads_only(value | 1)
            done = connection.skip(direction, value, now)
        else:
            connection.resync((None, 0, 1)[direction + now & 1])
            done = []
        finished += sum(isinstance(each, Exchange) for each in done)
        check(connection, held, piece)
        assert connection.finished == finished
    finished += len(connection.close(1 << 30))
    check(connection, held, 0)
    assert connection.open_exchanges == 0
    assert held.bytes == 0


def check(connection: Http2Connection, held: Held, piece: int) -> None:
    """Conservation, and the bound on memory."""
    assert connection.begun == connection.finished + connection.lost + connection.open_exchanges
    assert all(count > 0 for count in connection.losses.values())
    assert (connection.state == "broken") == (connection.broken_reason is not None)
    assert 0 <= held.bytes <= held.limit + 2 * (HEADER_LIMIT + piece + 9)
