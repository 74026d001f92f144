"""Sketches as bytes, to be kept: what their `to_bytes` give, in less room.

Registers of HyperLogLog, which there are beyond 256 different values, are 2,048 bytes of a few small numbers:
coded by how frequent each is (Huffman's code alone, no search for repetitions) they are 0.75 kB, and that
takes 9 µs. The other parts are then all but random: zlib over all of it took 31 µs and gave 3.5 kB where this
gives 3.1. Where values repeat, or texts are long, zlib over all of it is worth its time: 1.9 kB of 4.5.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

from exporter.profile import Sketches
from exporter.sketch import Distinct, Frequent, Quantiles

_WHOLE: Final = b"Z"
_PARTS: Final = b"H"
_HEAD: Final = struct.Struct("<cHH")
#: Frequent values that take more are long texts, or repeat, and so do the quantiles.
_REPEATING: Final = 128
#: No sketches are larger (64 texts of 200 characters, 12 bytes each in JSON): damage must not cost memory.
_LARGEST: Final = 1 << 18


def freeze(sketches: Sketches) -> bytes:
    """*sketches* as bytes: a tag and, of registers, lengths, then quantiles, distinct and frequent values."""
    frequent = sketches.frequent.to_bytes()
    if not sketches.distinct.error() or len(frequent) > _REPEATING:
        return _WHOLE + zlib.compress(sketches.to_bytes(), 1)
    quantiles = b"" if sketches.quantiles is None else sketches.quantiles.to_bytes()
    coder = zlib.compressobj(1, zlib.DEFLATED, -15, 8, zlib.Z_HUFFMAN_ONLY)
    distinct = coder.compress(sketches.distinct.to_bytes()) + coder.flush()
    head = _HEAD.pack(_PARTS, len(quantiles), len(distinct))
    return b"".join((head, quantiles, distinct, frequent))


def thaw(data: bytes) -> Sketches:
    """What `freeze` gave. Raises ValueError for anything else."""
    tag = data[:1]
    try:
        if tag == _WHOLE:
            return Sketches.from_bytes(zlib.decompressobj().decompress(data[1:], _LARGEST))
        if tag != _PARTS or len(data) < _HEAD.size:
            raise ValueError(f"sketches: expected bytes that begin {_WHOLE!r} or {_PARTS!r}, found {tag!r}")
        _, quantiles, distinct = _HEAD.unpack_from(data)
        first, second = _HEAD.size + quantiles, _HEAD.size + quantiles + distinct
        registers = zlib.decompressobj(-15).decompress(data[first:second], _LARGEST)
    except zlib.error as error:
        raise ValueError(f"sketches: {error}") from None
    sketches = Sketches(numeric=False)
    if quantiles:
        sketches.quantiles = Quantiles.from_bytes(data[_HEAD.size : first])
    sketches.distinct = Distinct.from_bytes(registers)
    sketches.frequent = Frequent.from_bytes(data[second:])
    return sketches
