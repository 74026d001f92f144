"""Matching: does the baseline describe this traffic at all?

A baseline that was sampled otherwise than the model is served (deduplicated, classes balanced, another
region) is wrong from the first window on; that is no drift, and is told at once rather than paged for.
"""

from __future__ import annotations

from typing import Final

from exporter.baseline.baseline import BaselineColumn
from exporter.baseline.calibration import DEFAULT_ALPHA
from exporter.hourly import HourTable
from exporter.verdict.judge import judge_windows, states

#: Share of the first day's hours that are abnormal against the baseline alone before it does not match, and
#: hours with enough rows that this takes.
SHARE: Final = 0.2
HOURS: Final = 6


def matches(
    column: BaselineColumn, table: HourTable, first: int, *, alpha: float = DEFAULT_ALPHA
) -> bool | None:
    """Whether the baseline matches the 24 hours from hour *first* on; None while that can not be said.

    It does not when more than 20 % of the hours are abnormal against the baseline alone. It can not be said
    of a column that is not calibrated for hours, or before six hours had enough rows.
    """
    calibration = column.calibration
    if calibration is None or "1h" not in calibration.windows:
        return None
    hours = table.hours[(table.hours >= first) & (table.hours < first + 24)]
    if not hours.size:
        return None
    scores, _ = judge_windows(column, table, "1h", hours, hours + 1, alpha=alpha)
    enough = states(scores) != "insufficient"
    if int(enough.sum()) < HOURS:
        return None
    return bool((scores.against_baseline[enough] > 1).mean() <= SHARE)
