"""The recorder's clock: Unix time from the monotonic nanoseconds of the ring, real or simulated."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from sidecar.plan import ClockPlan

LATEST = 4_102_444_800.0
"""The beginning of 2100; dates beyond the year 9999 can not even be written."""
FASTEST = 1_000_000.0
"""A year in half a minute. Faster, a batch of a quarter of a second is longer than the slots are held."""


class Clock:
    """Tells Unix seconds.

    >>> clock = Clock(ClockPlan(start=1_000_000.0, rate=60.0, origin=0))
    >>> clock.at(2_000_000_000)
    1000120.0
    """

    def __init__(self, plan: ClockPlan) -> None:
        self._plan = plan
        self.rate = plan.rate if plan.start is not None else 1.0

    def now(self) -> float:
        """Unix seconds now."""
        return self.at(time.monotonic_ns())

    def at(self, monotonic: int) -> float:
        """Unix seconds at *monotonic* nanoseconds of this machine."""
        intercept, slope = self.line()
        return intercept + slope * monotonic

    def line(self) -> tuple[float, float]:
        """Intercept and slope of Unix seconds over monotonic nanoseconds, as they are now.

        Asked once for many moments; on the wall clock soon again, so that a step of it is followed.
        """
        plan = self._plan
        if plan.start is None:
            return time.time() - time.monotonic_ns() * 1e-9, 1e-9
        slope = plan.rate * 1e-9
        return plan.start - plan.origin * slope, slope


def parse(text: str) -> tuple[float, float]:
    """``START@RATE`` as (Unix seconds, rate): START is ISO 8601 (UTC when it names no zone) or Unix seconds.

    Raises ValueError with what was expected.

    >>> parse("2013-11-01T00:00@3600")
    (1383264000.0, 3600.0)
    """
    match = re.fullmatch(r"(?P<start>[^@]+)@(?P<rate>\d+(?:\.\d+)?)", text.strip())
    if match is None or float(match["rate"]) <= 0:
        raise ValueError("START@RATE such as 2013-11-01T00:00@3600")
    try:
        start = float(match["start"])
    except ValueError:
        try:
            moment = datetime.fromisoformat(match["start"])
        except ValueError:
            raise ValueError("START in ISO 8601 or Unix seconds, such as 2013-11-01T00:00@3600") from None
        start = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    rate = float(match["rate"])
    if not 0 <= start <= LATEST or rate > FASTEST:
        raise ValueError(f"START between 1970 and 2100 and RATE up to {FASTEST:,.0f}")
    return start, rate
