"""Judge: is a window of one column abnormal, in the simplest form of the verdict (design section 4).

    score        = PSI / critical PSI
    critical PSI = q · (1/n + 1/N + τ²), and never below chance plus the effect floor

with q and τ² from the column's calibration at that window length. Missing entries and unseen categories have
a one-sided detector each; the largest score decides.

Promises: pure; the same counts give the same judgement, from a pod or from a fleet. Refuses to guess:
``insufficient`` and ``learning`` are states, not "no drift".

| state | when |
|---|---|
| ``learning`` | the column is not in the baseline |
| ``insufficient`` | the window or the baseline has too few rows |
| ``drifted`` | calibrated for this window, and score > 1: this pages |
| ``ticket`` | not calibrated, and score > 1 against `UNCALIBRATED_PSI` and its like: worth a look by day |
| ``ok`` | otherwise |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from exporter.baseline.baseline import BaselineColumn
from exporter.baseline.calibration import DEFAULT_ALPHA, UNSEEN_EFFECT_FLOOR, freeman_tukey
from exporter.baseline.tail import chi_square_quantile
from exporter.statistics import jensen_shannon_distance, psi
from exporter.views import State

Counts: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
Detector: TypeAlias = Literal["shape", "missing", "unseen"]

#: Rows a window needs, and a baseline.
WINDOW_ROWS: Final = 20
BASELINE_ROWS: Final = 100
#: Rows a window needs when nothing is known of the column's natural variance.
UNCALIBRATED_ROWS: Final = 100
#: PSI beyond chance that is worth a ticket without calibration: Σr² > 0.15 (detection.md 5), and PSI ≈ 4 Σr².
#: A shift of 0.8 standard deviations; three times what the usual rule of 0.2 calls a major change.
UNCALIBRATED_PSI: Final = 0.6
#: Points of missing entries, and share of unseen categories, that are (detection.md 5).
UNCALIBRATED_MISSING: Final = 0.10
UNCALIBRATED_UNSEEN: Final = 0.05
#: Of a baseline without timestamps: four standard deviations, so that small windows do not reach these by
#: chance.
_CHANCE: Final = 16.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one window of one column amounts to."""

    state: State
    rows: int
    """Entries in the window, missing ones included."""
    psi: float | None
    """None while there are too few valid entries, or no baseline."""
    jensen_shannon: float | None
    score: float | None
    """Above 1 is abnormal; None while insufficient or learning."""
    critical_psi: float | None
    """The PSI at which the shape alone scores 1 with this many rows."""
    detector: Detector | None
    """Which detector's score it is; None without a score."""
    reason: str
    """One sentence for people and logs."""


def judge(
    column: BaselineColumn | None,
    counts: Counts,
    window: str,
    page_alpha: float = DEFAULT_ALPHA,
    *,
    missing: int = 0,
    unseen: int = 0,
) -> Judgement:
    """Judge a window whose valid entries fell into the column's bins as *counts*, int64, shape (K,).

    *window* is ``1h`` or ``1d``; *page_alpha* is the false alarms per window that are acceptable, raised to
    what the baseline's number of windows supports. *missing* entries come on top of the counts, *unseen* ones
    are among them. Raises ValueError when counts are not over the column's bins.
    """
    valid = int(counts.sum())
    rows = valid + missing
    if column is None:
        return _without_score("learning", rows, "no baseline has this column")
    if counts.shape != (column.bins.size,):
        raise ValueError(f"{column.name}: expected counts of {column.bins.size} bins, found {counts.shape}")
    if column.valid < BASELINE_ROWS:
        reason = f"the baseline has {column.valid} rows of it, {BASELINE_ROWS} are needed"
        return _without_score("insufficient", rows, reason)
    calibration = column.calibration.get(window)
    needed = UNCALIBRATED_ROWS if calibration is None else WINDOW_ROWS
    if rows < needed:
        return _without_score("insufficient", rows, f"{rows} rows, {needed} are needed")
    scores: dict[Detector, float] = {}
    value = distance = critical = None
    if valid >= needed:
        value = psi(column.counts, counts)
        distance = jensen_shannon_distance(column.counts, counts)
        critical = _critical_psi(column, window, valid, page_alpha)
        scores["shape"] = value / critical
    if calibration is not None:
        alpha = calibration.supported(page_alpha)
        scores["missing"] = calibration.missing.score(missing, rows, column.rows, alpha)
        if calibration.unseen is not None and valid >= needed:
            scores["unseen"] = calibration.unseen.score(
                unseen, valid, column.valid, alpha, UNSEEN_EFFECT_FLOOR
            )
    else:
        scores["missing"] = _excess(missing, rows, column.missing_share, UNCALIBRATED_MISSING)
        if column.known_complete and valid >= needed:
            scores["unseen"] = _excess(unseen, valid, 0.0, UNCALIBRATED_UNSEEN)
    detector = max(scores, key=lambda name: scores[name])
    if valid < needed and scores[detector] <= 1:
        reason = f"{valid} of {rows} rows have a value, {needed} are needed"
        return _without_score("insufficient", rows, reason)
    state: State = "ok"
    if scores[detector] > 1:
        state = "ticket" if calibration is None else "drifted"
    reason = _reason(
        column, detector, scores[detector], value, critical, missing / rows, unseen / max(valid, 1)
    )
    return Judgement(state, rows, value, distance, scores[detector], critical, detector, reason)


def _without_score(state: State, rows: int, reason: str) -> Judgement:
    return Judgement(state, rows, None, None, None, None, None, reason)


def _critical_psi(column: BaselineColumn, window: str, rows: int, alpha: float) -> float:
    degrees = column.bins.size - 1
    calibration = column.calibration.get(window)
    if calibration is not None:
        return calibration.critical_psi(rows, column.valid, degrees, alpha)
    chance = 1 / rows + 1 / column.valid
    return max(chi_square_quantile(alpha, degrees) * chance, UNCALIBRATED_PSI + degrees * chance)


def _excess(count: int, rows: int, share: float, points: float) -> float:
    """Above 1 when *count* of *rows* exceeds *share* by more than *points*, and not by chance."""
    residual = freeman_tukey(count, share * rows, rows)
    if residual <= 0:
        return 0.0
    return min((count / rows - share) / points, residual**2 * 4 * rows / _CHANCE)


def _reason(
    column: BaselineColumn,
    detector: Detector,
    score: float,
    value: float | None,
    critical: float | None,
    missing_share: float,
    unseen_share: float,
) -> str:
    relation = "abnormal" if score > 1 else "usual"
    if detector == "missing":
        return f"{relation}: {missing_share:.2%} missing, {column.missing_share:.2%} in the baseline"
    if detector == "unseen":
        return f"{relation}: {unseen_share:.2%} of categories that the baseline has not"
    return f"{relation}: PSI {value:.3g}, critical {critical:.3g} with this many rows"
