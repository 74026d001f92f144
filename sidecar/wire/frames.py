"""Frames of HTTP/2 (RFC 9113, section 4): their headers, and what is half-read of them in one direction.

Promises: one frame at most is kept in part, and one header block. Refuses: to know streams or fields.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from sidecar.framing import (
    ACK,
    CONTINUATION,
    DATA,
    GOAWAY,
    HEADER_SIZE,
    HEADERS,
    NUMBER,
    PADDED,
    PING,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    unpack_header,
)
from sidecar.wire.fields import BlockReader

if TYPE_CHECKING:
    from sidecar.wire.stream import Stream

WHOLE: Final = frozenset({HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, GOAWAY, CONTINUATION})
"""Types whose payload is read as a whole; of others than those and DATA it is passed over."""

_HEADER_TABLE_SIZE = 1
_setting = struct.Struct(">HI")


class Frame(NamedTuple):
    """One frame's header, and where its payload is."""

    kind: int
    flags: int
    number: int
    """Of its stream; 0 for the connection."""
    start: int
    """Of the payload, in the bytes that are being read."""
    stop: int
    """Behind the payload, which may be more than is there."""
    started: int
    """When its first byte was read, in nanoseconds."""

    @property
    def length(self) -> int:
        """Bytes of the payload."""
        return self.stop - self.start

    def is_wrong(self) -> bool:
        """Whether peers would end the connection for its header alone.

        >>> Frame(RST_STREAM, 0, 1, 9, 13, 0).is_wrong(), Frame(RST_STREAM, 0, 1, 9, 14, 0).is_wrong()
        (False, True)
        """
        rule = _WRONG.get(self.kind)
        return rule is not None and rule(self)


_WRONG: Mapping[int, Callable[[Frame], bool]] = {
    DATA: lambda frame: not frame.number or (frame.flags & PADDED != 0 and not frame.length),
    HEADERS: lambda frame: not frame.number,
    RST_STREAM: lambda frame: frame.length != 4 or not frame.number,
    SETTINGS: lambda frame: (
        frame.number != 0 or frame.length % 6 != 0 or (frame.length and frame.flags & ACK) != 0
    ),
    PUSH_PROMISE: lambda frame: not frame.number,
    PING: lambda frame: frame.length != 8 or frame.number != 0,
    GOAWAY: lambda frame: frame.length < 8 or frame.number != 0,
    WINDOW_UPDATE: lambda frame: frame.length != 4,
}
# RFC 9113, sections 6.1 to 6.9: connection errors of type FRAME_SIZE_ERROR and PROTOCOL_ERROR. (A PRIORITY of
# a wrong length is an error of its stream alone.)


def table_sizes(data: bytes, start: int, stop: int) -> list[int]:
    """What a SETTINGS payload says of the header table's size, in order.

    >>> table_sizes(bytes.fromhex("0003 00000064 0001 00010000"), 0, 12)
    [65536]
    """
    found = (_setting.unpack_from(data, position) for position in range(start, stop, _setting.size))
    return [value for name, value in found if name == _HEADER_TABLE_SIZE]


class Block:
    """A header block that is not all there yet."""

    __slots__ = ("bytes", "continuations", "first", "size")

    def __init__(self, first: Frame, begun: bytes) -> None:
        self.first = first
        """The frame that began it."""
        self.bytes = bytearray(begun)
        self.size = first.length + HEADER_SIZE
        """Of its frames, with their headers."""
        self.continuations = 0


class Side:
    """What is half-read in one direction."""

    __slots__ = (
        "blind", "block", "blocks", "direction", "ending", "left", "need", "opening", "pad", "part",
        "part_ns", "preface", "stream",
    )  # fmt: skip

    def __init__(self, direction: int, blocks: BlockReader) -> None:
        # Per connection
        self.direction = direction
        self.blocks = blocks
        self.preface = False
        """The preface is to come first."""
        self.opening = True
        """Nothing was read since the connection or the resync began."""
        self.blind = False
        """A broken connection was resynchronised in the other direction alone."""
        # Per frame
        self.part = bytearray()
        """Of a frame (or the preface) that is read as a whole, less than `need` bytes."""
        self.part_ns = 0
        self.need = 0
        self.left = 0
        """Bytes to come of a payload that is read as it comes, padding included."""
        self.pad = 0
        """How many of `left` are padding; -1 while the first byte, which says so, is not there."""
        self.stream: Stream | None = None
        """Whose payload that is, if it is followed."""
        self.ending = False
        """The stream ends with this frame."""
        self.block: Block | None = None

    @property
    def held(self) -> int:
        """Bytes that are kept."""
        return len(self.part) + (0 if self.block is None else len(self.block.bytes))

    def keep(self, data: bytes, position: int, now_ns: int, need: int) -> None:
        """Keep *data* from *position* on, until there are *need* bytes."""
        self.part += memoryview(data)[position:]
        self.part_ns = now_ns
        self.need = need

    def half_headers(self) -> int:
        """The stream whose HEADERS frame or header block is half-read; 0 for none."""
        if self.block is not None:
            first = self.block.first
            return first.number if first.kind == HEADERS else 0
        if len(self.part) < HEADER_SIZE or self.opening:
            return 0
        word, _, number = unpack_header(self.part)
        return number & NUMBER if word & 0xFF == HEADERS else 0

    def clear(self) -> None:
        """Forget what is half-read."""
        self.part.clear()
        self.left = 0
        self.stream = None
        self.block = None

    def restart(self) -> None:
        """Bytes are missing, and the next ones begin where a frame does."""
        self.clear()
        self.blocks.forget()
        self.preface = False
        self.opening = True
        self.blind = False
