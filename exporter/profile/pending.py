"""Pending: small batches of one column, put together until reading them is worth its fixed cost.

Reading a batch takes 30 µs before its first value, and a request with one row would pay that for each of its
columns. Put together, a single row costs 0.8 µs, of 256 at once.
Promises: at most 511 values wait, of 8 bytes each or as texts of at most 200 characters. What is larger or
of a type unusual for the kind is refused, and read at once.
"""

from __future__ import annotations

from array import array
from math import nan
from typing import Any, Final

import numpy as np

from exporter.profile.textual import TEXT_CHARACTERS
from exporter.rows import Values
from exporter.schema import Kind

#: Values at which a batch is read at once, and at which those that wait are read.
ENOUGH: Final = 256

_PLAIN: Final = frozenset({type(None), bool, int, float})


class Pending:
    """Values of one column that wait to be read.

    >>> pending = Pending("numeric")
    >>> pending.offer([1.0, None]), pending.offer(["text"]), pending.offer(np.zeros(500))
    (True, False, False)
    >>> pending.take(), len(pending)
    (array([ 1., nan]), 0)
    """

    __slots__ = ("_numbers", "_texts")

    def __init__(self, kind: Kind) -> None:
        # At most one of them is in use: text and embedding rows are large, and worth reading one by one.
        self._numbers = array("d") if kind in ("numeric", "boolean") else None
        self._texts: list[object] | None = [] if kind == "categorical" else None

    def __len__(self) -> int:
        return len(self._numbers or self._texts or ())

    @property
    def enough(self) -> bool:
        """Whether it is time to read."""
        return len(self) >= ENOUGH

    def offer(self, values: Values) -> bool:
        """Keeps a copy of *values* and says so; False, nothing kept, when they are better read at once."""
        if len(values) >= ENOUGH:
            return False
        if self._numbers is not None:
            return _extend(self._numbers, values)
        if self._texts is None or isinstance(values, np.ndarray) or not all(map(_is_small, values)):
            return False
        self._texts.extend(values)
        return True

    def take(self) -> Values:
        """What was kept, oldest first, None as NaN among numbers; afterwards nothing is kept."""
        if self._numbers is not None:
            numbers, self._numbers = self._numbers, array("d")
            return np.frombuffer(numbers, np.float64)
        texts, self._texts = self._texts or [], []
        return texts


def _extend(numbers: array[float], values: Any) -> bool:
    if isinstance(values, np.ndarray):
        if values.ndim != 1 or values.dtype.kind not in "biuf":
            return False
        values = values.tolist()
    try:
        numbers.extend(array("d", values))
    except (TypeError, ValueError, OverflowError):
        try:
            numbers.extend(array("d", [nan if value is None else value for value in values]))
        except (TypeError, ValueError, OverflowError):
            return False
    return True


def _is_small(value: object) -> bool:
    return len(value) <= TEXT_CHARACTERS if type(value) is str else type(value) in _PLAIN
