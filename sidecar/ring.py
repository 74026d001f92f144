"""The copy channel: one byte ring in shared memory from one tap to the recorder.

Promises: the writer never waits and makes no system call; a full ring refuses the record and says so;
what was put is read once, whole and in order; the ring survives the death of either side.
Refuses: more than one writer or one reader.

Bounded in bytes and in entries by construction: *size* bytes, and as the smallest record takes 24, at most
size / 24 records (349,525 in the default 8 MiB). What one connection can take of that is bounded where its
exchanges begin: none does below an eighth free, fewer and fewer do below a half (`sidecar.draws`), and of
each at most its cap is copied of each run of bytes, itself at most an eighth of the ring. So a connection
that sends much has its exchanges shed like all others, and one that is under way can fill what is left by
its cap, and by 24 bytes for each read beyond it (`sidecar.copier`, `sidecar.frames`).

The order of stores matters: a record is written before HEAD moves past it. x86-64 keeps stores, and loads,
in order; other machines get a fence at each (`sidecar.order`).

A record is a header of 24 bytes, then the payload, padded to 8 bytes. A record that would cross the
end of the ring is preceded by padding up to the end, so that the reader always has one contiguous view.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from sidecar.order import ordered
from sidecar.words import PAGE, Recorder, Tap, words

HEADER = struct.Struct("<IIQIBBH")
"""payload bytes, connection, monotonic nanoseconds, size (of what was skipped), kind, flags, unused"""

_PAD = struct.Struct("<II")
_PAD_CONNECTION = 0xFFFFFFFF


class Kind(IntEnum):
    """What a record tells."""

    REQUEST = 0
    """Bytes from client to server."""
    ANSWER = 1
    """Bytes from server to client."""
    REQUEST_SKIPPED = 2
    """`size` bytes from client to server that were forwarded and not copied."""
    ANSWER_SKIPPED = 3
    OPEN = 4
    CLOSE = 5
    LOST = 6
    """The rest of the exchange under way on this connection was not copied."""
    RESET = 7
    """Forget all connections: a tap has restarted, or notes about closed connections were lost."""
    STREAM_SHED = 8
    """HTTP/2: stream `size` of this connection was shed, and counted so by the tap. Comes before its head."""
    STREAM_HEADS_ONLY = 9
    """HTTP/2: stream `size` of this connection was not drawn for recording. Comes before its head."""
    REQUEST_TABLE = 10
    """HTTP/2: a header block that makes of an empty table the one with which the next bytes of that direction
    are read (`sidecar.tables`). Comes after a gap, if the table is known."""
    ANSWER_TABLE = 11


START = 1
"""Flag: with this record the tap began (and counted) an exchange; over HTTP/2 as many as its `size` says."""
GAP = 2
"""Flag: bytes of this connection before this record were not copied; readers start anew."""
HEADS_ONLY = 4
"""Flag: this exchange was not drawn for recording; only its heads are copied."""
FRAMES = 8
"""Flag: the tap follows this connection's HTTP/2 frames."""
BOUNDARY = 16
"""Flag, with FRAMES: the record begins where a frame does, and not inside a header block."""


# Plain integers and functions: a member of an IntEnum costs 70 ns in Python 3.11, and `RingWriter.put` would
# look up seven (an exchange copied: 2.25 µs with them, 1.42 without).
_HEAD, _SEQUENCE, _COPIED, _TAIL = int(Tap.HEAD), int(Tap.SEQUENCE), int(Tap.COPIED), int(Recorder.TAIL)
_NEXT_COPIED = int(Tap.NEXT_COPIED)
_HEADER_SIZE = HEADER.size
_ROUND_UP = _HEADER_SIZE + 7
_pack_into = HEADER.pack_into


class Record(NamedTuple):
    """One record; `payload` is a view into the ring and must not be kept beyond the read."""

    kind: int
    flags: int
    connection: int
    time: int
    size: int
    payload: memoryview


class RingWriter:
    """The tap's end.

    >>> from sidecar.words import attach, create
    >>> memory = attach(create("doctest", PAGE + 65536))
    >>> writer, reader = RingWriter(memory), RingReader(memory)
    >>> writer.put(Kind.REQUEST, START, 7, 123, 0, b"GET / HTTP/1.1")
    True
    >>> [(record.connection, bytes(record.payload)) for record in map(Record._make, reader.read(1 << 20))]
    [(7, b'GET / HTTP/1.1')]
    """

    def __init__(self, memory: mmap.mmap) -> None:
        page = self._words = ordered(words(memory))
        self._data = memoryview(memory)[PAGE:]
        self.size = len(self._data)
        self._mask = self.size - 1
        if self.size & self._mask:
            raise ValueError(f"ring of {self.size} bytes: expected a power of two")
        # Ours alone to change, so they are kept here and only written there.
        self.head = page[_HEAD]
        self._copied = page[_COPIED]
        sequence = page[_SEQUENCE]
        if sequence & 1:
            # A tap before us died between two stores of `put`. Its record was written whole: it is put now.
            self.head, self._copied = sequence - 1, page[_NEXT_COPIED]
            page[_COPIED] = self._copied
            page[_HEAD] = page[_SEQUENCE] = self.head
        self.end = page[_TAIL] + self.size
        """How far HEAD may go; TAIL is read again only where this matters."""

    def free(self) -> int:
        """Bytes that can still be put."""
        self.end = self._words[_TAIL] + self.size
        return self.end - self.head

    def put(
        self, kind: int, flags: int, connection: int, time: int, size: int, payload: bytes | memoryview
    ) -> bool:
        """Put one record; False when it does not fit (nothing is written then).

        With `START` it counts *size* exchanges, or one if *size* is 0.
        """
        length = len(payload)
        need = length + _ROUND_UP & -8
        head = self.head
        at = head & self._mask
        if at + need > self.size or head + need > self.end:
            room = self.size - at
            if (need if need <= room else room + need) > self.free():
                return False
            if need > room:
                _PAD.pack_into(self._data, at, room - _PAD.size, _PAD_CONNECTION)
                head += room
                at = 0
        data = self._data
        _pack_into(data, at, length, connection, time, size, kind, flags, 0)
        at += _HEADER_SIZE
        data[at : at + length] = payload
        self.head = head = head + need
        page = self._words
        if flags & START:
            self._copied = page[_NEXT_COPIED] = copied = self._copied + (size or 1)
            page[_SEQUENCE] = head | 1
            page[_COPIED] = copied
            page[_HEAD] = head
            page[_SEQUENCE] = head
        else:
            page[_HEAD] = head
        return True


class RingReader:
    """The recorder's end; attaching at the present head leaves what was unread to `unread_at_attach`."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._words = ordered(words(memory))
        self._data = memoryview(memory)[PAGE:]
        self.size = len(self._data)
        self._mask = self.size - 1
        self.tail = self._words[Recorder.TAIL]

    def pending(self) -> int:
        """Bytes put and not yet read."""
        return self._words[Tap.HEAD] - self.tail

    def skip_to_head(self) -> int:
        """Leave everything unread behind; returns how many exchanges the tap had begun by then.

        HEAD and COPIED are read as one by the tap's sequence word: a recorder that replaces a dead one
        thereby knows exactly how many exchanges it will never see.
        """
        page = self._words
        while True:
            before = page[Tap.SEQUENCE]
            copied, head = page[Tap.COPIED], page[Tap.HEAD]
            if not before & 1 and page[Tap.SEQUENCE] == before:
                break
        self.tail = head
        page[Recorder.TAIL] = head
        return copied

    def read(self, limit: int) -> Iterator[tuple[int, int, int, int, int, memoryview]]:
        """The records put so far, up to about *limit* bytes; room is given back when the iterator ends.

        Each is a plain tuple in the order of `Record`, which costs 0.2 µs less a record.
        """
        head = self._words[Tap.HEAD]
        tail = self.tail
        stop = min(head, tail + limit)
        data, mask, unpack = self._data, self._mask, HEADER.unpack_from
        try:
            while tail < stop:
                at = tail & mask
                first, second = _PAD.unpack_from(data, at)
                if second == _PAD_CONNECTION:
                    tail += first + _PAD.size
                    continue
                length, connection, time, size, kind, flags, _ = unpack(data, at)
                start = at + HEADER.size
                tail += (HEADER.size + length + 7) & ~7
                yield kind, flags, connection, time, size, data[start : start + length]
        finally:
            self.tail = tail
            self._words[Recorder.TAIL] = tail
