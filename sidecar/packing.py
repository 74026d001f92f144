"""Packing: what HPACK's header blocks are made of (RFC 7541), for the tap and for the reader."""

from __future__ import annotations

from typing import Final

STATIC_END: Final = 62
"""Indices below are the static table's: appendix A."""

DEFAULT: Final = 4096
"""Of a table: RFC 9113 section 6.5.2, the initial value of SETTINGS_HEADER_TABLE_SIZE."""

OVERHEAD: Final = 32
"""Section 4.1: "The size of an entry is the sum of its name's length in octets [...], its value's length in
octets [...], and 32." """

LONGEST_CODE: Final = 30
"""Bits of Huffman code: appendix B. So many make one byte at least."""


def integer(block: bytes, at: int, prefix: int) -> tuple[int, int]:
    """An integer (section 5.1) that filled its *prefix*, and the position after it.

    Raises ValueError above 28 bits, which is more than any block or table here may have, and IndexError where
    the *block* ends within it.

    >>> integer(bytes.fromhex("1f 9a 0a"), 1, 31)  # section C.1.2
    (1337, 3)
    """
    value = prefix
    for shift in (0, 7, 14, 21):
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError
