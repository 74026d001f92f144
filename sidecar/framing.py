"""Framing: what a frame of HTTP/2 looks like (RFC 9113, sections 4.1 and 6), for the tap and for the reader.

Plain integers: a member of an IntEnum costs 70 ns.
"""

from __future__ import annotations

import struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

_HEADER = struct.Struct(">IBI")
HEADER_SIZE: Final = _HEADER.size
unpack_header = _HEADER.unpack_from
"""Length (three bytes) and type (one) as one number; flags; stream with one bit that is to be ignored."""

NUMBER: Final = 0x7FFFFFFF
"""The other bits of that."""

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE = range(9)
CONTINUATION = 9

END_STREAM, END_HEADERS, PADDED, HAS_PRIORITY = 0x1, 0x4, 0x8, 0x20
ACK = 0x1
BLOCK_FLAGS = END_HEADERS | PADDED | HAS_PRIORITY
"""Of these a HEADERS frame has END_HEADERS alone when its payload is a header block and nothing else."""


def fragment(payload: bytes, flags: int, pushed: bool) -> bytes | None:
    """The part of a header block in a HEADERS frame's *payload* (PUSH_PROMISE: *pushed*), or None.

    Without padding, and without the priority or the promised stream's number before it.

    >>> fragment(bytes.fromhex("02 82 84 00 00"), PADDED, False)
    b'\\x82\\x84'
    """
    start, stop = 0, len(payload)
    if flags & PADDED:
        if not payload:
            return None
        start, stop = 1, stop - payload[0]
    if pushed:
        start += 4
    elif flags & HAS_PRIORITY:
        start += 5
    return payload[start:stop] if start <= stop else None
