"""Values to texts: what of a column counts as a category, a missing entry, or neither.

| found | text |
|---|---|
| str | itself; a lone surrogate, which UTF-8 can not hold, is written ``\\ud800`` |
| bytes | decoded as UTF-8, what is no UTF-8 written ``\\xff`` |
| bool | ``true`` or ``false`` |
| int | decimal digits; hexadecimal beyond 4,300 of them |
| float | the fewest digits that read back the same in its own width; ``1`` for 1.0, ``0`` for -0.0 |
| None, NaN | missing |
| list, dict, dates, complex, anything else | type mismatch |

Texts of more than 200 characters are cut to 191 characters, "…" and 8 hex digits of their CRC-32, so that
one long text can not fill the memory and two of them still differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, cast
from zlib import crc32

import numpy as np

from exporter.rows import Values

TEXT_CHARACTERS: Final = 200
#: Integral floats below 2⁵³ are written as integers; above, not every integer is a float.
_EXACT: Final = 2.0**53


class Texts(NamedTuple):
    """The different texts of a column, how often each was seen, and how many entries were none."""

    counts: dict[str, int]
    missing: int
    mismatch: int

    @property
    def seen(self) -> int:
        """Entries that were texts."""
        return sum(self.counts.values())


def category_text(value: object) -> str | None:
    """The text of one *value*, None when it is missing. Raises TypeError when it is no category.

    >>> [category_text(v) for v in ("UA", b"caf\\xc3\\xa9 \\xff", True, 3, 3.0, 0.1, np.float32(0.1), None)]
    ['UA', 'café \\\\xff', 'true', '3', '3', '0.1', '0.1', None]
    """
    read = count_texts((value,))
    if read.mismatch:
        raise TypeError(f"category: expected text, number or boolean, found {type(value).__name__}")
    return next(iter(read.counts), None)


def count_texts(values: Values) -> Texts:
    """The texts in *values*, an array of shape (n,) or a sequence of Python objects. Never raises.

    A batch of str and None takes 40 ns a value; of other types, it is split by type first, 200 ns a value.

    >>> count_texts(["AA", "UA", None, "AA", ["no", "category"]])
    Texts(counts={'AA': 2, 'UA': 1}, missing=1, mismatch=1)
    """
    counts, missing, mismatch = count_raw(values)
    return Texts(bounded(counts), missing, mismatch)


def count_raw(values: Values) -> Texts:
    """The same before long texts are cut and surrogates written out, for those who need the length."""
    if isinstance(values, np.ndarray):
        if values.ndim != 1 or values.dtype.kind not in "biufOSU":
            return Texts({}, 0, len(values))
        if values.dtype.kind in "biuf":
            return _count_array(values)
        entries: Sequence[object] = values.tolist()
    else:
        entries = values
    try:
        counted = Counter(entries)
    except TypeError:  # a list or dict among them
        pass
    else:
        if all(type(entry) is str or entry is None for entry in counted):
            return Texts(cast("dict[str, int]", counted), counted.pop(None, 0), 0)
    # A Counter over all takes True, 1 and 1.0 for the same, since they are equal: so one type at a time.
    groups: dict[type, list[object]] = {}
    for entry in entries:
        groups.setdefault(type(entry), []).append(entry)
    total: Counter[str] = Counter()
    missing = mismatch = 0
    for kind, group in groups.items():
        read = _count_type(kind, group)
        total.update(read.counts)
        missing += read.missing
        mismatch += read.mismatch
    return Texts(dict(total), missing, mismatch)


def _count_type(kind: type, values: Sequence[Any]) -> Texts:
    """The texts in *values*, all of exactly the type *kind*."""
    if kind is type(None):
        return Texts({}, len(values), 0)
    counts: Counter[str] = Counter()
    if kind in (bool, int, float):
        missing = 0
        for value, count in Counter(values).items():
            if value != value:  # each NaN is a key of its own
                missing += count
            else:
                counts[_scalar_text(value)] += count
        return Texts(dict(counts), missing, 0)
    if issubclass(kind, str):
        return Texts(dict(Counter(map(str, values))), 0, 0)
    if issubclass(kind, bytes):
        for value, count in Counter(values).items():  # two invalid texts may decode alike
            counts[value.decode("utf-8", "backslashreplace")] += count
        return Texts(dict(counts), 0, 0)
    if issubclass(kind, np.generic):
        return count_raw(np.array(values))
    if issubclass(kind, int):  # IntEnum and the like
        return _count_type(int, list(map(int, values)))
    return Texts({}, 0, len(values))


def _count_array(values: np.ndarray[Any, np.dtype[Any]]) -> Texts:
    different, counts = np.unique(values, return_counts=True)
    missing = 0
    if different.dtype.kind == "f" and different.size and np.isnan(different[-1]):
        missing = int(counts[-1])  # NaN sorts last, and unique takes all NaN for one
        different, counts = different[:-1], counts[:-1]
    # tolist() would widen float32: its 0.1 would read 0.10000000149011612.
    scalars: Iterable[Any] = different if different.dtype.kind == "f" else different.tolist()
    return Texts(dict(zip(map(_scalar_text, scalars), counts.tolist(), strict=True)), missing, 0)


def _scalar_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)) and abs(float(value)) < _EXACT and float(value).is_integer():
        return str(int(value))
    try:
        return str(value)
    except ValueError:  # more than 4,300 digits, CPython's limit against slow conversions; hex has none
        return hex(value)


def bounded(counts: dict[str, int]) -> dict[str, int]:
    """*counts* with every text valid UTF-8 and of at most TEXT_CHARACTERS characters; equals are added."""
    if all(map(str.isascii, counts)) and max(map(len, counts), default=0) <= TEXT_CHARACTERS:
        return counts
    result: Counter[str] = Counter()
    for text, count in counts.items():
        result[_bounded_text(text)] += count
    return dict(result)


def _bounded_text(text: str) -> str:
    encoded = text.encode("utf-8", "backslashreplace")
    if len(text) > TEXT_CHARACTERS:
        return f"{encoded.decode()[: TEXT_CHARACTERS - 9]}…{crc32(encoded):08x}"
    return encoded.decode()
