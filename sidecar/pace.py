"""Pace: which share of exchanges the recorder can record within the processors it was given.

Promises: a share from 1 in 10,000 to the ceiling, never above it; it comes to rest where the recorder's
processors are used as far as allowed, whatever an exchange costs and however many come; no state but a few
numbers, and no clock (the caller says what was used since the last call).

What recording costs is measured, not assumed. In an interval, processors used = base + cost x recorded per
second, and what would be used at another share is in proportion to the share, as far as the cost is that of
recording. So the share for the budget is share x budget / used: exact after one step when everything is in
proportion, and too careful by the base (polling, heads of what is not drawn, scrapes) otherwise, from which
the next steps come nearer. Three things keep it steady:

* what was used is smoothed over about `SMOOTH_SECONDS`, in the logarithm, since shares act by ratio;
* downwards a step is taken in full, since the budget is somebody else's processor; upwards at most by a
  factor `UPWARDS` a second, so that a pause of the load is not answered by a burst;
* within `REST` of the budget nothing is changed.
"""

from __future__ import annotations

import math

LEAST = 1e-4
SMOOTH_SECONDS = 2.0
UPWARDS = 1.2
REST = 0.05


class Pace:
    """The share of exchanges to be recorded, for *budget* processors and at most *ceiling*.

    >>> pace = Pace(0.5, 1.0)
    >>> for second in range(60):  # recording everything would take two processors
    ...     share = pace.update(2.0 * pace.share, 1.0)
    >>> round(share, 2)
    0.25
    """

    def __init__(self, budget: float, ceiling: float) -> None:
        if not budget > 0:
            raise ValueError(f"budget of {budget} processors: expected more than 0")
        self._budget = budget
        self._ceiling = ceiling
        self.share = ceiling
        self._full = 0.0
        """Logarithm of the processors that a share of 1 would use, smoothed over"""
        self._seen = 0.0
        """seconds."""

    def update(self, cpu_seconds: float, wall_seconds: float) -> float:
        """The share from now on, when the recorder has used *cpu_seconds* in the last *wall_seconds*.

        Anything not finite or not positive is let pass without a change: clocks are read from the system.
        """
        if not (0 < wall_seconds < math.inf and 0 <= cpu_seconds < math.inf) or self._ceiling <= 0:
            return self.share
        share = max(self.share, LEAST)
        full = math.log(min(max(cpu_seconds / wall_seconds, 1e-9), 1e9) / share)
        # A mean at first, then a smoothed one, so that the first seconds count and a single one does not.
        self._seen = min(self._seen + wall_seconds, SMOOTH_SECONDS + wall_seconds)
        self._full += (full - self._full) * (wall_seconds / self._seen)
        wanted = self._budget / math.exp(self._full)
        if abs(wanted - share) > REST * share:
            share = min(wanted, share * UPWARDS ** min(wall_seconds, 60.0))
        self.share = min(max(share, LEAST), self._ceiling)
        return self.share
