"""HPACK: the fields of HTTP/2's header blocks (RFC 7541), in one direction of one connection.

Promises: an honest encoder's block gives exactly its fields, of those that are wanted. After `Table.forget`
(bytes are missing) that still holds, but for fields that refer to entries from before: those are `UNKNOWN`.
Nothing is guessed there: an index counts from the newest entry, so the place of every entry added since is
exact, however many older ones there are; and an encoder never refers to an entry that was evicted, so to keep
one too long changes no field into another. That is why a string that nobody wants is not decoded, though its
entry's size is then only known from below.
Memory: entries of at most `CAP` bytes as HPACK counts them (32 for each), and less as long as the decoding
side's SETTINGS allow less; of one block at most *limit* bytes of fields, counted alike.
Refuses: indices beyond the table, tables above what was allowed, strings and integers that overrun.

The library hpack lends its Huffman and static tables and judges this file in the tests. Its `Decoder` is not
used: it writes header values into its log at level DEBUG, ends at the first unknown index, and takes 20 µs
for a call with a new trace id where this takes 2 (strings not wanted or seen before are not decoded).
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from typing import Final, TypeAlias

from hpack.exceptions import HPACKDecodingError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from sidecar.packing import DEFAULT, LONGEST_CODE, OVERHEAD, STATIC_END, integer

Field: TypeAlias = tuple[bytes, bytes]
"""Name and value."""

UNKNOWN: Final[Field] = (b"", b"")
"""A field that refers to what was not seen. Names of other fields are never empty."""

_Entry: TypeAlias = tuple[bytes, bytes, int]
# Name, value (empty where it is not wanted), and size as HPACK counts it or less.

CAP: Final = 65_536
"""The largest table that is followed: Chromium's, nghttp2's and nginx' largest; gRPC's is 4,096."""

_UNKNOWN: Final[_Entry] = (*UNKNOWN, OVERHEAD)
_STATIC: Final[tuple[_Entry, ...]] = (
    _UNKNOWN,  # indices begin at 1
    *((name, value, len(name) + len(value) + OVERHEAD) for name, value in HeaderTable.STATIC_TABLE),
)


class BlockError(Exception):
    """A block that is not HPACK, or that this table can not have been meant for."""


class LongBlockError(Exception):
    """A block whose fields are longer than the limit."""


class Table:
    """The dynamic table of one direction; fields of *wanted* names (lower case) are told, others passed over.

    >>> table = Table(frozenset({b":method", b":path"}))
    >>> table.decode(bytes.fromhex("82 44 03 2f 6d 31"), 4096)  # :method GET; :path /m1, to be remembered
    [(b':method', b'GET'), (b':path', b'/m1')]
    >>> table.decode(bytes.fromhex("be"), 4096)  # the newest entry
    [(b':path', b'/m1')]
    >>> table.forget()
    >>> table.decode(bytes.fromhex("82 be"), 4096)
    [(b':method', b'GET'), (b'', b'')]
    """

    __slots__ = ("_allowed", "_entries", "_maximum", "_size", "_tail", "_wanted", "changes")

    def __init__(self, wanted: frozenset[bytes]) -> None:
        self._wanted = wanted
        self._entries: deque[_Entry] = deque()  # the newest first
        self._size = 0
        self._maximum = DEFAULT
        self._allowed = DEFAULT
        self._tail = False  # there may be entries behind those that are known
        self.changes = 0
        """Goes up with every block after which equal bytes may mean other fields."""

    def allow(self, size: int) -> None:
        """The decoding side lets the table grow to *size* bytes (SETTINGS_HEADER_TABLE_SIZE).

        When it lets it shrink the encoder will say so in a block; until then both sides use the larger one.
        """
        self._allowed = max(self._allowed, min(size, CAP))

    def forget(self) -> None:
        """Bytes of this direction are missing: what the table holds is not known any more."""
        self._entries.clear()
        self._size = 0
        self._tail = True
        self._allowed = CAP  # SETTINGS may have been among what is missing
        self.changes += 1

    def restore(self, block: bytes) -> None:
        """After `forget`: *block* makes of an empty table the one that was forgotten, or nothing is known.

        >>> table = Table(frozenset({b":path"}))
        >>> table.forget()
        >>> table.restore(bytes.fromhex("44 03 2f 6d 31"))
        >>> table.decode(bytes.fromhex("be"), 4096)
        [(b':path', b'/m1')]
        """
        self.forget()
        self._tail = False
        self._maximum = DEFAULT
        try:
            self.decode(block, 2 * CAP)
        except (BlockError, LongBlockError):
            self.forget()

    def restart(self) -> None:
        """The connection turns out to begin here: the table is empty."""
        self._tail = False

    def decode(self, block: bytes, limit: int) -> list[Field]:
        """The wanted fields of *block*, among them `UNKNOWN`; raises `BlockError` or `LongBlockError`.

        The latter when all fields together take more than *limit* bytes. After either the table is not that
        of the encoder any more.
        """
        try:
            return self._decode(block, limit)
        except (IndexError, ValueError, HPACKDecodingError) as error:
            raise BlockError from error

    def _decode(self, block: bytes, limit: int) -> list[Field]:
        wanted = self._wanted
        fields: list[Field] = []
        position, end, total = 0, len(block), 0
        while position < end:
            byte = block[position]
            position += 1
            if byte >= 0x80:  # section 6.1: an indexed field
                index = byte & 0x7F
                if index == 0x7F:
                    index, position = integer(block, position, index)
                name, value, size = _STATIC[index] if 0 < index < STATIC_END else self._entry(index)
            elif 0x20 <= byte < 0x40:  # section 6.3: a change of the table's size
                size = byte & 0x1F
                if size == 0x1F:
                    size, position = integer(block, position, size)
                if total:
                    raise BlockError  # section 4.2: "MUST occur at the beginning of the first header block"
                self._resize(size)
                continue
            else:  # sections 6.2.1, 6.2.2 and 6.2.3: a literal, to be remembered or not
                mask = 0x3F if byte >= 0x40 else 0x0F
                index = byte & mask
                if index == mask:
                    index, position = integer(block, position, index)
                if index:
                    name = (_STATIC[index] if index < STATIC_END else self._entry(index))[0]
                else:
                    text, coded, position = _string(block, position, end)
                    name = _decoded(text) if coded else text
                text, coded, position = _string(block, position, end)
                if name in wanted:
                    value = _decoded(text) if coded else text
                    size = len(name) + len(value) + OVERHEAD
                else:
                    value = b""
                    size = len(name) + (len(text) * 8 // LONGEST_CODE if coded else len(text)) + OVERHEAD
                if byte >= 0x40:
                    self._entries.appendleft((name, value, size))
                    self.changes += 1
                    self._size += size
                    if self._size > self._maximum:
                        self._evict()
            total += size
            if total > limit:
                raise LongBlockError
            if name in wanted or not name:
                fields.append((name, value))
        return fields

    def _entry(self, index: int) -> _Entry:
        index -= STATIC_END
        if 0 <= index < len(self._entries):
            return self._entries[index]
        if self._tail and 0 <= index < CAP // OVERHEAD:
            return _UNKNOWN
        raise BlockError

    def _resize(self, maximum: int) -> None:
        if maximum > self._allowed:
            raise BlockError
        self.changes += 1
        self._maximum = maximum
        if maximum == 0:
            self._tail = False  # empty for certain
        self._evict()

    def _evict(self) -> None:
        # An entry larger than the table goes as well, and so do all others: section 4.4.
        entries, size, maximum = self._entries, self._size, self._maximum
        while size > maximum:
            size -= entries.pop()[2]
        self._size = size


def _string(block: bytes, position: int, end: int) -> tuple[bytes, bool, int]:
    """A string (section 5.2) as it is there, whether that is Huffman code, and the position after it."""
    first = block[position]
    length = first & 0x7F
    position += 1
    if length == 0x7F:
        length, position = integer(block, position, length)
    stop = position + length
    if stop > end:
        raise BlockError
    return block[position:stop], first >= 0x80, stop


_SHORT = 64


def _decoded(text: bytes) -> bytes:
    return _known(text) if len(text) <= _SHORT else decode_huffman(text)


@lru_cache(maxsize=512)
def _known(text: bytes) -> bytes:
    """Huffman code decoded: 0.15 µs a byte, and nearly always of a string that was there before."""
    return decode_huffman(text)
