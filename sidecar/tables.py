"""Tables: HPACK's dynamic table of a direction (RFC 7541), kept by the tap for readers that lost theirs.

Promises: `Table.block` is a header block that makes of an empty table the one that the encoder has, exactly;
entries that were evicted may stand behind, which no encoder refers to. Strings are not decoded, and an entry
that took its name from another carries that name itself. A table of 4096 bytes (the initial size) always fits
into `LIMIT`; of a larger one, or where all together hold more than `TOTAL`, or of blocks that no encoder
makes, nothing is kept any more, for good (`take` and `more` return False).
Refuses: to know fields, and to judge indices that change nothing.

A block that changes nothing costs 0.1 µs when it was there before (`Tables.idle`), else 0.15 µs a field; one
that adds an entry costs 1 µs more for each.
"""

from __future__ import annotations

from array import array

from sidecar.framing import BLOCK_FLAGS, CONTINUATION, END_HEADERS, HEADERS, PUSH_PROMISE, fragment
from sidecar.packing import DEFAULT, LONGEST_CODE, OVERHEAD, STATIC_END, integer

LIMIT = 16_384
"""Bytes kept of one direction. An entry counts 32 bytes and its strings, and those take at most 30/8 bytes of
Huffman code for a byte: 4096 bytes of entries take 15,360 here at most."""

TOTAL = 16 << 20
"""Bytes of all connections of a tap. A table in use is 200 bytes to 5 kB."""

IDLE = 1024
LONGEST = 512
"""Blocks that change nothing are remembered: so many of at most so many bytes, of all connections."""

FIELDS = 256
ADDED = 64
"""Blocks of more fields, or that add more entries, are not followed: each takes up to 40 µs of the tap's time
as it is. Requests of clients and proxies have up to 40 fields."""

_LENGTHS = 7
# Bytes of a literal that are not of its strings: one, and at most three for the length of each string.


class Tables:
    """What all tables of a tap have in common."""

    __slots__ = ("held", "idle")

    def __init__(self) -> None:
        self.idle: set[bytes] = set()
        """Blocks that change no table, whichever it is."""
        self.held = 0
        """Bytes that all tables hold."""


class Table:
    """One direction, from the connection's beginning.

    >>> table = Table(Tables())
    >>> block = bytes.fromhex("82 44 03 2f 6d 31 be")  # :method GET; :path /m1, to be remembered; once more
    >>> table.take(1, 4, block, 0, len(block)), table.block().hex(" ")
    (True, '44 03 2f 6d 31')
    """

    __slots__ = (
        "_base", "_entries", "_flags", "_heads", "_held", "_kind", "_maximum", "_open", "_part", "_payload",
        "_size", "_starts", "_tables", "left",
    )  # fmt: skip

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._held = 0
        # The table
        self._entries = bytearray()
        """Literals that add the entries, the oldest first."""
        self._starts = array("Q")
        """Where each begins, counted from the connection's beginning; the first still kept is at"""
        self._base = 0
        self._heads = array("H")
        """How many bytes of each say its name."""
        self._size = 0
        """The entries' sizes as HPACK counts them, or less."""
        self._maximum = DEFAULT
        # The block under way
        self._open = False
        self._part = bytearray()
        # The frame under way
        self._kind = self._flags = 0
        self._payload = bytearray()
        self.left = 0
        """Bytes to come of a frame with a header block."""

    def take(self, kind: int, flags: int, data: bytes, start: int, end: int) -> bool:
        """A frame of a header block; *data* from *start* to *end* is its payload, or the beginning of it."""
        if (kind == CONTINUATION) != self._open or end - start > LIMIT:
            return self.drop()
        payload = data[start:end]
        self._kind, self._flags = kind, flags
        self.left = end - start - len(payload)
        if self.left:
            self._payload += payload
            return self._count()
        return self._whole(payload)

    def more(self, data: bytes) -> bool:
        """*data* begins with (more of) the rest of that frame."""
        payload = data[: self.left]
        self.left -= len(payload)
        self._payload += payload
        if self.left:
            return self._count()
        whole = bytes(self._payload)
        self._payload.clear()
        return self._whole(whole)

    @property
    def room(self) -> int:
        """Bytes that `block` may take."""
        return len(self._entries) + 8

    def block(self) -> bytes:
        """A header block that makes this table of an empty one.

        >>> table = Table(Tables())
        >>> table.take(1, 4, bytes.fromhex("20 3f e1 3f"), 0, 4), table.block().hex(" ")  # size 0, then 8192
        (True, '3f e1 3f')
        """
        entries = bytes(self._entries)
        size = self._maximum
        if size == DEFAULT:
            return entries
        if size < 0x1F:
            return bytes([0x20 | size]) + entries
        size -= 0x1F
        update = bytearray(b"\x3f")
        while size >= 0x80:
            update.append(size & 0x7F | 0x80)
            size >>= 7
        update.append(size)
        return bytes(update) + entries

    def drop(self) -> bool:
        """Keep nothing any more; False."""
        self._tables.held -= self._held
        self._held = 0
        self._entries, self._part, self._payload = bytearray(), bytearray(), bytearray()
        self.left = 0
        return False

    def _count(self) -> bool:
        """Count what is held; False when it was too much."""
        held = len(self._entries) + len(self._part) + len(self._payload)
        tables = self._tables
        tables.held += held - self._held
        self._held = held
        return (held <= LIMIT and tables.held <= TOTAL) or self.drop()

    def _whole(self, payload: bytes) -> bool:
        """The *payload* of a frame is all there."""
        kind, flags, block = self._kind, self._flags, payload
        if kind == PUSH_PROMISE or (kind == HEADERS and flags & BLOCK_FLAGS != END_HEADERS):
            part = fragment(payload, flags, kind == PUSH_PROMISE)
            if part is None:
                return self.drop()
            block = part
        self._open = not flags & END_HEADERS
        if self._open or self._part:
            self._part += block
            if self._open:
                return self._count()
            block = bytes(self._part)
            self._part.clear()
        idle = self._tables.idle
        if block in idle:
            return self._held == len(self._entries) or self._count()
        try:
            changed = self._read(block)
        except (IndexError, ValueError):
            return self.drop()
        if changed:
            return self._count()
        if len(block) <= LONGEST:
            if len(idle) >= IDLE:
                idle.clear()
            idle.add(block)
        return self._held == len(self._entries) or self._count()

    def _read(self, block: bytes) -> bool:
        """Follow *block*; whether anything in it may change the table. Raises when it can not be followed."""
        at, end, changed, added = 0, len(block), False, 0
        for _ in range(FIELDS):
            if at >= end:
                break
            byte = block[at]
            at += 1
            if byte >= 0x80:  # an indexed field
                if byte == 0xFF:
                    _, at = integer(block, at, 0x7F)
                continue
            if 0x20 <= byte < 0x40:  # a change of the table's size
                size = byte & 0x1F
                if size == 0x1F:
                    size, at = integer(block, at, size)
                self._maximum = size
                self._evict()
                changed = True
                continue
            mask = 0x3F if byte >= 0x40 else 0x0F
            index = byte & mask
            if index == mask:
                index, at = integer(block, at, index)
            name = at
            if not index:
                at = _past_string(block, at)
            value = at
            at = _past_string(block, at)
            if byte >= 0x40:
                added += 1
                if at > end or added > ADDED:
                    raise ValueError
                self._add(index, block[name:value], block[value:at])
                changed = True
        if at != end:
            raise ValueError
        return changed

    def _add(self, index: int, name: bytes, value: bytes) -> None:
        """A new entry: with *name* as it is there, or of entry *index*."""
        entries, starts, heads = self._entries, self._starts, self._heads
        if not index:
            head = b"\x40" + name
        elif index < STATIC_END:
            head = bytes([0x40 | index])
        else:
            place = len(starts) - 1 - (index - STATIC_END)
            if place < 0:
                raise IndexError
            start = starts[place] - self._base
            head = bytes(entries[start : start + heads[place]])
        starts.append(self._base + len(entries))
        heads.append(len(head))
        entries += head
        entries += value
        if len(entries) > LIMIT:
            raise ValueError
        self._size += _least(len(head) + len(value))
        if self._size > self._maximum:
            self._evict()

    def _evict(self) -> None:
        """Forget the oldest entries, as far as they are gone for certain."""
        starts, end = self._starts, self._base + len(self._entries)
        gone, count = self._base, len(starts)
        evicted = 0
        while self._size > self._maximum:
            evicted += 1
            following = starts[evicted] if evicted < count else end
            self._size -= _least(following - gone)
            gone = following
        if evicted:
            del self._entries[: gone - self._base], starts[:evicted], self._heads[:evicted]
            self._base = gone


def _least(length: int) -> int:
    """The size of an entry whose literal takes *length* bytes: as HPACK counts it, or less."""
    return OVERHEAD + (length - _LENGTHS) * 8 // LONGEST_CODE if length > _LENGTHS else OVERHEAD


def _past_string(block: bytes, at: int) -> int:
    """The position after a string (section 5.2), which may be behind the block's end."""
    length = block[at] & 0x7F
    at += 1
    if length == 0x7F:
        length, at = integer(block, at, length)
    return at + length
