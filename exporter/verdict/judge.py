"""Judge: is a window of one column abnormal, and does that page?

| state | when |
|---|---|
| ``learning`` | the column is not in the baseline |
| ``insufficient`` | the window or the baseline has too few rows |
| ``drifted`` | abnormal against the baseline, the last seven days and their blend: this pages |
| ``ticket`` | abnormal, but the column is not calibrated for this window, or there are no last days yet |
| ``ok`` | otherwise |

What needs no comparison pages always (`CERTAIN_FORMS`): a type that changed, numbers far outside, all entries
one value, a fifth one number that hardly was in the baseline, categories that nobody knew, a tenth of the
entries suddenly missing.

Promises: pure; the same hours give the same judgement, from a pod or from a fleet, counted in any order.
Refuses to guess: ``insufficient`` and ``learning`` are states, not "no drift".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from exporter.baseline.baseline import BaselineColumn
from exporter.baseline.calibration import DEFAULT_ALPHA, EFFECT_FLOOR_PSI, REFERENCES, freeman_tukey
from exporter.baseline.tail import chi_square_quantile
from exporter.hourly import HourTable
from exporter.statistics import psi
from exporter.verdict import spike
from exporter.verdict.engine import FAR_ROWS, Scores, score_windows
from exporter.verdict.measures import SHAPE
from exporter.verdict.model import model_of
from exporter.verdict.steady import ENTRIES, constant
from exporter.views import State

Counts: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
Flags: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"
Detector: TypeAlias = str

#: Rows a window needs, and a baseline.
WINDOW_ROWS: Final = 20
BASELINE_ROWS: Final = 100
#: Rows a window needs when nothing is known of the column's natural variance.
UNCALIBRATED_ROWS: Final = 100
#: PSI beyond chance that is worth a ticket without calibration: Σr² > 0.15 (detection.md 5), and PSI ≈ 4 Σr².
#: A shift of 0.8 standard deviations; three times what the usual rule of 0.2 calls a major change.
UNCALIBRATED_PSI: Final = 0.6
#: Shares of the entries by which a form of fault is unmistakable, beyond the baseline's own share.
CERTAIN_FORMS: Final = {"missing": 0.10, "mismatched": 0.05, "unseen": 0.05, "far": 0.05, "spike": 0.20}
#: Share in the baseline below which a number that floods a window is a strange one.
SPIKE_USUAL: Final = 0.01
#: Four standard deviations squared, so that small windows do not reach these by chance.
_CHANCE: Final = 16.0
#: Bins that a judgement names as moved.
_MOVED: Final = 5


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one window of one column amounts to."""

    state: State
    rows: int
    """Entries in the window, missing ones included."""
    psi: float | None = None
    """None while there are too few valid entries, or no baseline."""
    score: float | None = None
    """Above 1 is abnormal; None while insufficient or learning."""
    critical_psi: float | None = None
    """The PSI at which the shape alone scores about 1 with this many rows."""
    detectors: tuple[Detector, ...] = ()
    """Those whose score is above 1, the highest first."""
    compared_with: str = ""
    """The reference that decided, that is, excused most: one of `REFERENCES`; empty without a score."""
    scores: Mapping[Detector, float] = field(default_factory=dict)
    """Of every detector."""
    against_baseline: float | None = None
    """The largest score against the baseline alone: what a season or a lasting change shows."""
    reasons: tuple[str, ...] = ()
    """Sentences for people and logs, one a detector that fired; else one that says why not."""
    evidence: float | None = None
    """What a day adds to `exporter.verdict.accumulate`; None without a past, and of too few rows."""
    moved: tuple[tuple[str, float, float], ...] = ()
    """Bins that moved most: label, share expected at these hours, share seen; while abnormal."""

    @property
    def detector(self) -> Detector | None:
        """The one with the highest score; None without scores."""
        return max(self.scores, key=lambda name: self.scores[name]) if self.scores else None

    @property
    def reason(self) -> str:
        """The first sentence."""
        return self.reasons[0] if self.reasons else ""


def judge(
    column: BaselineColumn | None,
    history: HourTable,
    window: str,
    first: int,
    stop: int,
    *,
    kept_out: Flags | None = None,
    alpha: float = DEFAULT_ALPHA,
    whole: bool = True,
) -> Judgement:
    """Judge the *window* (``1h``, ``1d``) of hours [*first*, *stop*) of *history*, which has the past, too.

    *alpha* is the false alarms per window and detector that are acceptable, within what the baseline's number
    of windows supports. *kept_out*, shape (H,), marks hours of incidents, which are no reference. A day that
    was not seen *whole* needs half of a usual day's hours. Raises ValueError when the history's bins are not
    the column's.
    """
    low, high = np.searchsorted(history.hours, (first, stop)).tolist()
    rows = int(history.rows[low:high].sum())
    if column is None:
        return _without_score("learning", rows, "no baseline has this column")
    if history.bins.shape[1] != column.bins.size:
        found = history.bins.shape[1]
        raise ValueError(f"{column.name}: expected counts of {column.bins.size} bins, found {found}")
    if column.valid < BASELINE_ROWS:
        reason = f"the baseline has {column.valid} rows of it, {BASELINE_ROWS} are needed"
        return _without_score("insufficient", rows, reason)
    calibration = column.calibration
    windowed = None if calibration is None else calibration.windows.get(window)
    needed = UNCALIBRATED_ROWS if windowed is None else WINDOW_ROWS
    if rows < needed:
        return _without_score("insufficient", rows, f"{rows} rows, {needed} are needed")
    if not whole and window == "1d" and calibration is not None and 2 * (high - low) < calibration.day_hours:
        return _without_score("insufficient", rows, f"{high - low} hours of the day were seen")
    counts: Counts = history.bins[low:high].sum(axis=0)
    if windowed is None:
        return _uncalibrated(column, history, low, high, counts, rows)
    scores = score_windows(
        column,
        history,
        window,
        np.array([first]),
        np.array([stop]),
        alpha=alpha,
        keep=None if kept_out is None else ~kept_out,
    )
    return _judged(column, history, window, low, high, counts, scores, alpha)


def judge_windows(
    column: BaselineColumn,
    history: HourTable,
    window: str,
    first: Integers,
    stop: Integers,
    *,
    kept_out: Flags | None = None,
    alpha: float = DEFAULT_ALPHA,
    now: HourTable | None = None,
) -> tuple[Scores, np.ndarray[Any, np.dtype[np.str_]]]:
    """The scores and states of many windows at once, of a column that is calibrated for this *window*.

    As `judge`, by the same formulas. The windows' own rows are those of *now*, where it is given, so that a
    fault is judged beside a past without it. States are ``drifted``, ``ticket``, ``ok`` and ``insufficient``.
    """
    keep = None if kept_out is None else ~kept_out
    scores = score_windows(column, history, window, first, stop, alpha=alpha, keep=keep, now=now)
    return scores, states(scores)


def states(scores: Scores) -> np.ndarray[Any, np.dtype[np.str_]]:
    """The state of each window, shape (W,)."""
    fired = scores.scores > 1
    pages = (fired & (scores.available[:, np.newaxis] | scores.certain)).any(axis=1)
    found = np.where(pages, "drifted", np.where(fired.any(axis=1), "ticket", "ok"))
    few = (scores.rows < WINDOW_ROWS) | scores.short | ((scores.valid < WINDOW_ROWS) & ~fired.any(axis=1))
    return np.where(few, "insufficient", found)


def _without_score(state: State, rows: int, reason: str) -> Judgement:
    return Judgement(state, rows, reasons=(reason,))


def _judged(
    column: BaselineColumn,
    history: HourTable,
    window: str,
    low: int,
    high: int,
    counts: Counts,
    scores: Scores,
    alpha: float,
) -> Judgement:
    state: State = str(states(scores)[0])  # type: ignore[assignment]
    rows, valid = int(scores.rows[0]), int(scores.valid[0])
    if state == "insufficient":
        reason = f"{valid} of {rows} rows have a value, {WINDOW_ROWS} are needed"
        if scores.short[0]:
            reason = f"rows in {high - low} hours of the day alone, which have verdicts of their own"
        return _without_score("insufficient", rows, reason)
    values = scores.scores[0].tolist()
    named = dict(zip(scores.detectors, values, strict=True))
    if valid < WINDOW_ROWS:
        named.pop(SHAPE)
    order = sorted(named, key=lambda name: -named[name])
    fired = tuple(name for name in order if named[name] > 1)
    deciding = scores.by_reference[0, :, scores.detectors.index(order[0])]
    value = critical = None
    if valid >= WINDOW_ROWS:
        value = psi(column.counts, counts)
        critical = critical_psi(column, window, valid, alpha)
    moved = _moved(column, _expected(column, history, low, high), counts) if fired else ()
    return Judgement(
        state=state,
        rows=rows,
        psi=value,
        score=named[order[0]],
        critical_psi=critical,
        detectors=fired,
        compared_with=REFERENCES[int(deciding.argmin())],
        scores=named,
        against_baseline=float(scores.against_baseline[0]),
        evidence=float(scores.evidence[0]) if scores.available[0] and valid >= WINDOW_ROWS else None,
        reasons=tuple(_reason(column, history, name, low, high, moved, value, critical) for name in fired)
        or (_usual(value, critical),),
        moved=moved,
    )


def critical_psi(column: BaselineColumn, window: str, rows: int, alpha: float) -> float:
    """The PSI at which T of a window of *rows* is at its limit against the baseline, about.

    PSI ≈ 4 Σr², here spread evenly over the bins. The *column* is calibrated for the *window*.
    """
    assert column.calibration is not None
    model = model_of(column.calibration)
    windowed = model.windows[window]
    noise = windowed.natural[0, : model.bins] + (1 / rows + 1 / column.valid) / 4
    limit = float(windowed.thresholds(alpha, model.degrees).tests[0, 0])
    floor = EFFECT_FLOOR_PSI + model.degrees * (1 / rows + 1 / column.valid)
    return max(4 * limit * float(noise.mean()), floor)


def _expected(column: BaselineColumn, history: HourTable, low: int, high: int) -> Any:
    """Shares of the bins that the baseline expects at these hours, shape (K,)."""
    assert column.calibration is not None
    model = model_of(column.calibration)
    valid = history.bins[low:high].sum(axis=1)
    expected = valid @ model.shares[history.cells[low:high], : model.bins]
    return expected / max(float(valid.sum()), 1.0)


def _moved(column: BaselineColumn, expected: Any, counts: Counts) -> tuple[tuple[str, float, float], ...]:
    seen = counts / max(int(counts.sum()), 1)
    order = np.argsort(-np.abs(np.sqrt(seen) - np.sqrt(expected)), kind="stable")[:_MOVED]
    return tuple((column.bins.labels[at], float(expected[at]), float(seen[at])) for at in order.tolist())


_RATES: Final = {
    "missing": "missing",
    "mismatched": "of another type",
    "unseen": "of categories that the baseline has not",
    "grid": "on a coarser grid",
    "far": "far outside the baseline's range",
}


def _reason(
    column: BaselineColumn,
    history: HourTable,
    detector: Detector,
    low: int,
    high: int,
    moved: tuple[tuple[str, float, float], ...],
    value: float | None,
    critical: float | None,
) -> str:
    if detector in _RATES:
        total = history.rows if detector in ("missing", "mismatched") else history.valid
        share = int(getattr(history, detector)[low:high].sum()) / max(int(total[low:high].sum()), 1)
        usual = column.missing_share if detector == "missing" else column.mismatched / max(column.rows, 1)
        rest = f", {usual:.2%} in the baseline" if detector in ("missing", "mismatched") else ""
        return f"{share:.2%} {_RATES[detector]}{rest}"
    if detector == "bin" and moved:
        label, before, now = max(moved, key=lambda bin: np.sqrt(bin[2]) - np.sqrt(bin[1]))
        return f"{label}: {before:.2%} → {now:.2%}"
    if detector == SHAPE and value is not None and critical is not None:
        return f"PSI {value:.3g}, critical {critical:.3g} with this many rows"
    return {
        "bin": "one bin gained",
        SHAPE: "the distribution moved",
        "spike": "one value takes more than it ever did",
        "frozen": "hours without any change in their moments",
        "replayed": "hours equal to those of an earlier day",
        "stuck": "all entries have one value",
        "spread": "values vary less than they ever did",
    }[detector]


def _usual(value: float | None, critical: float | None) -> str:
    if value is None or critical is None:
        return "usual"
    return f"usual: PSI {value:.3g}, critical {critical:.3g} with this many rows"


# Without calibration


def _uncalibrated(
    column: BaselineColumn, history: HourTable, low: int, high: int, counts: Counts, rows: int
) -> Judgement:
    """Unmistakable forms page; the rest is a ticket."""
    valid = int(counts.sum())
    part = history.part(slice(low, high))
    scores: dict[Detector, float] = {}
    value = critical = None
    if valid >= UNCALIBRATED_ROWS:
        value = psi(column.counts, counts)
        critical = _uncalibrated_critical(column, valid)
        scores[SHAPE] = value / critical
    scores["missing"] = _excess(part.missing, rows, column.missing_share, CERTAIN_FORMS["missing"])
    usual = column.mismatched / max(column.rows, 1)
    scores["mismatched"] = _excess(part.mismatched, rows, usual, CERTAIN_FORMS["mismatched"])
    if valid >= ENTRIES:
        if column.known_complete:
            scores["unseen"] = _excess(part.unseen, valid, 0.0, CERTAIN_FORMS["unseen"])
        far = int(part.far.sum())
        scores["far"] = min(far / FAR_ROWS, far / valid / CERTAIN_FORMS["far"])
        scores["stuck"] = 2.0 * float(_stuck(column, part, counts, valid))
        if part.top_counts.any():
            number, scores["spike"] = _spike(column, part, valid)
            # Weather joined to rows is one number an hour: an hour before had as much of another one.
            if _lone_before(column, history, low, number):
                scores["spike"] = scores["stuck"] = 0.0
    order = sorted(scores, key=lambda name: -scores[name])
    fired = tuple(name for name in order if scores[name] > 1)
    if valid < UNCALIBRATED_ROWS and not fired:
        reason = f"{valid} of {rows} rows have a value, {UNCALIBRATED_ROWS} are needed"
        return _without_score("insufficient", rows, reason)
    state: State = "ok"
    if fired:
        state = "drifted" if set(fired) - {SHAPE} else "ticket"
    moved = _moved(column, column.shares, counts) if fired else ()
    return Judgement(
        state=state,
        rows=rows,
        psi=value,
        score=scores[order[0]],
        critical_psi=critical,
        detectors=fired,
        compared_with=REFERENCES[0],
        scores=scores,
        against_baseline=scores[order[0]],
        reasons=tuple(_reason(column, history, name, low, high, moved, value, critical) for name in fired)
        or (_usual(value, critical),),
        moved=moved,
    )


def _spike(column: BaselineColumn, part: HourTable, valid: int) -> tuple[float, float]:
    """The number that hardly was in the baseline and is now most frequent; above 1 from a fifth of all on."""
    values, counts = spike.tops(part, 0, part.hours.size)
    counts = np.where(spike.Usual.of(column.top).share(values) < SPIKE_USUAL, counts, 0)
    at = int(counts.argmax())
    count = float(counts[at])
    change = max(freeman_tukey(count, SPIKE_USUAL * valid, valid), 0.0)
    score = min(count / valid / CERTAIN_FORMS["spike"], change**2 * 4 * valid / _CHANCE)
    return float(values[at]), score


def _lone_before(column: BaselineColumn, history: HourTable, low: int, number: float) -> bool:
    """Whether another number than this *number* took a fifth of an hour before position *low*."""
    before = history.top_values[:low, 0]
    often = history.top_counts[:low, 0] >= CERTAIN_FORMS["spike"] * np.maximum(history.valid[:low], ENTRIES)
    strange = spike.Usual.of(column.top).share(before) < SPIKE_USUAL
    return bool((often & strange & (before != number)).any())


def _stuck(column: BaselineColumn, part: HourTable, counts: Counts, valid: int) -> bool:
    """All entries one value, which chance with the baseline's own share of it does not give."""
    if not bool(constant(part)[part.valid > 0].all()) or int((counts > 0).sum()) != 1:
        return False
    share = float(column.shares[int(counts.argmax())])
    numbers = ~np.isnan(part.moments[:, 0])
    if numbers.any():
        if part.moments[numbers, 2].min() != part.moments[numbers, 3].max():
            return False
        known = {value: seen for value, seen in column.top if not isinstance(value, str)}
        share = known.get(float(part.moments[numbers, 2][0]), 0.001)
    # 50 % of the baseline: 20 rows are all of it in one window of a million; 99 %: never a page.
    return share < 0.9 and share ** min(valid, 1000) < 1e-6


def _uncalibrated_critical(column: BaselineColumn, rows: int) -> float:
    degrees = max(column.bins.size - 1, 1)
    chance = 1 / rows + 1 / column.valid
    return max(chi_square_quantile(DEFAULT_ALPHA, degrees) * chance, UNCALIBRATED_PSI + degrees * chance)


def _excess(count: Integers, rows: int, share: float, points: float) -> float:
    """Above 1 when *count* of *rows* exceeds *share* by more than *points*, and not by chance."""
    seen = int(count.sum())
    residual = freeman_tukey(seen, share * rows, rows)
    if residual <= 0:
        return 0.0
    return min((seen / rows - share) / points, residual**2 * 4 * rows / _CHANCE)
