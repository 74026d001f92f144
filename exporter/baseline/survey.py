"""Survey: the first reading of a file, which finds each column's kind, extremes, quantiles and categories.

Promises: bounded memory (`EXACT_VALUES` numbers and `DICTIONARY` categories a column), and the same result
every time: where a column does not fit, the part that is kept is drawn with a fixed seed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

from exporter.baseline import entries
from exporter.baseline.hours import NO_HOUR
from exporter.baseline.vectors import VectorSurvey
from exporter.profile.kinds import TEXT_LENGTH
from exporter.rows import Role
from exporter.schema import ColumnSpec, Kind
from exporter.sketch.cardinality import Distinct
from exporter.sketch.moments import Moments

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

#: Numbers kept over all columns, 268 MB of float64: quantiles are exact up to here (10 columns of 3.3 million
#: rows), beyond from a random sample of as many (of 300,000 or more a column: rank error below 0.2 %).
EXACT_VALUES: Final = 1 << 25
SMALLEST_SAMPLE: Final = 65_536
#: Different categories counted in a column; more make it text, or lose the rarest where it is declared
#: categorical.
DICTIONARY: Final = 50_000
#: Texts of which every fifth is new are names of rows, not categories; below 100 different ones nobody can
#: tell.
_FEW: Final = 100
_REPEATED: Final = 5


@dataclass(slots=True)
class Sample:
    """At most *limit* of the values added: all of them while they fit, then each with the same chance.

    >>> sample = Sample(4)
    >>> sample.add(np.arange(3.0))
    >>> sample.complete, sample.values().tolist()
    (True, [0.0, 1.0, 2.0])
    >>> sample.add(np.arange(50.0))
    >>> sample.complete, sample.values().size <= 4
    (False, True)
    """

    limit: int
    complete: bool = True
    _chance: float = 1.0
    _size: int = 0
    _parts: list[Floats] = field(default_factory=list)
    _random: np.random.Generator = field(default_factory=lambda: np.random.Generator(np.random.PCG64(0)))

    def add(self, values: Floats) -> None:
        """Add *values*, shape (n,)."""
        if not self.complete:
            values = values[self._random.random(values.size) < self._chance]
        self._parts.append(values)
        self._size += values.size
        while self._size > self.limit:
            kept = self.values()
            kept = kept[self._random.random(kept.size) < 0.5]
            self._parts, self._size = [kept], kept.size
            self._chance /= 2
            self.complete = False

    def values(self) -> Floats:
        """What is kept, shape (n,)."""
        if len(self._parts) != 1:
            self._parts = [np.concatenate(self._parts)] if self._parts else [np.empty(0)]
        return self._parts[0]


@dataclass(slots=True)
class Category:
    """A category in the dictionary: its count, and the first and last wall clock hour it was seen in."""

    count: int = 0
    first: int = -NO_HOUR
    last: int = NO_HOUR


@dataclass(slots=True)
class ColumnSurvey:
    """What the first reading found in one column; `add` takes one batch."""

    name: str
    position: int
    role: Role
    spec: ColumnSpec | None
    from_csv: bool
    sample: Sample
    """Of the finite numbers, of a text's lengths, or of an embedding's norms."""
    kind: Kind | None = None
    """None until an entry is not missing."""
    unmonitored: str | None = None
    """Why the column can not be monitored."""
    canonical: bool = False
    """The texts are numbers that a CSV writer wrote out."""
    rows: int = 0
    missing: int = 0
    mismatched: int = 0
    infinite: int = 0
    example: str = ""
    """The first mismatched entry."""
    moments: Moments = field(default_factory=Moments)
    distinct: Distinct = field(default_factory=Distinct)
    dictionary: dict[str, Category] = field(default_factory=dict)
    dictionary_complete: bool = True
    vectors: VectorSurvey = field(default_factory=VectorSurvey)
    """Of an embedding."""
    _characters: int = 0

    def add(self, array: pa.Array, hours: Integers | None) -> None:
        """One batch; *hours* are its wall clock hours, shape (rows,), `NO_HOUR` where unknown."""
        self.rows += len(array)
        if self.unmonitored is None and self.kind is None:
            self._decide(array)
        if self.unmonitored is not None or self.kind is None:
            self.missing += array.null_count
        elif self.kind in ("categorical", "boolean"):
            self._add_categories(array, hours)
        else:
            self._add_numbers(array)

    def _decide(self, array: pa.Array) -> None:
        found = entries.infer(array, self.from_csv)
        if found is None:
            return
        declared = self.spec.kind if self.spec is not None else None
        if declared is not None:
            self.kind = declared
            self.canonical = self.from_csv and found == "numeric"
        elif found in ("numeric", "categorical", "boolean", "embedding"):
            self.kind = found  # type: ignore[assignment]
        else:
            self.unmonitored = found

    @property
    def may_become_text(self) -> bool:
        """True while categories may turn out to be too many."""
        declared = self.spec is not None and (self.spec.kind is not None or self.spec.categories is not None)
        return self.kind == "categorical" and not declared

    def _add_numbers(self, array: pa.Array) -> None:
        assert self.kind is not None
        read = entries.numbers(array, self.kind)
        self._count_mismatches(read.mismatched, array)
        present = read.values[~np.isnan(read.values)]
        self.missing += int(read.values.size - present.size - np.count_nonzero(read.mismatched))
        finite = present[np.isfinite(present)]
        self.infinite += present.size - finite.size
        self.sample.add(finite)
        self.moments.update(finite)
        if self.kind == "embedding":
            self.vectors.add(array)
        if self.kind == "text":
            self.distinct.update(entries.different_texts(array))
        else:
            self.distinct.update(present)

    def _add_categories(self, array: pa.Array, hours: Integers | None) -> None:
        assert self.kind is not None
        read = entries.categories(array, self.kind, self.canonical)
        self._count_mismatches(read.mismatched, array)
        valid = read.codes >= 0
        self.missing += int(read.codes.size - np.count_nonzero(valid) - np.count_nonzero(read.mismatched))
        codes = read.codes[valid]
        counts = np.bincount(codes, minlength=len(read.names))
        first = np.full(len(read.names), -NO_HOUR)
        last = np.full(len(read.names), NO_HOUR)
        if hours is not None:
            known = hours[valid] != NO_HOUR
            np.minimum.at(first, codes[known], hours[valid][known])
            np.maximum.at(last, codes[known], hours[valid][known])
        seen = zip(read.names, counts.tolist(), first.tolist(), last.tolist(), strict=True)
        for name, count, start, end in seen:
            category = self.dictionary.setdefault(name, Category())
            category.count += count
            category.first = min(category.first, start)
            category.last = max(category.last, end)
        self.distinct.update(read.names)
        if self.may_become_text:
            lengths = entries.numbers(array, "text").values[valid]  # names are cut at 200 characters
            self._characters += int(lengths.sum())
            self.sample.add(lengths)
            self.moments.update(lengths)
        if len(self.dictionary) > DICTIONARY:
            if self.may_become_text:
                self._become_text()
            else:
                self._forget_rarest()

    def _count_mismatches(self, mismatched: entries.Booleans, array: pa.Array) -> None:
        count = int(np.count_nonzero(mismatched))
        if count and not self.mismatched:
            self.example = repr(array[int(np.argmax(mismatched))].as_py())[:60]
        self.mismatched += count

    def _become_text(self) -> None:
        self.kind = "text"
        self.dictionary = {}

    def _forget_rarest(self) -> None:
        self.dictionary_complete = False
        ordered = sorted(self.dictionary.items(), key=lambda item: (-item[1].count, item[0]))
        self.dictionary = dict(ordered[: DICTIONARY // 2])

    def resolve(self) -> None:
        """After the last batch: texts that are too long or too many to be categories become a text column."""
        valid = self.rows - self.missing - self.mismatched
        if not self.may_become_text or not valid:
            return
        many = len(self.dictionary) > max(_FEW, valid / _REPEATED)
        if many or self._characters > TEXT_LENGTH * valid:
            self._become_text()

    @property
    def distinct_count(self) -> float:
        """Different values, exact where everything was kept."""
        if self.kind in ("categorical", "boolean"):
            return float(len(self.dictionary)) if self.dictionary_complete else self.distinct.estimate()
        if self.kind != "text" and self.sample.complete and not self.infinite:
            return float(np.unique(self.sample.values()).size)
        return self.distinct.estimate()
