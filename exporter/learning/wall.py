"""Wall clock hours: the hours of a learner as the clock of a time zone shows them, as in baselines."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from exporter.sketch import Counts


def phase_of(zone: ZoneInfo, time: float) -> int:
    """By how many seconds hours of *zone* begin after those of UTC: 1800 in Kolkata, 0 mostly.

    >>> phase_of(ZoneInfo("Asia/Kolkata"), 0.0)
    1800
    """
    return -_offset(zone, time) % 3600


def hour_of(time: float, phase: int) -> int:
    """The number of the hour that holds *time*, Unix seconds."""
    return int((time - phase) // 3600)


def wall_hours(hours: Counts, phase: int, zone: ZoneInfo) -> Counts:
    """The wall clock hour, since 1970-01-01T00:00 of *zone*, of each of *hours*, shape (H,).

    >>> wall_hours(np.array([0, 1]), 0, ZoneInfo("America/New_York")).tolist()
    [-5, -4]
    """
    begins = hours * 3600 + phase
    local = [start + _offset(zone, float(start)) for start in begins.tolist()]
    return np.array(local, dtype=np.int64) // 3600


def _offset(zone: ZoneInfo, time: float) -> int:
    offset = datetime.fromtimestamp(time, zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())
