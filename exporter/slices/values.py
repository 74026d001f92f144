"""SliceValues: which of the followed values of a slice each row has.

Promises: no Python statement per row unless types are mixed; at most *limit* values are ever followed, the
rest is one position more. Values become labels as they are only where they are the user's own (declared, or
in a training baseline); else they are hashed: whatever a client sends must not be readable on a dashboard.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final, TypeAlias

import numpy as np

from exporter.profile.textual import category_text, count_texts
from exporter.rows import Values
from exporter.sketch import CategoryBins

Codes: TypeAlias = "np.ndarray[Any, np.dtype[np.intp]]"

OTHER: Final = "other"
"""Label of all rows whose value is not followed, is missing or no category; a category of this name, too."""

_REMEMBERED: Final = 10_000
_SCALARS: Final = (str, bytes, bool, int, float)


class _Lookup(dict[Any, int]):
    """Code by raw value of one type; of those seen first, as many as are remembered."""

    def __init__(self, positions: dict[str, int], other: int) -> None:
        super().__init__()
        self._positions = positions
        self._other = other

    def __missing__(self, value: Any) -> int:
        try:
            text = category_text(value)
        except TypeError:
            return self._other
        code = self._other if text is None else self._positions.get(text, self._other)
        if len(self) < _REMEMBERED:
            self[value] = code
        return code


class SliceValues:
    """The followed values of one slice.

    *chosen* are they, in order, as far as they are known beforehand; else the first batches choose: each
    fills the places that are left by its most frequent values.

    >>> values = SliceValues(2, ("AA", "UA"), plain=True)
    >>> values.codes(["UA", None, "AA", "??"]).tolist(), values.labels
    ([1, 2, 0, 2], ('AA', 'UA', 'other'))
    >>> SliceValues(2, (), plain=False).codes(["b", "a", "a", "c"]).tolist()
    [1, 0, 0, 2]
    """

    __slots__ = ("_chosen", "_fixed", "_lookups", "_plain", "_positions", "limit")

    def __init__(self, limit: int, chosen: Sequence[str] = (), *, plain: bool) -> None:
        self.limit = limit
        self._plain = plain
        self._chosen = [value for value in chosen if value != OTHER][:limit]
        self._fixed = bool(self._chosen)
        self._positions = {value: at for at, value in enumerate(self._chosen)}
        self._lookups: dict[type, _Lookup] = {}

    @property
    def chosen(self) -> tuple[str, ...]:
        """The values, in order of their codes; the rest has the code `limit`."""
        return tuple(self._chosen)

    @property
    def labels(self) -> tuple[str, ...]:
        """One for each of `chosen`, and the last for the rest; no two are equal."""
        labels: list[str] = []
        for value in self._chosen:
            label = CategoryBins((value,)).labels[0].partition(" ")[2] if self._plain else ""
            if label in ("", OTHER, *labels):
                label = "#" + blake2b(value.encode("utf-8", "backslashreplace"), digest_size=4).hexdigest()
            labels.append(label)
        return (*labels, OTHER)

    def restore(self, chosen: Sequence[str]) -> None:
        """Follow *chosen* from now on; nothing has been asked yet."""
        if not self._fixed:
            self._choose(chosen)

    def _choose(self, texts: Sequence[str]) -> None:
        for text in texts:
            if len(self._chosen) < self.limit and text != OTHER and text not in self._positions:
                self._positions[text] = len(self._chosen)
                self._chosen.append(text)
                self._lookups.clear()

    def codes(self, values: Values) -> Codes:
        """The position of each of *values* in `chosen`, `limit` for the rest: shape (rows,). Never raises."""
        if not self._fixed and len(self._chosen) < self.limit:
            counts = count_texts(values).counts
            self._choose(sorted(counts, key=lambda text: (-counts[text], text)))
        if isinstance(values, np.ndarray):
            if values.ndim != 1:
                return np.full(len(values), self.limit, np.intp)
            if values.dtype.kind in "biuf":
                different, inverse = np.unique(values, return_inverse=True)
                lookup = self._lookup(different.dtype.type)
                return np.fromiter(map(lookup.__getitem__, different), np.intp, different.size)[inverse]
            values = values.tolist()
        kinds = set(map(type, values)) - {type(None)}
        if not kinds:
            return np.full(len(values), self.limit, np.intp)
        if len(kinds) == 1 and (kind := next(iter(kinds))) in _SCALARS:
            return np.fromiter(map(self._lookup(kind).__getitem__, values), np.intp, len(values))
        return np.array([self._code(value) for value in values], np.intp)

    def _code(self, value: object) -> int:
        return self._lookup(type(value))[value] if type(value) in _SCALARS else self.limit

    def _lookup(self, kind: type) -> _Lookup:
        found = self._lookups.get(kind)
        if found is None:
            found = self._lookups[kind] = _Lookup(self._positions, self.limit)
        return found
