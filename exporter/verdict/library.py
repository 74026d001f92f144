"""Library: ADWIN and Page-Hinkley of river, as named detectors on the evidence of prediction columns.

They hear the evidence of each hour (`Judgement.evidence`), in the baseline's deviations and clipped as in
`accumulate`, and can make a ticket, never a page. On rows themselves both alarm on most days of real traffic.
On this evidence, with the settings below, ADWIN told 7 and Page-Hinkley 5 changes in 1,218 clean days of
seven columns, and 19 and 20 of 23 lasting shifts of a quarter deviation; the settings were chosen on these
streams.

river is an extra (``modelmeter[river]``): it needs scipy, and takes pandas and scikit-learn in where it finds
them, which makes a recorder 180 MB larger. Without it there are no such detectors, and nothing else changes.

Promises: pure; a series of at most `HOURS` numbers is all the state there is.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from exporter.baseline.calibration import Evidence
from exporter.verdict.accumulate import CLIP

#: Hours of evidence to keep: thirty days.
HOURS: Final = 720
ADWIN: Final = "ADWIN"
PAGE_HINKLEY: Final = "Page-Hinkley"
#: ADWIN's confidence; and what Page-Hinkley forgives an hour, and its threshold, in deviations.
_DELTA: Final = 1e-9
_ALLOWANCE: Final = 0.5
_THRESHOLD: Final = 50.0
#: Hours before Page-Hinkley speaks.
_WEEK: Final = 168


@cache
def installed() -> bool:
    """Whether river is there."""
    return importlib.util.find_spec("river") is not None


def standardised(evidence: float, usual: Evidence) -> float:
    """One hour's evidence in deviations, within `CLIP`.

    >>> standardised(9.0, Evidence(mean=-1.0, deviation=0.5, limit=4.0))
    2.0
    """
    return min(max((evidence - usual.mean) / usual.deviation, CLIP[0]), CLIP[1])


def changed(series: Sequence[float], last: int = 24) -> tuple[str, ...]:
    """Which detectors tell of a change for the worse in the *last* hours of *series*, standardised evidence.

    None without river. About 2 ms for thirty days: to be asked once a day, of prediction columns.

    >>> changed([])
    ()
    """
    if len(series) == 0 or not installed():
        return ()
    drift: Any = importlib.import_module("river.drift")
    adwin = drift.ADWIN(delta=_DELTA)
    page_hinkley = drift.PageHinkley(min_instances=_WEEK, delta=_ALLOWANCE, threshold=_THRESHOLD, mode="up")
    found: set[str] = set()
    begin = len(series) - last
    for at, value in enumerate(series[-HOURS:], start=max(len(series) - HOURS, 0)):
        before = float(adwin.estimation)
        adwin.update(value)
        page_hinkley.update(value)
        if at < begin:
            continue
        if adwin.drift_detected and adwin.estimation > before:
            found.add(ADWIN)
        if page_hinkley.drift_detected:
            found.add(PAGE_HINKLEY)
    return tuple(name for name in (ADWIN, PAGE_HINKLEY) if name in found)
