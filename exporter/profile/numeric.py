"""Values to numbers: what of a column counts as a number, a missing entry, or neither.

| found | meaning for ``numeric`` |
|---|---|
| int, float, bool, numpy scalars, Decimal | the nearest float64; True is 1, False is 0 |
| int beyond float64 (10⁴⁰⁰) | inf, or -inf when negative |
| ±inf | stays: counted as infinite by the profile |
| None, NaN of any type | missing |
| str, bytes, list, dict, complex, dates, anything else | type mismatch; text is never parsed |

Integers above 2⁵³ are rounded to the nearest float64.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from exporter.rows import Values
from exporter.sketch import Floats

_NONE = np.empty(0, np.float64)


class Numbers(NamedTuple):
    """The numbers of a column, and how many entries were of another type."""

    values: Floats
    """float64, shape (n,), in any order; a missing entry is NaN."""
    mismatch: int
    """Entries that are not in `values`."""


def read_numbers(values: Values) -> Numbers:
    """The numbers in *values*, an array of shape (n,) or a sequence of Python objects. Never raises.

    Lists of numbers take 11 ns a value, with some None 30 ns; any text, date or huge integer among them
    sends the whole batch over the careful path, 150 ns a value.

    >>> read_numbers([1, None, True, "1.5", -(10**400)])
    Numbers(values=array([  1.,  nan,   1., -inf]), mismatch=1)
    """
    if isinstance(values, np.ndarray):
        if values.ndim == 1 and values.dtype == np.float64:
            return Numbers(values, 0)
        if values.ndim == 1 and values.dtype.kind in "biuf":
            with np.errstate(over="ignore"):  # a longdouble beyond float64 becomes inf, as an int does
                return Numbers(values.astype(np.float64, copy=False), 0)
        if values.ndim != 1 or values.dtype.kind in "cmM":  # complex, time span, date: no number
            return Numbers(_NONE, len(values))
        entries: Sequence[object] = values.tolist()
    else:
        entries = values
    # array("d", …) takes what has a float value and refuses the rest, text above all, where
    # np.array(["1.5"], dtype=float) would parse it.
    try:
        return Numbers(_as_floats(entries), 0)
    except (TypeError, ValueError, OverflowError):
        pass
    try:
        return Numbers(_as_floats([math.nan if entry is None else entry for entry in entries]), 0)
    except (TypeError, ValueError, OverflowError):
        return _read_carefully(entries)


def _as_floats(values: Sequence[Any]) -> Floats:
    return np.frombuffer(array("d", values), np.float64)


def _read_carefully(values: Sequence[Any]) -> Numbers:
    numbers: list[float] = []
    mismatch = 0
    for value in values:
        if value is None:
            value = math.nan
        try:
            numbers.append(array("d", (value,))[0])
        except OverflowError:  # an integer or fraction beyond float64; its sign needs no float
            numbers.append(math.inf if value > 0 else -math.inf)
        except (TypeError, ValueError):
            mismatch += 1
    return Numbers(np.array(numbers, dtype=np.float64), mismatch)


def read_norms(values: Values) -> Numbers:
    """The L2 norm of each row of *values*: an array of shape (rows, width) or a sequence of lists of numbers.

    None, an empty row and a row with a NaN or None in it are missing. A row that is no list of numbers is a
    mismatch. A norm beyond float64 is inf.

    >>> read_norms([[3.0, 4.0], None, "text", [1.0, None]])
    Numbers(values=array([ 5., nan, nan]), mismatch=1)
    """
    if isinstance(values, np.ndarray):
        if values.ndim != 2 or values.dtype.kind not in "biuf":
            return Numbers(_NONE, len(values)) if values.dtype != object else read_norms(values.tolist())
        return Numbers(_norms(values.astype(np.float64, copy=False)), 0)
    numbers: list[float] = []
    mismatch = 0
    for row in values:
        if row is None:
            numbers.append(math.nan)
            continue
        read = read_numbers(row) if isinstance(row, (list, tuple, np.ndarray)) else None
        if read is None or read.mismatch:
            mismatch += 1
        else:
            numbers.append(float(_norms(read.values[np.newaxis, :])[0]))
    return Numbers(np.array(numbers, dtype=np.float64), mismatch)


def _norms(rows: Floats) -> Floats:
    if not rows.shape[1]:
        return np.full(len(rows), np.nan)
    with np.errstate(over="ignore"):  # 1e200² is inf, and the norm is then inf: counted, not raised
        return to_single(np.sqrt(np.einsum("ij,ij->i", rows, rows)))


def to_single(values: Floats) -> Floats:
    """*values* with the 24 significant bits of a float32, and float64's range.

    What is summed over a vector differs in its last digits by the order of summation, and the norms of unit
    vectors by no more than that: bins, and how often a value comes, must not depend on it.

    >>> to_single(np.array([1.0 + 1e-12, 0.1, np.inf, 1e300])).tolist()
    [1.0, 0.10000000149011612, inf, 9.999999800371198e+299]
    """
    mantissa, exponent = np.frexp(values)
    with np.errstate(over="ignore"):
        rounded: Floats = np.ldexp(np.rint(mantissa * 2.0**24) / 2.0**24, exponent)
    return rounded
