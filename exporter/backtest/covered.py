"""Covered: which windows a file covers whole, and which, at its two ends, only in part.

A file that begins at 14:40 has a third of that hour and of that day, and no detector knows that the rest is
not missing. So the first and the last window of each length count as whole only when the file's rows begin,
or end, where those of its other windows do: give or take nothing for an hour (in slots of five minutes), an
hour for a day. A shop without rows at night keeps its first day; a file with one window alone has to fill it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from exporter.backtest.reader import Extent, Integers
from exporter.tumbling import HOUR, containing, phase_of
from exporter.window import SLOT_SECONDS

#: Slots beyond what is usual that a window may lack at the file's end: a day as many as an hour has.
_LACKING: Final = {"1h": 0, "1d": int(HOUR) // SLOT_SECONDS}


@dataclass(frozen=True, slots=True)
class Span:
    """A window [start, end), Unix seconds, that holds some of the file, or lies between such."""

    start: float
    end: float
    whole: bool
    rows: int


def spans(extent: Extent, window: str, zone: ZoneInfo) -> list[Span]:
    """All windows from the file's first row to its last, in order; only the outer two may be not whole.

    >>> extent = Extent()
    >>> extent.add(np.arange(2400.0, 14400.0, 60.0))
    >>> [(span.start, span.whole, span.rows) for span in spans(extent, "1h", ZoneInfo("UTC"))]
    [(0.0, False, 20), (3600.0, True, 60), (7200.0, True, 60), (10800.0, True, 60)]
    """
    first_time, last_time = (float(extent.slots[at]) * SLOT_SECONDS for at in (0, -1))
    phase = phase_of(zone, first_time)  # the schedule of a monitor that starts here has the same
    edges = [containing(window, first_time, zone, phase)]
    while edges[-1][1] <= last_time:
        edges.append(containing(window, edges[-1][1], zone, phase))
    bounds = np.array([start for start, _ in edges] + [edges[-1][1]]) // SLOT_SECONDS
    at: Integers = np.searchsorted(extent.slots, bounds)
    total = np.concatenate(([0], np.cumsum(extent.counts)))
    rows = total[at[1:]] - total[at[:-1]]
    seen = np.flatnonzero(rows)  # the first and the last window are among them
    heads = extent.slots[at[:-1][seen]] - bounds[:-1][seen]
    tails = bounds[1:][seen] - 1 - extent.slots[at[1:][seen] - 1]
    first = heads[0] <= _usual(heads[1:]) + _LACKING[window]
    final = tails[-1] <= _usual(tails[:-1]) + _LACKING[window]
    whole = np.ones(len(edges), dtype=bool)
    whole[0] &= first
    whole[-1] &= final
    return [
        Span(start, end, bool(good), int(count))
        for (start, end), good, count in zip(edges, whole, rows, strict=True)
    ]


def _usual(lacking: Integers) -> float:
    return float(np.median(lacking)) if lacking.size else 0.0
