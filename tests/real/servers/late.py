"""The model that every real server of the tests serves: will a flight arrive more than 15 minutes late?

One formula instead of a trained model, so that every server gives the same answers to the last bit, in
its own dialect, and a test can work them out itself. The servers' programs beside this file import or
carry it; it needs nothing but Python.
"""

from __future__ import annotations

import math

CATEGORIES = ("carrier", "origin", "dest")
NUMBERS = ("dep_delay", "distance", "hour")
FEATURES = (*CATEGORIES, *NUMBERS)
PREDICTIONS = ("late", "late_probability")

HUBS = {"EWR": 2.0, "JFK": 0.0, "LGA": 1.0}


def probability(
    carrier: str, origin: str, dest: str, dep_delay: float, distance: float, hour: float
) -> float:
    """The chance to be late.

    >>> probability("UA", "JFK", "LAX", 15.0, 0.0, 0.0)
    0.5
    """
    known = carrier and dest  # both are asked for, as a model would
    made_up = (hour + (HUBS[origin] if known else 0.0)) / 4 - distance / 1000
    return 1 / (1 + math.exp(-(dep_delay - 15 + made_up) / 10))


def answer(columns: dict[str, list[object]]) -> dict[str, list[float]]:
    """Column of `FEATURES` → n values, to prediction of `PREDICTIONS` → n values; KeyError for a missing one."""
    rows = zip(*(columns[name] for name in FEATURES), strict=True)
    found = [probability(*row) for row in rows]  # type: ignore[arg-type]
    return {"late": [int(value > 0.5) for value in found], "late_probability": found}
