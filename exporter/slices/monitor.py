"""SliceMonitor: the slices of one model version: counting, verdicts, views, and which slice moved most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from operator import is_, itemgetter
from typing import Any, Final, TypeAlias

import numpy as np

from exporter.baseline import Baseline, BaselineColumn
from exporter.profile import Layout
from exporter.profile.textual import category_text
from exporter.rows import Role, Rows, Values
from exporter.schema import ModelSpec
from exporter.slices.series import Series
from exporter.slices.state import SliceState
from exporter.slices.values import Codes, SliceValues
from exporter.tumbling import WINDOWS
from exporter.verdict import Judgement
from exporter.views import STATES, SliceColumnView, SliceVerdictView, SliceView, State
from exporter.window import Calendar

Layouts: TypeAlias = Callable[[str], Layout | None]
"""How a prediction column is read; None while that is not known."""

SERIES: Final = 512
"""Prediction columns × slice values of one model version: 9 MB. Further columns are not told apart."""

_ROLES: Final[tuple[Role, ...]] = ("feature", "prediction")
_RANK: Final[dict[State, int]] = {"drifted": 0, "ticket": 1, "ok": 2, "learning": 3, "insufficient": 4}
assert set(_RANK) == set(STATES)


@dataclass(slots=True)
class _Part:
    """The rows of one slice value."""

    rows: int = 0
    entries: dict[Role, int] = field(default_factory=lambda: dict.fromkeys(_ROLES, 0))
    missing: dict[Role, int] = field(default_factory=lambda: dict.fromkeys(_ROLES, 0))
    series: dict[str, Series] = field(default_factory=dict)
    """By prediction column."""


class _Slice:
    """One slice: its values and their parts, the last one for the rest."""

    __slots__ = ("name", "parts", "values")

    def __init__(self, name: str, values: SliceValues) -> None:
        self.name = name
        self.values = values
        self.parts = [_Part() for _ in range(values.limit + 1)]

    @property
    def labelled(self) -> list[tuple[str, str | None, _Part]]:
        """Label, value and part of each value followed so far, and of the rest, whose value is None."""
        chosen: list[str | None] = [*self.values.chosen, None]
        parts = [*self.parts[: len(chosen) - 1], self.parts[-1]]
        return list(zip(self.values.labels, chosen, parts, strict=True))


class SliceMonitor:
    """Of one model version; nothing, at no cost, where no slices are declared."""

    def __init__(
        self,
        model: str,
        version: str,
        spec: ModelSpec,
        baseline: Baseline | None,
        calendar: Calendar,
        start: float,
    ) -> None:
        self.model = model
        self.version = version
        self._baseline = baseline
        self._calendar = calendar
        self._start = start
        self._slices = [_Slice(name, _values(name, spec, baseline)) for name in dict.fromkeys(spec.slices)]
        self._columns: dict[str, bool] = {}
        """Prediction column → whether it is followed."""
        self._ended: dict[str, tuple[float, float]] = {}
        """By window: the last one that was judged."""

    def __bool__(self) -> bool:
        return bool(self._slices)

    @property
    def size(self) -> int:
        """Series there are."""
        return sum(len(part.series) for one in self._slices for part in one.parts)

    # Counting

    def record(self, rows: Rows, columns: Mapping[str, Values], layouts: Layouts) -> None:
        """Count *rows*, whose columns are *columns* (derived ones included).

        Features have their slices among their columns, predictions in `Rows.slices`; rows without are in
        none.
        """
        given = rows.columns if rows.role == "feature" else rows.slices
        for one in self._slices:
            values = given.get(one.name)
            if values is None:
                continue
            codes = one.values.codes(values)
            if rows.role == "feature":
                self._count_features(one, codes, columns)
            else:
                self._count_predictions(one, codes, rows.time, columns, layouts)

    def _count_features(self, one: _Slice, codes: Codes, columns: Mapping[str, Values]) -> None:
        size = len(one.parts)
        missing = np.zeros(codes.size, np.int64)
        for values in columns.values():
            flags = _missing(values)
            if flags is not None:
                missing += flags
        counts = np.bincount(codes, minlength=size)
        lost = np.bincount(codes, missing, minlength=size)
        for at in counts.nonzero()[0].tolist():
            part = one.parts[at]
            part.rows += int(counts[at])
            part.entries["feature"] += int(counts[at]) * len(columns)
            part.missing["feature"] += int(lost[at])

    def _count_predictions(
        self, one: _Slice, codes: Codes, time: float, columns: Mapping[str, Values], layouts: Layouts
    ) -> None:
        self._follow(columns)
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(one.parts))).tolist()
        begin = 0
        for at, end in enumerate(ends):
            chosen, begin = order[begin:end], end
            if not chosen.size:
                continue
            part = one.parts[at]
            for name, values in columns.items():
                layout = layouts(name) if self._columns.get(name) else None
                if layout is None:
                    continue
                series = part.series.get(name)
                if series is None:
                    series = part.series[name] = self._series(one, at, name, layout)
                part.entries["prediction"] += chosen.size
                part.missing["prediction"] += series.add(time, _taken(values, chosen))

    def _follow(self, columns: Mapping[str, Values]) -> None:
        """Decide about columns that are new: first those that are no element of a tensor."""
        new = [name for name in columns if name not in self._columns]
        values = sum(len(one.parts) for one in self._slices)
        for name in sorted(new, key=lambda name: name.endswith("]")):
            followed = sum(self._columns.values())
            self._columns[name] = (followed + 1) * values <= SERIES

    def _series(self, one: _Slice, at: int, name: str, layout: Layout) -> Series:
        whole = own = None
        if self._baseline is not None:
            whole = self._baseline.columns.get(("prediction", name))
            value = one.values.chosen[at] if at < one.values.limit else None
            own = self._baseline.slices.get((one.name, value), {}).get(name)
        return Series(layout, self._calendar, whole, own, self._start)

    # Checkpoints

    def state(self) -> list[SliceState]:
        """The hours of all slices."""
        return [
            SliceState(
                one.name,
                list(one.values.chosen),
                [
                    series.state(value, column)
                    for _, value, part in one.labelled
                    for column, series in part.series.items()
                ],
            )
            for one in self._slices
        ]

    def restore(self, states: Iterable[SliceState], layouts: Layouts) -> int:
        """Go on with the hours of *states*, nothing seen yet; returns how many could not be read.

        Values that are not followed any more are left out.
        """
        failed = 0
        mine = {one.name: one for one in self._slices}
        for state in states:
            one = mine.get(state.name)
            if one is None:
                continue
            one.values.restore(state.chosen)
            positions = {value: at for at, value in enumerate(one.values.chosen)}
            for entry in state.series:
                at = one.values.limit if entry.value is None else positions.get(entry.value)
                layout = layouts(entry.column)
                if at is None or layout is None:
                    continue
                self._follow({entry.column: ()})
                if not self._columns[entry.column]:
                    continue
                series = self._series(one, at, entry.column, layout)
                try:
                    series.restore(entry)
                except ValueError:
                    failed += 1
                else:
                    one.parts[at].series[entry.column] = series
        return failed

    # Verdicts

    def judge(self, window: str, start: float, end: float, alpha: float) -> Iterator[int]:
        """Give the verdicts on [start, end), which is complete; for each, 1 where it could not be given."""
        self._ended[window] = (start, end)
        for series in list(self._all()):
            try:
                series.judge(window, start, end, alpha)
                yield 0
            except Exception:
                series.verdicts.pop(window, None)
                yield 1

    def _all(self) -> Iterable[Series]:
        return (series for one in self._slices for part in one.parts for series in part.series.values())

    def mostly(self, column: str, window: str) -> str:
        """Where a change of the prediction *column* in the last *window* is: ``mostly carrier = UA``.

        The slice value with the highest score; nothing where more than half of a slice's values moved, since
        then it is not this slice by which to tell them apart.
        """
        best, told = 1.0, ""
        for one in self._slices:
            scores = {
                label: found.score
                for label, _, part in one.labelled
                if (series := part.series.get(column)) is not None
                and (found := series.verdicts.get(window)) is not None
                and found.score is not None
            }
            moved = [label for label, score in scores.items() if score > 1]
            if not moved or 2 * len(moved) > len(scores):
                continue
            label = max(moved, key=lambda label: scores[label])
            if scores[label] > best:
                best, told = scores[label], f"mostly {one.name} = {label}"
        return told

    # Views

    def views(self) -> list[SliceView]:
        """Every value of every slice, in order, those that were never seen included."""
        return [
            SliceView(
                model=self.model,
                version=self.version,
                slice=one.name,
                value=label,
                rows=part.rows,
                entries=dict(part.entries),
                missing=dict(part.missing),
                columns=tuple(_column_views(part)),
                verdicts=tuple(self._verdict_view(window, part) for window in WINDOWS),
            )
            for one in self._slices
            for label, _, part in one.labelled
        ]

    def _verdict_view(self, window: str, part: _Part) -> SliceVerdictView:
        start, end = self._ended.get(window, (0.0, 0.0))
        given = {
            name: series.verdicts[window] for name, series in part.series.items() if window in series.verdicts
        }
        if not given:
            return SliceVerdictView(window, "learning", start, end, 0, None, "", "")
        name = min(given, key=lambda name: _order(given[name], name))
        found = given[name]
        sentence = f"{name}: {found.reason}" if found.state in ("drifted", "ticket") else ""
        return SliceVerdictView(window, found.state, start, end, found.rows, found.score, name, sentence)


def _order(found: Judgement, name: str) -> tuple[int, float, str]:
    return _RANK[found.state], -(found.score or 0.0), name


def _column_views(part: _Part) -> Iterable[SliceColumnView]:
    for name, series in sorted(part.series.items()):
        bins = series.layout.bins
        if bins is not None:
            yield SliceColumnView("prediction", name, bins.id, bins.labels, series.counts.copy())


def _values(name: str, spec: ModelSpec, baseline: Baseline | None) -> SliceValues:
    """Those to follow: those the baseline has slices of, else its most frequent ones, else declared ones."""
    declared = next((column for column in spec.columns if column.name == name), None)
    known = baseline.columns.get(("feature", name)) if baseline is not None else None
    chosen: Sequence[str] = ()
    if baseline is not None:
        chosen = [value for of, value in baseline.slices if of == name and value is not None]
    if not chosen and known is not None:
        chosen = top_values(known)
    if not chosen and declared is not None and declared.categories is not None:
        chosen = declared.categories
    return SliceValues(spec.slice_values, chosen, plain=known is not None or declared is not None)


def top_values(column: BaselineColumn) -> list[str]:
    """The most frequent values of *column* as the texts of categories."""
    texts = (category_text(value) for value, _ in column.top)
    return [text for text in texts if text is not None]


def _missing(values: Values) -> Any:
    """Which entries are missing, shape (rows,); None where none is."""
    if isinstance(values, np.ndarray):
        return np.isnan(values) if values.ndim == 1 and values.dtype.kind == "f" else None
    if not values.count(None):
        return None
    return np.fromiter(map(is_, values, repeat(None)), np.bool_, len(values))


def _taken(values: Values, chosen: Codes) -> Values:
    """The entries at *chosen*, at least one."""
    if isinstance(values, np.ndarray):
        taken: Values = values[chosen]
        return taken
    positions = chosen.tolist()
    return list(itemgetter(*positions)(values)) if len(positions) > 1 else [values[positions[0]]]
