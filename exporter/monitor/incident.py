"""Incident: a column that has drifted, from its onset until it has been quiet for a while."""

from __future__ import annotations

from typing import Final

import numpy as np

from exporter.sketch import Counts, Quantiles
from exporter.window import WindowState

QUIET_WINDOWS: Final = {"1h": 3, "1d": 1}
"""How many windows that are not abnormal, with enough rows, end an incident. A fault that is found in four
hours of five (kilometres for miles on 60 flights an hour: 79 %) is then one incident and not several."""


class Incident:
    """All that was seen of a column in the abnormal windows of one incident.

    The longer it lasts the more rows tell what has happened: an hour of 60 rows knows a factor of 1.61 to
    within a tenth, a day to within a hundredth.
    """

    __slots__ = ("_quantiles", "counts", "missing", "quiet", "start", "unseen")

    def __init__(self, start: float) -> None:
        self.start = start
        """Estimated onset, Unix seconds."""
        self.quiet = 0
        """Windows since the last abnormal one."""
        self.counts: Counts = np.zeros(0, np.int64)
        """Observations per bin, shape (K,)."""
        self.missing = 0
        self.unseen = 0
        self._quantiles: Quantiles | None = None

    def add(self, state: WindowState) -> None:
        """Add another abnormal window."""
        self.quiet = 0
        counts = state.bin_counts
        if counts is not None:
            self.counts = counts.copy() if not self.counts.size else self.counts + counts
        self.missing += state.missing
        self.unseen += state.tally.unseen
        if state.quantiles is None or not state.quantiles.count:
            return
        if self._quantiles is None:
            self._quantiles = Quantiles()
        self._quantiles.merge(state.quantiles)

    @property
    def quantiles(self) -> Quantiles | None:
        """Of the numbers seen in it; None for categories, and while no sketch was to be had."""
        return self._quantiles
