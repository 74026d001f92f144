"""Sketches that other programs wrote with Apache DataSketches, read once, at import.

Promises: only reads; anything damaged is a ValueError.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import datasketches

from exporter.sketch.quantile import Quantiles

_KLL: Final = 15
"""The library's number for the family of sketches."""
_HEAD: Final = 5
_LONG_HEAD: Final = 6
"""Lengths of the head, in words of four bytes."""


class ForeignText(NamedTuple):
    """A frequent text and between which counts its own lies, both included."""

    text: str
    lower: int
    upper: int


def kll_doubles(data: bytes) -> Quantiles:
    """The ``kll_doubles_sketch`` in *data*. Raises ValueError.

    Versions of the library before 3.5, as whylogs has one, wrote a head of 24 bytes, of which later ones
    leave out the last four, which are empty.

    >>> kll_doubles(b"nothing")
    Traceback (most recent call last):
    ValueError: quantiles: expected a KLL sketch, found b'nothing'
    """
    if len(data) < 8 or data[2] != _KLL:
        raise ValueError(f"quantiles: expected a KLL sketch, found {data[:8]!r}")
    k = int.from_bytes(data[4:6], "little")
    if data[0] == _LONG_HEAD:
        data = bytes([_HEAD]) + data[1:20] + data[24:]
    return Quantiles.from_bytes(Quantiles._HEAD.pack(Quantiles._TAG, k, 0) + data)


def frequent_texts(data: bytes) -> list[ForeignText]:
    """All texts that the ``frequent_strings_sketch`` in *data* holds, most frequent first."""
    try:
        sketch: Any = datasketches.frequent_strings_sketch.deserialize(data)
        kind = datasketches.frequent_items_error_type.NO_FALSE_NEGATIVES
        found = sketch.get_frequent_items(kind, 0) if not sketch.is_empty() else []
    except (RuntimeError, ValueError, IndexError) as error:
        raise ValueError(f"frequent texts: {error}") from error
    texts = [ForeignText(str(text), int(lower), int(upper)) for text, _, lower, upper in found]
    return sorted(texts, key=lambda each: (-each.lower, each.text))


def distinct_estimate(data: bytes) -> float:
    """How many different values the ``hll_sketch`` in *data* has seen, about."""
    try:
        return float(datasketches.hll_sketch.deserialize(data).get_estimate())
    except (RuntimeError, ValueError, IndexError) as error:
        raise ValueError(f"distinct values: {error}") from error
