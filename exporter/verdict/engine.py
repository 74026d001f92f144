"""Engine: the scores of windows of one column, by every detector; above 1 is abnormal.

| detector | what it finds |
|---|---|
| ``shape`` | the distribution over the bins moved |
| ``bin`` | one bin gained: a category, or a value with a bin of its own |
| ``missing``, ``mismatched``, ``unseen``, ``grid`` | more entries of that sort than usual |
| ``spike`` | one exact number without a bin of its own takes more than it ever did |
| ``far`` | numbers far outside the baseline's range |
| ``frozen`` | consecutive hours with the same moments |
| ``replayed`` | hours equal to those of an earlier day |
| ``stuck`` | all entries have one value |
| ``spread`` | the variance within hours fell |

`shape`, `bin` and the rates are measured against three references (`references.py`), and a score is the least
of the three: what the last days did, too, is no surprise. The others have the baseline and, where it can
excuse them, the last seven days.

Promises: pure; one implementation for fitting, for the live window and for replays of years.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np

from exporter.baseline.baseline import BaselineColumn
from exporter.baseline.calibration import Calibration, WindowCalibration
from exporter.hourly import HourTable
from exporter.verdict import spike
from exporter.verdict.measures import RATES, SHAPE
from exporter.verdict.model import FLOORS, NEAR, PEAK, Model, WindowModel, model_of
from exporter.verdict.references import (
    Compared,
    Departures,
    Hours,
    compare,
    departures,
    lay_out,
    peaks,
    statistics,
)
from exporter.verdict.steady import ENTRIES, constant, one_value, replayed, runs
from exporter.verdict.windows import Sums, day_starts, past

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
Flags: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"

#: Rows and share that are far outside before it is more than a few strange rows (detection.md 2.3).
FAR_ROWS: Final = 3
FAR_SHARE: Final = 0.01
#: Hours and valid entries of the last days that make them a reference.
PAST_HOURS: Final = 20
PAST_ROWS: Final = 200
#: A day of fewer than one in so many of its usual hours is none.
SHORT: Final = 4
#: A score for what can not be by chance: equal hours, one value alone.
CERTAIN: Final = 2.0
#: One value alone is no fault where chance gives it as often as that.
_STUCK_CHANCE: Final = 1e-6
#: A spread is abnormal only when the variance fell at least to a quarter (logarithm), the sd to half.
SPREAD_EFFECT: Final = float(np.log(4.0))
#: Added before the logarithm of evidence is taken.
_LEAST_EVIDENCE: Final = 1e-3
#: Factor between the longest run of equal hours of the baseline and one that is abnormal.
RUNS: Final = 2
#: And the replays a baseline may have by itself, for the detector to be on.
REPLAYS: Final = 0

_STEADY: Final = ("spike", "far", "frozen", "replayed", "stuck", "spread")


@dataclass(frozen=True, slots=True)
class Scores:
    """Of W windows by D detectors."""

    detectors: tuple[str, ...]
    scores: Floats
    """Shape (W, D): above 1 is abnormal; 0 where a detector has nothing to say."""
    by_reference: Floats
    """Against baseline, blend and last 7 days, shape (W, 3, D); infinite where not available."""
    available: Flags
    """Whether the last days are a reference, shape (W,)."""
    rows: Integers
    """Shape (W,)."""
    valid: Integers
    """Shape (W,)."""
    certain: Flags
    """Where the form of a fault is unmistakable, without any reference, shape (W, D)."""
    short: Flags
    """Days of so few hours that they say no more than these, shape (W,)."""
    evidence: Floats
    """Log of the shape's T over the usual windows' 90th percentile, the least of three; shape (W,)."""

    @property
    def against_baseline(self) -> Floats:
        """The largest score against the baseline alone, shape (W,)."""
        return np.asarray(self.by_reference[:, 0].max(axis=1, initial=0.0))


@dataclass(frozen=True, slots=True)
class Past:
    """What windows are compared with, for judging one fault after the other beside it."""

    hours: Hours
    sums: Sums


def past_of(
    column: BaselineColumn, history: HourTable, window: str, first: Integers, *, keep: Flags | None = None
) -> Past:
    """The past of the windows that begin at *first*, for `score_windows`."""
    calibration = column.calibration
    assert calibration is not None
    model = model_of(calibration)
    hours = _laid_out(history, model, model.windows[window])
    kept = hours.values if keep is None else hours.values * keep[:, np.newaxis]
    starts = day_starts(window, first, history.hours, history.cells)
    return Past(hours, past(window, kept, hours.hours, first, starts))


def _laid_out(table: HourTable, model: Model, windowed: WindowModel) -> Hours:
    floor = windowed.calibration.spread.floor if windowed.calibration.spread is not None else 1e-300
    return lay_out(table, model.tests, model.kinds, model.shares, floor)


def score_windows(
    column: BaselineColumn,
    history: HourTable,
    window: str,
    first: Integers,
    stop: Integers,
    *,
    alpha: float,
    keep: Flags | None = None,
    now: HourTable | None = None,
    beside: Past | None = None,
) -> Scores:
    """Scores of the windows [*first*, *stop*) (hour numbers) of a column calibrated for this *window*.

    *history* holds the past, and the windows themselves, unless those are in *now* (a day with a fault beside
    a past without). *keep*, shape of the history's hours, leaves out the hours of incidents. *beside* is the
    past of these windows, where it has been found already.
    """
    calibration = column.calibration
    assert calibration is not None
    model = model_of(calibration)
    windowed = model.windows[window]
    table = history if now is None else now
    before = _laid_out(history, model, windowed) if beside is None else beside.hours
    present = before if now is None else _laid_out(now, model, windowed)
    starts = day_starts(window, first, table.hours, table.cells)
    sums = None if beside is None else beside.sums
    compared = compare(window, present, before, first, stop, starts, model.kinds, keep, sums)
    baseline_totals = np.array([column.valid, column.rows], dtype=np.float64)
    departed = departures(compared, windowed.blend, model.kinds, baseline_totals)
    available = availability(compared, calibration)
    by_reference, evidence = reference_scores(model, windowed, departed, compared, alpha)
    by_reference[~available, 1:] = np.inf
    seen = Seen(table, history, compared, first, stop, starts, window == "1h")
    steady, certain_steady = steady_scores(column, windowed.calibration, seen, alpha)
    if window == "1h":
        _excuse_single_hours(by_reference, model, windowed, compared, present, first)
    certain = _certain(model, windowed, compared)
    everything = np.concatenate([by_reference, steady], axis=2)
    return Scores(
        detectors=(*model.tests, "bin", *_STEADY),
        scores=everything.min(axis=1),
        by_reference=everything,
        available=available,
        rows=compared.totals[:, 1].astype(np.int64),
        valid=compared.totals[:, 0].astype(np.int64),
        certain=np.concatenate([certain, certain_steady], axis=1),
        short=_short(calibration, window, compared),
        evidence=evidence,
    )


#: Shares of the entries, beyond the baseline's worst window, by which a rate is unmistakable, past or none.
CERTAIN_RATES: Final = {"missing": 0.10, "mismatched": 0.05, "unseen": 0.05}


#: Share in the baseline's worst hour from which a rate is wild by itself.
WILD: Final = 0.10
#: Share of this hour's rate that the hour before must have had, too, for a wild rate to page.
_LASTING: Final = 0.5


def _excuse_single_hours(
    scores: Floats,
    model: Model,
    windowed: WindowModel,
    compared: Compared,
    present: Hours,
    first: Integers,
) -> None:
    """Hold back the rates that were wild in single hours of the baseline until a second hour shows the same.

    Weather that is joined to flights was missing for whole hours now and then, and as often again live: one
    more such hour is no news, two in a row are, and so is a day of them.
    """
    hours = present.hours
    before = np.searchsorted(hours, first - 1)
    there = before < hours.size
    before = np.minimum(before, max(hours.size - 1, 0))
    for at, test in enumerate(model.tests):
        if test == SHAPE or windowed.largest[at] < WILD:
            continue
        part = model.starts[at]
        share = compared.counts[:, part] / np.maximum(compared.totals[:, RATES[test]], 1)
        values = present.values[before]
        earlier = values[:, part] / np.maximum(values[:, part] + values[:, part + 1], 1)
        lasting = there & (hours[before] == first - 1) & (earlier >= _LASTING * share)
        scores[~lasting, :, at] = np.minimum(scores[~lasting, :, at], 1.0)


def _certain(model: Model, windowed: WindowModel, compared: Compared) -> Flags:
    """Where rates are unmistakable, shape (W, tests + 1)."""
    certain = np.zeros((compared.totals.shape[0], len(model.tests) + 1), np.bool_)
    for at, test in enumerate(model.tests):
        points = CERTAIN_RATES.get(test)
        if points is not None:
            total = np.maximum(compared.totals[:, RATES[test]], 1)
            certain[:, at] = compared.counts[:, model.starts[at]] / total >= windowed.largest[at] + points
    return certain


def _short(calibration: Calibration, window: str, compared: Compared) -> Flags:
    """Of days: those of less than a quarter of the usual hours, where hours are judged by themselves.

    One hour of weather is one value, and is neither a day that is stuck nor one on a coarser grid.
    """
    if window == "1h" or "1h" not in calibration.windows:
        return np.zeros(compared.totals.shape[0], np.bool_)
    return np.asarray(SHORT * compared.own[:, 4] < calibration.day_hours)


def availability(compared: Compared, calibration: Calibration) -> Flags:
    """Whether enough of the last seven days was kept to be a reference, shape (W,)."""
    hours = min(PAST_HOURS, calibration.day_hours)
    rows = min(PAST_ROWS, calibration.day_rows)
    return np.asarray((compared.week[:, 4] >= hours) & (compared.week_valid >= rows))


def reference_scores(
    model: Model, windowed: WindowModel, departed: Departures, compared: Compared, alpha: float
) -> tuple[Floats, Floats]:
    """Of the shape, the rates and the largest bin, shape (W, 3, tests + 1), and the evidence, shape (W,)."""
    rows, usual = compared.totals[:, 1], windowed.calibration.rows
    natural = windowed.natural
    if rows.max(initial=0) > usual:
        beyond = np.maximum(1 - usual / np.maximum(rows, 1), 0)
        natural = natural + windowed.errors * beyond[:, np.newaxis, np.newaxis]
    found = statistics(departed, natural, model.starts, model.bins)
    limits = windowed.thresholds(alpha, model.degrees)
    windows = departed.residual.shape[0]
    scores = np.empty((windows, 3, len(model.tests) + 1))
    np.divide(found.tests, limits.tests, out=scores[:, :, :-1])
    near = (rows * NEAR >= usual) & (rows <= usual * NEAR)
    scores[near, :, 0] = found.tests[near, :, 0] / limits.shape
    needed = np.empty_like(found.effects)
    needed[:] = model.floors
    needed[:, :, 0] += model.degrees * found.chance
    np.minimum(scores[:, :, :-1], found.effects / needed, out=scores[:, :, :-1])
    peak, effect = peaks(found, limits.scales)
    np.minimum(peak / limits.peak, effect / (FLOORS[PEAK] + found.chance), out=scores[:, :, -1])
    evidence = np.log((found.tests[:, :, 0] / windowed.usual).min(axis=1) + _LEAST_EVIDENCE)
    return scores, evidence


@dataclass(frozen=True, slots=True)
class Seen:
    """What the steady detectors look at."""

    table: HourTable
    history: HourTable
    compared: Compared
    first: Integers
    stop: Integers
    starts: Integers
    hourly: bool


def steady_scores(
    column: BaselineColumn, calibration: WindowCalibration, seen: Seen, alpha: float
) -> tuple[Floats, Flags]:
    """Of `_STEADY`, shape (W, 3, 6), and where their form is unmistakable, shape (W, 6)."""
    compared = seen.compared
    own, week, valid = compared.own, compared.week, compared.totals[:, 0]
    windows = seen.first.size
    scores = np.zeros((windows, 3, len(_STEADY)))
    certain = np.zeros((windows, len(_STEADY)), np.bool_)
    low = np.searchsorted(seen.table.hours, seen.first)
    high = np.searchsorted(seen.table.hours, seen.stop)
    if calibration.spike is not None:
        scores[:, :, 0] = _spikes(column, calibration, seen, low, high, alpha)[:, np.newaxis]
    far, far_week = own[:, 0], week[:, 0]
    if far.any():
        share = far / np.maximum(valid, 1)
        usual = far_week / np.maximum(compared.week_valid, 1)
        scores[:, 0, 1] = np.minimum(far / FAR_ROWS, share / FAR_SHARE)
        scores[:, 1:, 1] = np.minimum(far / FAR_ROWS, np.maximum(share - usual, 0) / FAR_SHARE)[:, np.newaxis]
        certain[:, 1] = (share >= 0.05) & (far >= FAR_ROWS)
    limit = RUNS * calibration.frozen + 1
    length = runs(seen.table) if _may_be_frozen(seen.table, low, high) else np.zeros(0, np.int64)
    if length.size and (length > 1).any():
        longest = np.zeros(windows)
        inside = high > low
        # Of an hour its own run; of a day the longest one that ends in it.
        for at in np.flatnonzero(inside).tolist() if windows <= 8 else []:
            longest[at] = length[low[at] : high[at]].max()
        if windows > 8:
            longest[inside] = np.maximum.reduceat(np.append(length, 0), _pairs(low[inside], high[inside]))[
                ::2
            ]
        scores[:, :, 2] = (longest / (limit + 1e-9))[:, np.newaxis]
    if calibration.replays <= REPLAYS:
        scores[:, :, 3] = _replays(seen, low, high)[:, np.newaxis]
    if not calibration.constant:
        alone = (own[:, 3] > 0) & (own[:, 3] == own[:, 4]) & (valid >= ENTRIES)
        if seen.hourly:
            alone &= week[:, 3] == 0
        for at in np.flatnonzero(alone).tolist():
            if (
                one_value(seen.table, int(low[at]), int(high[at]))
                and not _by_chance(column, seen.table, int(low[at]), int(high[at]))
                and (seen.hourly or not _lately(seen, at))
            ):
                scores[at, :, 4] = CERTAIN
                certain[at, 4] = True
    if calibration.spread is not None:
        spread = calibration.spread
        measured, measured_week = own[:, 2], week[:, 2]
        mean = own[:, 1] / np.maximum(measured, 1)
        mean_week = np.where(measured_week > 0, week[:, 1] / np.maximum(measured_week, 1), mean)
        limits = [max(tail.quantile(calibration.supported(alpha)), SPREAD_EFFECT) for tail in spread.tails]
        fallen = np.where(measured > 0, spread.usual - mean, 0.0)
        fallen_week = np.where(measured > 0, mean_week - mean, 0.0)
        scores[:, 0, 5] = np.maximum(fallen / limits[0], 0)
        scores[:, 1:, 5] = np.maximum(fallen_week / limits[1], 0)[:, np.newaxis]
    return scores, certain


def _by_chance(column: BaselineColumn, table: HourTable, low: int, high: int) -> bool:
    """Whether the baseline's share of the one bin at hand gives so many entries in a row now and then.

    82 % of the entries 0 and 31 an hour: all of them are 0 in two hours of a thousand.
    """
    counts = table.bins[low:high].sum(axis=0)
    at = int(counts.argmax())
    shares = [float(column.shares[at])]
    if column.calibration is not None:
        model = model_of(column.calibration)
        shares += model.shares[table.cells[low:high], at].tolist()
    return bool(max(shares) ** float(counts[at]) > _STUCK_CHANCE)


def _may_be_frozen(table: HourTable, low: Integers, high: Integers) -> bool:
    """False where the one hour at hand has another mean than the hour before: nothing is frozen then."""
    if low.size != 1 or high[0] - low[0] != 1:
        return True
    at = int(low[0])
    return at > 0 and math.isclose(table.moments[at, 0], table.moments[at - 1, 0], rel_tol=1e-8)


def _pairs(low: Integers, high: Integers) -> Any:
    """Bounds for ``reduceat``: every second result is that of one window."""
    return np.stack([low, high], axis=1).ravel()


def _spikes(
    column: BaselineColumn,
    calibration: WindowCalibration,
    seen: Seen,
    low: Integers,
    high: Integers,
    alpha: float,
) -> Floats:
    natural = calibration.spike
    assert natural is not None
    total = seen.compared.totals[:, 0]
    over, value, count = spike.excess(seen.table, low, high, total, usual_of(column))
    z = spike.deviations(over, total, natural.natural)
    critical = max(spike.FLOOR, natural.tail.quantile(calibration.supported(alpha)))
    scores = z / critical
    for at in np.flatnonzero(scores > 1).tolist():
        begin, end = np.searchsorted(seen.history.hours, [seen.starts[at] - 168, seen.starts[at]])
        lately = spike.share_of(seen.history, int(begin), int(end), float(value[at]))
        now = float(count[at] / total[at])
        excess = now - lately
        z_now = 2 * np.sqrt(total[at]) * (np.sqrt(now) - np.sqrt(lately))
        z_now /= np.sqrt(1 + 4 * total[at] * natural.natural)
        scores[at] = min(scores[at], max(z_now / critical, 0.0), max(excess / spike.EXCESS, 0.0))
    return np.asarray(scores)


def usual_of(column: BaselineColumn) -> spike.Usual:
    """The column's frequent values, sorted once."""
    assert column.calibration is not None
    prepared = column.calibration.prepared
    found = prepared.get("usual")
    if found is None:
        found = prepared["usual"] = spike.Usual.of(column.top)
    return found


def _replays(seen: Seen, low: Integers, high: Integers) -> Floats:
    """An hour that was replayed, or a day of which half the hours were."""
    size = seen.table.hours.size
    windows = low.size
    if windows <= 8:
        scores = np.zeros(windows)
        for at, (a, b) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
            if b > a:
                same = replayed(seen.table, np.arange(a, b), seen.history)
                scores[at] = CERTAIN * float(same.mean() >= 0.5)
        return scores
    same = replayed(seen.table, np.arange(size), seen.history)
    upto = np.concatenate([[0], np.cumsum(same)])
    share = (upto[high] - upto[low]) / np.maximum(high - low, 1)
    return np.asarray(CERTAIN * (share >= 0.5))


def _lately(seen: Seen, at: int) -> bool:
    """Whether one of the seven days before the day at position *at* had one value alone."""
    bounds = np.searchsorted(seen.history.hours, seen.starts[at] - 24 * np.arange(7, -1, -1)).tolist()
    days = ((low, high) for low, high in pairwise(bounds) if high > low)
    return any(_constant_day(seen.history, low, high) for low, high in days)


def _constant_day(table: HourTable, low: int, high: int) -> bool:
    valid = int(table.bins[low:high].sum())
    return (
        valid >= ENTRIES
        and bool(constant(table.part(slice(low, high))).all())
        and one_value(table, low, high)
    )
