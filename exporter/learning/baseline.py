"""A baseline from a learner: hours that drifted left out, bins cut, calibrated, marked as learnt.

Promises: the same rows give the same file, whichever recorders saw them and in whatever order. A column that
can not be learnt is left out with a sentence in `Learnt.notes`, never silently.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from exporter.baseline.assemble import Parts, assemble, builder
from exporter.baseline.baseline import Baseline, BaselineColumn
from exporter.baseline.calibration import DEFAULT_ALPHA
from exporter.baseline.document import Origin
from exporter.baseline.edges import category_bins
from exporter.baseline.weighted import weighted_bins, weighted_quantiles, weighted_top
from exporter.hourly import TOPS, HourTable
from exporter.learning.column import OTHER, ColumnLearner, Hour
from exporter.learning.exact import ExactSums
from exporter.learning.guard import LeftOut, drifted_hours
from exporter.learning.loglinear import coarser
from exporter.learning.model import ColumnKey, ModelLearner
from exporter.learning.promotion import FREEZE_DAYS
from exporter.learning.wall import wall_hours
from exporter.sketch import Bins, Counts, Floats, NumericBins
from exporter.sketch.bins import CategoryBins

#: How `Origin.file` and `Origin.builder` say that a baseline was learnt.
LIVE: Final = "live traffic"
_TOP: Final = 32
_TOP_SHARE: Final = 0.001
_BLOCKS: Final = 5


@dataclass(frozen=True, slots=True)
class Learnt:
    """A baseline, and what its user should know about it."""

    baseline: Baseline
    left_out: Mapping[ColumnKey, LeftOut]
    notes: list[str] = field(default_factory=list)


def is_learnt(baseline: Baseline) -> bool:
    """Whether *baseline* came from live traffic alone."""
    return baseline.origin.file == LIVE


def learn_baseline(
    learner: ModelLearner,
    created: float,
    known: Mapping[ColumnKey, Collection[int]] | None = None,
    alpha: float = DEFAULT_ALPHA,
    blind: bool = True,
) -> Learnt:
    """The baseline of *learner*; raises ValueError when no column has a single row.

    *created* is Unix seconds. *known* are, by column, hour numbers (as the learner counts them) of incidents
    that verdicts have told: they are left out. *blind* as in `assemble`.
    """
    zone = ZoneInfo(learner.timezone)
    notes: list[str] = []
    columns: dict[ColumnKey, BaselineColumn] = {}
    left: dict[ColumnKey, LeftOut] = {}
    for key, column in sorted(learner.columns.items()):
        told = learner.told.union((known or {}).get(key, ()))
        learnt = _Column(key, column, learner.phase, zone).learn(told, alpha, blind, notes)
        if learnt is not None:
            columns[key], left[key] = learnt
    if not columns:
        raise ValueError("no column has a row that could be learnt")
    state = learner.state
    if all(column.calibration is None for column in columns.values()):
        notes.append(
            f"{int(state.hours / 24)} live days calibrate nothing, {FREEZE_DAYS} are needed: "
            f"drift gives tickets, never a page"
        )
    first, last = wall_hours(np.array([state.first, state.last]), learner.phase, zone).tolist()
    origin = Origin(
        file=LIVE,
        rows=state.rows,
        timestamp="time of arrival",
        start=_iso(first),
        end=_iso(last + 1),
        builder=builder("learnt"),
    )
    baseline = Baseline(
        model=learner.model,
        created=created,
        sha256="",
        timezone=learner.timezone,
        origin=origin,
        columns=columns,
    )
    return Learnt(baseline, left, notes)


class _Column:
    """The hours of one column, in wall clock order."""

    def __init__(self, key: ColumnKey, learner: ColumnLearner, phase: int, zone: ZoneInfo) -> None:
        self.key = key
        self.learner = learner
        held = learner.hours()
        self.numbers = np.array([number for number, _ in held], np.int64)
        wall = wall_hours(self.numbers, phase, zone).tolist()
        # The hour that the end of summer time repeats is one hour of double length.
        joined: dict[int, Hour] = {}
        for at, (_, hour) in zip(wall, held, strict=True):
            if at in joined:
                joined[at].add(hour)
            else:
                joined[at] = hour
        self.hours = np.array(sorted(joined), np.int64)
        self.entries = [joined[at] for at in self.hours.tolist()]
        self.wall = dict(zip(self.numbers.tolist(), wall, strict=True))

    def learn(
        self, known: Collection[int], alpha: float, blind: bool, notes: list[str]
    ) -> tuple[BaselineColumn, LeftOut] | None:
        """The column and what was left out; None, and a note, when there is nothing to learn."""
        role, name = self.key
        numeric = self.learner.numeric
        if not self.entries or not any(hour.valid for hour in self.entries):
            notes.append(f"{name}: left out, no entry is {self.learner.kind}")
            return None
        told = {self.wall[number] for number in known if number in self.wall}
        bins = self._bins(self.entries)
        table = self._table(bins, self.entries, self.hours)
        shape = np.column_stack((table.bins, table.missing, table.mismatched))
        left = drifted_hours(self.hours, shape, told)
        self._note(left, name, notes)
        kept = [hour for hour, out in zip(self.entries, left.hours.tolist(), strict=True) if not out]
        if not any(hour.valid for hour in kept):
            notes.append(f"{name}: left out, no hour was left to learn from")
            return None
        hours = self.hours[~left.hours]
        if len(kept) < len(self.entries):
            bins = self._bins(kept)
        table = self._table(bins, kept, hours)
        rows, missing, mismatched, infinite = np.sum([hour.counters for hour in kept], axis=0).tolist()
        parts = Parts(
            name=name,
            role=role,
            kind=self.learner.kind,
            bins=bins,
            counts=table.bins.sum(axis=0),
            rows=rows,
            missing=missing,
            mismatched=mismatched,
            infinite=infinite,
            distinct=self.learner.distinct.estimate(),
            known_complete=self.learner.complete,
            **(self._numbers(kept) if numeric else self._categories(kept)),
        )
        return assemble(parts, table, alpha, blind), left

    def _note(self, left: LeftOut, name: str, notes: list[str]) -> None:
        if not left.trusted:
            notes.append(
                f"{name}: {left.stood_out} of {self.hours.size} hours differ from the others, too many to "
                f"call them drifted: all are learnt; look at it before you promote"
            )
        elif left.hours.any():
            rows = np.array([hour.counters[0] for hour in self.entries])
            share = rows[left.hours].sum() / max(rows.sum(), 1)
            first, last = self.hours[left.hours][[0, -1]].tolist()
            notes.append(
                f"{name}: {int(left.hours.sum())} hours ({share:.1%} of the rows) between {_iso(first)} and "
                f"{_iso(last + 1)} differ from the others and are left out"
            )

    def _bins(self, hours: list[Hour]) -> Bins:
        if self.learner.numeric:
            return weighted_bins(*self._groups(hours), self.learner.whole)
        names = _all_names(hours)
        known = [name for name in names if name != OTHER]
        shares = {name: names[name] for name in known}
        declared = ("false", "true") if self.learner.kind == "boolean" else None
        return category_bins(shares, declared, known)

    def _table(self, bins: Bins, hours: list[Hour], numbers: Counts) -> HourTable:
        """*hours* over *bins*; infinite values lie in the last bin, since their sign is not kept."""
        size = len(hours)
        counts = np.zeros((size, bins.size), np.int64)
        moments = np.full((size, 4), np.nan)
        values, repeats = np.full((size, TOPS), np.nan), np.zeros((size, TOPS), np.int64)
        held = self.learner.cells
        lone = held.low == held.high
        for at, hour in enumerate(hours):
            if isinstance(bins, NumericBins) and hour.sums is not None:
                # A cell lies in one bin whole: edges are the lowest values of cells, or one after such.
                cells = np.searchsorted(held.cells, coarser(hour.cells, hour.bits - held.bits))
                np.add.at(counts[at], bins.index(np.maximum(held.low[cells], hour.minimum)), hour.counts)
                if hour.sums.count:
                    one = hour.sums.moments(hour.minimum, hour.maximum)
                    moments[at] = one.mean, one.m2, one.minimum, one.maximum
                known = np.flatnonzero(lone[cells] & (hour.counts > 1))  # one entry floods nothing
                top = known[np.lexsort((cells[known], -hour.counts[known]))][:TOPS]
                values[at, : top.size] = held.low[cells[top]]
                repeats[at, : top.size] = hour.counts[top]
                counts[at, -1] += hour.counters[3]
            elif isinstance(bins, CategoryBins):
                counts[at], _ = bins.count(list(hour.names), list(hour.names.values()))
        days = numbers // 24
        zero = np.zeros(size, np.int64)
        counters = np.array([hour.counters for hour in hours], np.int64).reshape(size, 4)
        return HourTable(
            hours=numbers,
            cells=numbers % 24 + 24 * ((days + 3) % 7 >= 5),
            rows=counters[:, 0],
            missing=counters[:, 1],
            mismatched=counters[:, 2],
            unseen=self._unseen(hours, numbers) if isinstance(bins, CategoryBins) else zero,
            far=zero,
            grid=zero,
            bins=counts,
            moments=moments,
            top_values=values,
            top_counts=repeats,
        )

    @staticmethod
    def _unseen(hours: list[Hour], numbers: Counts) -> Counts:
        """Entries of categories that only one of five blocks of days has: unseen by the four others."""
        present = np.unique(numbers // 24)
        block = np.searchsorted(present, numbers // 24) * _BLOCKS // max(present.size, 1)
        seen: dict[str, set[int]] = {}
        for hour, of in zip(hours, block.tolist(), strict=True):
            for name in hour.names:
                seen.setdefault(name, set()).add(of)
        lone = {name for name, blocks in seen.items() if len(blocks) == 1 and name != OTHER}
        return np.array(
            [sum(count for name, count in hour.names.items() if name in lone) for hour in hours], np.int64
        )

    def _groups(self, hours: list[Hour]) -> tuple[Floats, Floats, Counts]:
        """Low, high and count of each cell that *hours* occupy, ascending."""
        held = self.learner.cells
        counts = np.zeros(held.cells.size, np.int64)
        for hour in hours:
            np.add.at(
                counts, np.searchsorted(held.cells, coarser(hour.cells, hour.bits - held.bits)), hour.counts
            )
        some = counts > 0
        low, high = held.low[some].copy(), held.high[some].copy()
        # The ends may be those of an hour that is left out.
        low[0] = max(float(low[0]), min(hour.minimum for hour in hours))
        high[-1] = min(float(high[-1]), max(hour.maximum for hour in hours))
        return low, high, counts[some]

    def _numbers(self, hours: list[Hour]) -> dict[str, Any]:
        low, high, counts = self._groups(hours)
        sums = ExactSums()
        for hour in hours:
            assert hour.sums is not None
            sums.merge(hour.sums)
        return {
            "moments": sums.moments(float(low[0]), float(high[-1])),
            "quantiles": weighted_quantiles(low, high, counts),
            "top": weighted_top(low, high, counts, _TOP, _TOP_SHARE),
        }

    @staticmethod
    def _categories(hours: list[Hour]) -> dict[str, Any]:
        names = _all_names(hours)
        total = max(sum(names.values()), 1)
        ordered = sorted(
            ((name, count) for name, count in names.items() if name != OTHER),
            key=lambda pair: (-pair[1], pair[0]),
        )
        return {"top": tuple((name, count / total) for name, count in ordered[:_TOP])}


def _all_names(hours: list[Hour]) -> dict[str, int]:
    total: dict[str, int] = {}
    for hour in hours:
        for name, count in hour.names.items():
            total[name] = total.get(name, 0) + count
    return total


def _iso(wall_hour: int) -> str:
    return str(np.datetime64(wall_hour, "h").astype("datetime64[s]"))
