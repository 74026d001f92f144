"""Hashes that are the same in every process and on every machine, 64 bits, for counting distinct values.

Not keyed and not meant against an adversary: who chooses the values can choose what a count of them shows.
Python's own ``hash(str)`` is salted per process, so sketches of two processes would not merge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias
from zlib import adler32, crc32

import numpy as np

from exporter.sketch.bins import Floats

Hashes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint64]]"

# SplitMix64's finaliser: Steele, Lea, Flood 2014, Fast splittable pseudorandom number generators; constants
# are variant 13 of Stafford 2011. Made once, because creating a numpy scalar costs as much as using it.
_SHIFT_1: Final = np.uint64(30)
_SHIFT_2: Final = np.uint64(27)
_SHIFT_3: Final = np.uint64(31)
_FACTOR_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_FACTOR_2: Final = np.uint64(0x94D049BB133111EB)
_HALF: Final = np.uint64(32)


def hash_numbers(values: Floats) -> Hashes:
    """Hashes of float64 *values*, uint64 of the same shape (n,); 0.0 and -0.0 hash alike. 6 µs per 1,000.

    >>> hash_numbers(np.array([0.0, -0.0])).tolist()
    [16294208416658607535, 16294208416658607535]
    """
    # -0.0 + 0.0 is 0.0; the copy is what the mixing then works in. Without the constant, 0.0 would hash to 0.
    mixed: Hashes = (values + 0.0).view(np.uint64)
    mixed += np.uint64(0x9E3779B97F4A7C15)
    return _mix(mixed)


def hash_texts(texts: Sequence[str]) -> Hashes:
    """Hashes of *texts* (str without lone surrogates), uint64, shape (n,). 0.12 µs each.

    CRC-32 and Adler-32 side by side, mixed. Two texts of one length collide only when both do: about 2⁻⁵⁰ for
    words of ten letters. Measured against 0.31 µs of blake2b; a numpy hash over padded texts takes 0.11 µs
    but as much memory as n times the longest.

    >>> hash_texts(["é", "日本"]).tolist() == hash_texts(["é", "日本"]).tolist()
    True
    """
    encoded = list(map(str.encode, texts))
    mixed = np.fromiter(map(crc32, encoded), np.uint64, len(encoded))
    mixed <<= _HALF
    mixed |= np.fromiter(map(adler32, encoded), np.uint64, len(encoded))
    return _mix(mixed)


def _mix(words: Hashes) -> Hashes:
    """Spreads each word over all 64 bits, in place; a bijection, so it adds no collision."""
    words ^= words >> _SHIFT_1
    words *= _FACTOR_1
    words ^= words >> _SHIFT_2
    words *= _FACTOR_2
    words ^= words >> _SHIFT_3
    return words
