"""Blind below: the strength of each fault from which on it is found on nearly every day of the baseline.

Faults are put into the counts of the baseline's own days (`exporter.baseline.changes`). Each day is judged
beside its own past, which has no fault, by shares found without its block of days and by the thresholds of
the file at the smallest alpha that they bear, so that the limit holds whatever the page budget. It is found
when the day itself or any of its hours would page.

Promises: pure and deterministic; at most `DAYS` days, evenly spread, are tried, so that a column takes about
half a second. A limit is believed only when every stronger step of the ladder is found, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

import numpy as np
from msgspec import structs

from exporter.baseline.baseline import BaselineColumn
from exporter.baseline.calibration import Calibration
from exporter.baseline.changes import Change, changed, changes_of
from exporter.baseline.fit import blocks, cross_fitted_shares
from exporter.hourly import CELLS, HourTable
from exporter.verdict.engine import REPLAYS, Past, past_of, score_windows
from exporter.verdict.judge import states
from exporter.verdict.measures import parts_of, totals_of
from exporter.verdict.model import model_of
from exporter.verdict.windows import Sums

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
Flags: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"

#: Strengths that are tried, ascending, in the words of `exporter.faults`.
LADDERS: Final[Mapping[str, tuple[float, ...]]] = {
    "shift": (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0),
    "scale": (1.05, 1.1, 1.25, 1.5, 1.609, 2.0, 3.0, 10.0, 100.0, 1000.0),
    "flood": (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0),
    "clipping": (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5),
    "null_surge": (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0),
    "unseen_category": (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
}
#: Share of the days on which a strength must be found.
FOUND: Final = 0.97
#: Days that are tried.
DAYS: Final = 40
#: Rows that a day needs to say anything.
_ROWS: Final = 20
#: The smallest alpha: what the number of the baseline's windows bears.
STRICTEST: Final = 0.0


def blind_below(
    column: BaselineColumn, table: HourTable, values: Floats, alpha: float = STRICTEST
) -> dict[str, float | None]:
    """By fault the strength from which on it is found on 97 % of the days of *table*; None where it is not.

    *values* are the column's numbers, ascending, shape (n,); none of categories. *alpha* is as in `judge`.
    """
    if column.calibration is None:
        return {}
    trial = _Trial(column, column.calibration, table, alpha)
    if not trial.days.size:
        return {}
    found: dict[str, float | None] = {}
    for name, changes in changes_of(column, values).items():
        limit = None
        # From the strongest on: a fault may be found at a step and no longer at the next.
        for strength in reversed(LADDERS[name]):
            variants = changes(strength)
            if not variants:  # clipping at a value that is the largest already, and the smallest
                continue
            if min(trial.found(change) for change in variants) < FOUND:
                break
            limit = strength
        found[name] = limit
    return found


def _days(table: HourTable) -> Integers:
    """First hours of the days to try: those with a week before them, else all."""
    start = table.hours - table.cells % 24
    days = np.unique(start)
    days = days[np.concatenate([[True], np.diff(days) >= 12])] if days.size else days
    running = np.concatenate([[0], np.cumsum(table.rows)])
    low, high = np.searchsorted(table.hours, days), np.searchsorted(table.hours, days + 24)
    days = days[running[high] - running[low] >= _ROWS]
    seasoned = days[days >= days[0] + 168] if days.size else days
    days = seasoned if seasoned.size >= 5 else days
    chosen = np.linspace(0, days.size - 1, min(DAYS, days.size)).round().astype(np.int64)
    return np.asarray(days[np.unique(chosen)], dtype=np.int64)


class _Trial:
    """Days of a baseline, each beside its past."""

    def __init__(
        self, column: BaselineColumn, calibration: Calibration, table: HourTable, alpha: float
    ) -> None:
        self.days = _days(table)
        self._alpha = alpha
        self._column = column
        if not self.days.size:
            return
        tests = tuple(calibration.shares)
        totals = totals_of(table)
        block = blocks(table.hours)
        _, crossed = cross_fitted_shares(table, parts_of(table, tests, totals), totals, tests, block)
        # A replay is no fault of a ladder: what it costs to look for one is saved.
        windows = {
            window: structs.replace(one, replays=REPLAYS + 1) for window, one in calibration.windows.items()
        }
        calibration = structs.replace(calibration, windows=windows)
        # One model with the cells of all blocks, one after the other: an hour's cell says whose it is.
        model = replace(model_of(calibration), shares=np.concatenate(crossed))
        calibration.prepared["model"] = model
        self._column = replace(column, calibration=calibration)
        self._table = table
        inside, _ = _of_days(table, self.days)
        self._now = table.part(inside)
        own = block[inside]
        self._now = replace(self._now, cells=self._now.cells + CELLS * own)
        self._past: dict[str, Past] = {}
        day_block = block[np.minimum(np.searchsorted(table.hours, self.days), table.hours.size - 1)]
        for window in windows:
            first = self._now.hours if window == "1h" else self.days
            of = own if window == "1h" else day_block
            parts = []
            for b in np.unique(of).tolist():
                shown = replace(table, cells=table.cells + CELLS * b)
                parts.append(past_of(self._column, shown, window, first[of == b]))
            # Hours ascend, and so do their blocks: one after the other they are in order.
            sums = Sums(
                *(np.concatenate([getattr(part.sums, of) for part in parts]) for of in Sums.__slots__)
            )
            self._past[window] = Past(parts[0].hours, sums)
        # A day that pages without a fault says nothing of faults.
        self._usable = ~self._paged(self._now)

    def found(self, change: Change) -> float:
        """Share of the days on which *change* is found."""
        if not self._usable.any():
            return 0.0
        paged = self._paged(changed(self._now, change, np.random.default_rng(0)))
        return float(paged[self._usable].mean())

    def _paged(self, now: HourTable) -> Flags:
        """Which days page, or an hour of theirs, shape (days,)."""
        paged = np.zeros(self.days.size, np.bool_)
        for window, past in self._past.items():
            first = now.hours if window == "1h" else self.days
            stop = first + (1 if window == "1h" else 24)
            scores = score_windows(
                self._column, self._table, window, first, stop, alpha=self._alpha, now=now, beside=past
            )
            drifted = first[states(scores) == "drifted"]
            paged[np.searchsorted(self.days, drifted, side="right") - 1] = True
        return paged


def _of_days(table: HourTable, days: Integers) -> tuple[Flags, Integers]:
    """Which hours are of *days*, and which day each of those is of."""
    day = np.searchsorted(days, table.hours, side="right") - 1
    inside = (day >= 0) & (table.hours < days[np.maximum(day, 0)] + 24)
    return inside, day[inside]


def described(blind: Mapping[str, float | None]) -> Sequence[str]:
    """For people: one phrase a fault.

    >>> described({"shift": 0.5, "scale": 1.25, "flood": 0.1, "null_surge": None})
    ['shift 0.5 σ', 'scale × 1.25', 'flood 10 %', 'null_surge never']
    """
    found = []
    for name, strength in blind.items():
        if strength is None:
            found.append(f"{name} never")
        elif name == "shift":
            found.append(f"{name} {strength:g} σ")
        elif name == "scale":
            found.append(f"{name} × {strength:g}")
        else:
            found.append(f"{name} {100 * strength:g} %")
    return found
