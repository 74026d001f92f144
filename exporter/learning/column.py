"""ColumnLearner: what a column without a baseline held, hour by hour, in bounded memory, until one is learnt.

Numbers are counted on log-linear cells, which no process has to agree on (`exporter.learning.loglinear`);
categories by name. Each hour keeps its counts, its exact sums and its extremes; a closed hour is compressed.

Promises: `merge` of any split and any order gives the same learner, so one recorder and twenty learn the same
baseline. The one exception is told: a column of more than `CATEGORIES` categories loses its rarest, and which
those are depends on who saw them (`complete` is then False).
Memory of a column over 14 days, measured: 0.11 to 0.16 MB at 50 rows an hour, 0.2 MB however many more; hours
beyond `HOURS` make room for later ones. Time: 0.16 ms per 1,000 numbers in batches of 1,000.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

import numpy as np

from exporter.learning.exact import ExactSums
from exporter.learning.loglinear import BITS, CELLS, LEAST_BITS, Cells, LogLinear, coarser
from exporter.profile import Batch, Tally
from exporter.schema import Kind
from exporter.sketch import Counts, Distinct, Floats

#: Hours that are kept: four weeks, twice what a calibration needs.
HOURS: Final = 28 * 24
#: Categories that are counted by name.
CATEGORIES: Final = 1_000
#: Numbers that wait to be counted together.
WAITING: Final = 2_000
_NUMERIC: Final[frozenset[Kind]] = frozenset({"numeric", "text", "embedding"})


class Hour:
    """One hour of one column. Of its cells it keeps the counts alone; what they hold, the column knows."""

    __slots__ = ("bits", "cells", "counters", "counts", "maximum", "minimum", "names", "sums")

    def __init__(self, numeric: bool) -> None:
        self.counters = [0, 0, 0, 0]
        """Rows, missing, mismatched, infinite."""
        self.bits = BITS
        self.cells: Cells = np.empty(0, np.int64)
        """Ascending, shape (C,), at most `CELLS`."""
        self.counts: Counts = np.empty(0, np.int64)
        self.minimum = math.inf
        self.maximum = -math.inf
        self.names: dict[str, int] = {}
        self.sums: ExactSums | None = ExactSums() if numeric else None

    def add_cells(self, bits: int, cells: Cells, counts: Counts) -> None:
        """Adds *counts* of *cells*; drops bits until no more than `CELLS` are occupied."""
        low = min(bits, self.bits)
        mine, theirs = coarser(self.cells, self.bits - low), coarser(cells, bits - low)
        self.bits, self.cells, self.counts = low, *_added(mine, self.counts, theirs, counts)
        while self.cells.size > CELLS:
            self.bits -= 1
            self.cells, self.counts = _added(
                coarser(self.cells, 1), self.counts, self.cells[:0], self.counts[:0]
            )

    def add(self, other: Hour) -> None:
        """Adds what *other* counted."""
        self.counters = [mine + theirs for mine, theirs in zip(self.counters, other.counters, strict=True)]
        self.add_cells(other.bits, other.cells, other.counts)
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        if self.sums is not None and other.sums is not None:
            self.sums.merge(other.sums)
        for name, count in other.names.items():
            self.names[name] = self.names.get(name, 0) + count

    @property
    def valid(self) -> int:
        """Finite numbers, or categories."""
        return int(self.counts.sum()) + sum(self.names.values())

    def freeze(self) -> bytes:
        """As compressed bytes; the same hour gives the same bytes."""
        plain: list[Any] = [self.counters, sorted(self.names.items()), None]
        if self.sums is not None:
            cells = [self.bits, np.diff(self.cells, prepend=0).tolist(), self.counts.tolist()]
            ends = [self.minimum, self.maximum] if self.cells.size else None
            plain[2] = [cells, ends, self.sums.to_bytes().decode("ascii")]
        return zlib.compress(json.dumps(plain, separators=(",", ":"), ensure_ascii=True).encode("ascii"), 6)

    @classmethod
    def thaw(cls, data: bytes) -> Hour:
        """What `freeze` wrote. Raises ValueError for anything else."""
        hour = cls(numeric=False)
        try:
            counters, names, numbers = json.loads(zlib.decompress(data))
            hour.counters = [int(count) for count in counters]
            rows, missing, mismatched, infinite = hour.counters
            hour.names = {str(name): int(count) for name, count in names}
            if numbers is not None:
                (bits, steps, counts), ends, sums = numbers
                hour.bits, hour.cells = int(bits), np.cumsum(np.array(steps, np.int64))
                hour.counts = np.array(counts, np.int64)
                hour.minimum, hour.maximum = (math.inf, -math.inf) if ends is None else map(float, ends)
                hour.sums = ExactSums.from_bytes(sums.encode("ascii"))
        except (zlib.error, ValueError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"learner's hour: {error}") from error
        least = min(rows, missing, mismatched, infinite, *hour.names.values(), *hour.counts.tolist())
        if least < 0 or not LEAST_BITS <= hour.bits <= BITS or hour.cells.shape != hour.counts.shape:
            raise ValueError("learner's hour: expected counts of 0 and more, one to a cell")
        return hour


def _added(left: Cells, one: Counts, right: Cells, two: Counts) -> tuple[Cells, Counts]:
    cells, inverse = np.unique(np.concatenate((left, right)), return_inverse=True)
    counts = np.zeros(cells.size, np.int64)
    np.add.at(counts, inverse, np.concatenate((one, two)))
    return cells, counts


class State(NamedTuple):
    """How far a column has learnt."""

    rows: int
    hours: int
    """With at least one row."""
    first: int
    last: int
    """Hour numbers; both 0 before the first row."""


class ColumnLearner:
    """One column; hours are numbers that ascend with time, the same ones in every process.

    >>> from exporter.profile import Layout
    >>> learner = ColumnLearner("numeric")
    >>> for hour, values in ((7, [1.0, None]), (8, [2.0])):
    ...     learner.add(hour, *Layout("numeric").read(values))
    >>> learner.state
    State(rows=3, hours=2, first=7, last=8)
    >>> ColumnLearner.from_document(learner.document()).document() == learner.document()
    True
    """

    def __init__(self, kind: Kind, hours: int = HOURS) -> None:
        self.kind: Kind = kind
        self.limit = hours
        self.numeric = kind in _NUMERIC
        self.distinct = Distinct()
        self.complete = True
        """False when categories had to be forgotten."""
        self.whole = True
        """Every number was a whole one."""
        self.cells = LogLinear()
        """Of numbers: what each cell holds, over all hours; the hours count by these cells or finer ones."""
        self._names: dict[str, int] = {}
        self._frozen: dict[int, bytes] = {}
        self._rows: dict[int, int] = {}
        self._open: Hour | None = None
        self._open_hour = 0
        self._waiting: list[Floats] = []
        """Numbers of the open hour that are not yet counted."""
        self._waiting_size = 0

    @property
    def state(self) -> State:
        """How far it is."""
        if not self._rows:
            return State(0, 0, 0, 0)
        return State(sum(self._rows.values()), len(self._rows), min(self._rows), max(self._rows))

    @property
    def nbytes(self) -> int:
        """Memory held now, about."""
        frozen = sum(len(data) + 33 + 200 for data in self._frozen.values())
        names = sum(150 + len(name) for name in self._names)
        live = 0 if self._open is None else 1_000 + 16 * self._open.cells.size + 150 * len(self._open.names)
        live += sum(part.nbytes + 100 for part in self._waiting)
        return frozen + names + live + self.cells.nbytes + self.distinct.nbytes

    def add(self, hour: int, tally: Tally, batch: Batch) -> None:
        """Adds one reading (`Layout.read`) of the values of *hour*."""
        self._turn_to(hour)
        if self._open is None:
            return  # too old to be kept
        now = self._open
        counters = (tally.rows, tally.missing, tally.type_mismatch, tally.infinite)
        now.counters = [mine + new for mine, new in zip(now.counters, counters, strict=True)]
        self._rows[hour] = now.counters[0]
        if now.sums is not None:
            if batch.ascending.size:
                self._waiting.append(batch.ascending.copy())
                self._waiting_size += batch.ascending.size
                if self._waiting_size >= WAITING:
                    self._settle()
        else:
            self._add_names(now, batch)
        if len(batch.different):
            self.distinct.update(batch.different)

    def _settle(self) -> None:
        """Count the numbers that wait: in batches of thousands they take a tenth of the time."""
        now = self._open
        if not self._waiting or now is None or now.sums is None:
            return
        numbers = np.sort(np.concatenate(self._waiting)) + 0.0  # -0.0 is 0.0
        self._waiting.clear()
        self._waiting_size = 0
        read = LogLinear()
        read.bits = min(self.cells.bits, now.bits)
        read.update_sorted(numbers)
        self.cells.merge(read)
        now.add_cells(read.bits, read.cells, read.counts)
        now.minimum = min(now.minimum, float(numbers[0]))
        now.maximum = max(now.maximum, float(numbers[-1]))
        now.sums.update(numbers)
        self.whole = self.whole and bool((numbers == np.floor(numbers)).all())

    def _add_names(self, now: Hour, batch: Batch) -> None:
        for name, count in zip(batch.different, batch.repeats, strict=True):
            text = str(name)
            now.names[text] = now.names.get(text, 0) + int(count)
            self._names[text] = self._names.get(text, 0) + int(count)
        self._forget_rarest(now)

    def _forget_rarest(self, now: Hour | None) -> None:
        if len(self._names) > CATEGORIES:
            self.complete = False
            ordered = sorted(self._names.items(), key=lambda pair: (-pair[1], pair[0]))
            self._names = dict(ordered[: CATEGORIES // 2])
            if now is not None:
                self._bound(now)

    def _bound(self, hour: Hour) -> None:
        """Put forgotten names of *hour* together as `OTHER`."""
        kept = {name: count for name, count in hour.names.items() if name in self._names or name == OTHER}
        rest = sum(hour.names.values()) - sum(kept.values())
        if rest:
            kept[OTHER] = kept.get(OTHER, 0) + rest
        hour.names = kept

    def _turn_to(self, hour: int) -> None:
        if self._open is not None and hour == self._open_hour:
            return
        self._close()
        newest = max(self._rows, default=hour)
        if hour <= newest - self.limit:
            self._open = None
            return
        data = self._frozen.pop(hour, None)
        self._open = Hour(self.numeric) if data is None else Hour.thaw(data)
        self._open_hour = hour
        for old in [held for held in self._rows if held <= hour - self.limit]:
            del self._rows[old]
            self._frozen.pop(old, None)

    def _close(self) -> None:
        if self._open is not None:
            self._settle()
            if not self.complete:
                self._bound(self._open)
            if self._open.counters[0]:
                self._frozen[self._open_hour] = self._open.freeze()
            self._open = None

    def hours(self) -> list[tuple[int, Hour]]:
        """Each hour with rows, ascending; copies."""
        self._close()
        return [(number, Hour.thaw(data)) for number, data in sorted(self._frozen.items())]

    def merge(self, other: ColumnLearner) -> None:
        """Adds what *other* has seen. Raises ValueError when it is of another kind."""
        if other.kind != self.kind:
            raise ValueError(f"learner: expected kind {self.kind}, found {other.kind}")
        for number, theirs in other.hours():
            self._turn_to(number)
            if self._open is None:
                continue
            self._settle()
            self._open.add(theirs)
            self._rows[number] = self._open.counters[0]
        for name, count in other._names.items():
            self._names[name] = self._names.get(name, 0) + count
        self.complete = self.complete and other.complete
        self.whole = self.whole and other.whole
        self.distinct.merge(other.distinct)
        self.cells.merge(other.cells)
        self._forget_rarest(self._open)
        self._close()

    def document(self) -> dict[str, Any]:
        """The state as plain JSON values; equal learners have equal documents."""
        self._close()
        for number, data in self._frozen.items():
            hour = Hour.thaw(data)
            if hour.bits > self.cells.bits:  # it was closed before the column needed coarser cells
                hour.add_cells(self.cells.bits, hour.cells[:0], hour.counts[:0])
                self._frozen[number] = hour.freeze()
        return {
            "kind": self.kind,
            "limit": self.limit,
            "complete": self.complete,
            "whole": self.whole,
            "names": sorted(self._names.items()),
            "cells": _text(self.cells.to_bytes()),
            "distinct": _text(self.distinct.to_bytes()),
            "hours": [[number, _text(data)] for number, data in sorted(self._frozen.items())],
        }

    def kept(self) -> dict[str, Any]:
        """The state for a checkpoint: plain values and bytes, in 0.5 ms, as no hour is opened."""
        self._close()
        return {
            "kind": self.kind,
            "limit": self.limit,
            "complete": self.complete,
            "whole": self.whole,
            "names": list(self._names.items()),
            "cells": self.cells.to_bytes(),
            "distinct": self.distinct.to_bytes(),
            "hours": [[number, self._rows[number], data] for number, data in self._frozen.items()],
        }

    @classmethod
    def from_kept(cls, kept: Mapping[str, Any]) -> Self:
        """What `kept` gave, unharmed (a checkpoint has a checksum): its hours are not opened.

        Raises ValueError for anything else.
        """
        try:
            learner = cls(kept["kind"], int(kept["limit"]))
            learner.complete, learner.whole = bool(kept["complete"]), bool(kept["whole"])
            learner._names = {str(name): int(count) for name, count in kept["names"]}
            learner.cells = LogLinear.from_bytes(kept["cells"])
            learner.distinct = Distinct.from_bytes(kept["distinct"])
            for number, rows, data in kept["hours"]:
                learner._frozen[int(number)] = bytes(data)
                learner._rows[int(number)] = int(rows)
            if learner._frozen:
                Hour.thaw(learner._frozen[max(learner._frozen)])  # the one that goes on
        except (KeyError, TypeError) as error:
            raise ValueError(f"learner: {error!r}") from error
        return learner

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """What `document` wrote. Raises ValueError for anything else."""
        try:
            learner = cls(document["kind"], int(document["limit"]))
            learner.complete, learner.whole = bool(document["complete"]), bool(document["whole"])
            learner._names = {str(name): int(count) for name, count in document["names"]}
            learner.cells = LogLinear.from_bytes(base64.b64decode(document["cells"]))
            learner.distinct = Distinct.from_bytes(base64.b64decode(document["distinct"]))
            for number, text in document["hours"]:
                data = base64.b64decode(text)
                hour = Hour.thaw(data)
                if (hour.sums is not None) != learner.numeric:
                    raise ValueError(f"an hour of a {learner.kind} column holds another kind")
                steps = hour.bits - learner.cells.bits
                if steps < 0 or not np.isin(coarser(hour.cells, steps), learner.cells.cells).all():
                    raise ValueError("an hour counts in cells that the column has not")
                learner._frozen[int(number)] = data
                learner._rows[int(number)] = hour.counters[0]
        except (KeyError, TypeError) as error:
            raise ValueError(f"learner: {error!r}") from error
        return learner


OTHER: Final = "\N{HORIZONTAL ELLIPSIS} other"
"""Name under which forgotten categories are counted."""


def merged(learners: Sequence[ColumnLearner]) -> ColumnLearner:
    """All of them added up, themselves unchanged. Raises ValueError when kinds differ or there are none."""
    if not learners:
        raise ValueError("learners: expected at least one, found none")
    total = ColumnLearner(learners[0].kind, max(learner.limit for learner in learners))
    for learner in learners:
        total.merge(learner)
    return total


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
