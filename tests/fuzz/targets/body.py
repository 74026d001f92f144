"""`Body`: never more kept than its limit and the connection's, and `Held` keeps count of it."""

from __future__ import annotations

from sidecar.wire.body import Body, Held
from sidecar.wire.head import CHUNKED

LIMIT = 64
WORDS = [
    b"\r\n",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"ffffffff\r\n",
    b";a=b",
    b"\n",
    b"1\r\nx\r\n",
    b"A: b\r\n\r\n",
    b"00",
]


def seeds() -> list[bytes]:
    chunks = b"5;a=b\r\nhello\r\n40\r\n" + b"x" * 64 + b"\r\n0\r\nA: b\r\n\r\n"
    return [b"\x05\x00" + chunks, b"\x00\x00" + chunks, b"\x01\x64" + b"y" * 120, b"\x03\x01" + chunks[:30]]


def target(data: bytes) -> None:
    if len(data) < 2:
        return
    chunked = data[0] & 1 == 0
    step = data[0] >> 1 or 1
    held = Held(LIMIT * 2)
    body = Body(CHUNKED if chunked else data[1], LIMIT, held)
    rest = data[2:]
    position = 0
    while position < len(rest) and not body.done and not body.failed:
        piece = rest[position : position + step]
        taken = body.receive(piece, 0)
        assert 0 <= taken <= len(piece)
        assert len(body.copy) <= LIMIT
        assert held.bytes == len(body.copy)
        position += taken
        if taken < len(piece):
            assert body.done or body.failed
    if not chunked and not body.failed:
        assert position == min(data[1], len(rest))
    copy = body.release()
    assert held.bytes == len(copy)  # the caller's to give back
    if not chunked:
        assert rest.startswith(copy)
