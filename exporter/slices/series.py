"""Series: one prediction column in the rows of one slice value: its hours, and the verdicts on them.

| reference | when | states |
|---|---|---|
| the slice's own column in the baseline | the file has one | as the column's own (`exporter.verdict.judge`) |
| the last seven days, the same hours of the day | else | never ``drifted``, which pages |

Without a baseline nobody has measured how much days differ by themselves; so the last seven are compared with
each other, and the window must be at `BEYOND` times the score that any of them has against the
rest.

Promises: hours that drifted are no reference for a week, then they are what is normal.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

from exporter.baseline import BaselineColumn
from exporter.baseline.calibration import Calibration
from exporter.hourly import HourTable
from exporter.profile import COUNTERS, Layout
from exporter.rows import Values
from exporter.sketch import Counts
from exporter.slices.state import SeriesState
from exporter.verdict import Judgement, judge
from exporter.verdict.engine import PAST_HOURS, PAST_ROWS
from exporter.verdict.pair import PAIR_ROWS, compare_pair
from exporter.verdict.windows import day_starts
from exporter.window import Calendar, HourRing

#: How much farther than any of the last seven days a window must be, where no natural variance is known.
BEYOND: Final = 4.0
#: Days with rows that there must be among the last seven.
PAST_DAYS: Final = 4
_WEEK: Final = 168
_DAY: Final = 24


class Series:
    """Of one column and slice value; *whole* is the baseline's column over all rows, *own* the slice's."""

    __slots__ = ("_calendar", "_kept_out", "_own", "_whole", "counts", "hours", "layout", "verdicts")

    def __init__(
        self,
        layout: Layout,
        calendar: Calendar,
        whole: BaselineColumn | None,
        own: BaselineColumn | None,
        now: float,
    ) -> None:
        self.layout = layout
        self.hours = HourRing(layout.size, layout.numeric, tops=False, calendar=calendar)
        self.counts: Counts = np.zeros(layout.size, np.int64)
        """By bin, since the recorder started."""
        self.verdicts: dict[str, Judgement] = {}
        """By window."""
        self._calendar = calendar
        self._whole = whole
        fits = own is not None and layout.bins is not None and own.bins.id == layout.bins.id
        self._own = own if fits else None
        self._kept_out: set[int] = set()
        if self._own is not None and self._own.recent is not None:
            self.hours.seed(calendar.from_wall(self._own.recent), now)

    def add(self, time: float, values: Values) -> int:
        """Add *values*, all seen at *time* (Unix seconds); returns how many of them are missing."""
        tally, _ = self.layout.read(values)
        self.counts += tally.counts[len(COUNTERS) :]
        self.hours.add(self._calendar.hour(time), tally)
        return tally.missing

    def judge(self, window: str, start: float, end: float, alpha: float) -> Judgement:
        """Give the verdict on [start, end), which is complete."""
        first, stop = self._calendar.hour(start), self._calendar.hour(end)
        history = self.hours.history(_WEEK + 2 * _DAY, end)
        self._kept_out = {hour for hour in self._kept_out if hour >= stop - _WEEK}
        kept_out = np.isin(history.hours, list(self._kept_out))
        whole = self._calendar.whole(start, end)
        if window == "1h" and not whole:
            rows = int(history.rows[(history.hours >= first) & (history.hours < stop)].sum())
            found = Judgement("insufficient", rows, reasons=("not all of it was recorded",))
        elif self._own is not None:
            found = judge(
                self._own, history, window, first, stop, kept_out=kept_out, alpha=alpha, whole=whole
            )
        else:
            calibration = self._whole.calibration if self._whole is not None else None
            found = judge_by_week(history, window, first, stop, kept_out, alpha, calibration)
            found = replace(found, moved=tuple(self._labelled(*bin) for bin in found.moved))
        if found.state in ("drifted", "ticket"):
            self._kept_out.update(range(first, stop))
        self.verdicts[window] = found
        return found

    def _labelled(self, label: str, before: float, now: float) -> tuple[str, float, float]:
        bins = self.layout.bins
        return (bins.labels[int(label)] if bins is not None else label), before, now

    def state(self, value: str | None, column: str) -> SeriesState:
        """Its hours, for a checkpoint."""
        return SeriesState(value, column, self.layout.id, self.hours.state(), sorted(self._kept_out))

    def restore(self, state: SeriesState) -> None:
        """Go on with the hours of *state*, nothing seen yet. Raises ValueError when of another layout."""
        if state.layout != self.layout.id:
            raise ValueError(f"slice: expected layout {self.layout.id}, found {state.layout}")
        self.hours.restore(state.hours)
        self._kept_out = set(state.kept_out)


def judge_by_week(
    history: HourTable,
    window: str,
    first: int,
    stop: int,
    kept_out: Any,
    alpha: float,
    calibration: Calibration | None,
) -> Judgement:
    """Judge the hours [*first*, *stop*) by the same hours of the seven days before, less the *kept_out*.

    Bins that moved are told by their position, as a text.
    """
    hours = history.hours
    inside = (hours >= first) & (hours < stop)
    rows = int(history.rows[inside].sum())
    midnight = int(day_starts(window, np.array([first]), hours, history.cells)[0])
    before = (hours >= midnight - _WEEK) & (hours < midnight)
    days = np.unique((hours[before] - midnight) // _DAY).tolist()
    past = history.part(before & ~kept_out)
    day = (past.hours - midnight) // _DAY
    if len(days) < PAST_DAYS or past.hours.size < PAST_HOURS or int(past.rows.sum()) < PAST_ROWS:
        return Judgement("learning", rows, reasons=(f"{len(days)} of the last 7 days are held",))
    if rows < PAIR_ROWS:
        return Judgement("insufficient", rows, reasons=(f"{rows} rows, {PAIR_ROWS} are needed",))
    own = history.part(inside)

    def apart(now: HourTable, then: HourTable) -> Any:
        strata = now.cells % _DAY, then.cells % _DAY
        return compare_pair(now, then, strata, calibration=calibration, window=window, alpha=alpha)

    pair = apart(own, past)
    if pair is None:
        return Judgement("insufficient", rows, reasons=("the last 7 days have too few rows of these hours",))
    score = pair.score
    if score > 1:
        same = np.isin(past.cells % _DAY, own.cells % _DAY)
        usual = [
            found.score
            for number in days
            if (found := apart(past.part(same & (day == number)), past.part(same & (day != number))))
        ]
        score /= max(1.0, BEYOND * max(usual, default=0.0))
    fired = pair.detectors if score > 1 else ()
    moved = tuple((str(at), then, now) for at, then, now in pair.moved) if fired else ()
    reason = "unlike the last 7 days at these hours" if fired else "like the last 7 days at these hours"
    return Judgement(
        state="ticket" if fired else "ok",
        rows=rows,
        score=score,
        detectors=fired,
        compared_with="last 7 days",
        reasons=(reason,),
        moved=moved,
    )
