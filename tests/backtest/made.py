"""Files, baselines and runs made for tests of the backtest."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
from click.testing import CliRunner, Result

from sidecar.cli import main

HOUR = 3600
DAY = 24 * HOUR
MONDAY = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
REFERENCE_DAYS = 21
LIVE = MONDAY + REFERENCE_DAYS * DAY
"""When the files to be replayed begin."""
ROWS_AN_HOUR = 60

KEYS = [
    *("start", "end", "column", "role", "window", "rows", "psi", "score", "min_detectable", "verdict"),
    *("detectors", "fault", "onset", "incident"),
]


def traffic(start: float, hours: float, seed: int = 1) -> dict[str, Any]:
    """A row a minute: numbers, whole numbers with missing ones, categories, flags and a prediction."""
    rng = np.random.default_rng(seed)
    count = int(hours * ROWS_AN_HOUR)
    ages = rng.integers(18, 80, count).astype(float)
    ages[rng.random(count) < 0.05] = np.nan
    return {
        "time": [iso(start + at * HOUR / ROWS_AN_HOUR) for at in range(count)],
        "amount": rng.lognormal(3, 1, count).round(2),
        "age": pa.array(ages, from_pandas=True),
        "city": rng.choice(["Oslo", "Rome", "Lima", "Bonn"], count, p=[0.4, 0.3, 0.2, 0.1]).tolist(),
        "member": (rng.random(count) < 0.3).tolist(),
        "score": rng.beta(2, 5, count).round(3),
    }


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def write(path: Path, columns: Mapping[str, Any]) -> Path:
    """CSV, Parquet or compressed CSV, by the name of *path*."""
    table = pa.table(dict(columns))
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".gz":
        with gzip.open(path, "wb") as handle:
            arrow_csv.write_csv(table, handle)
    else:
        arrow_csv.write_csv(table, path)
    return path


def modelmeter(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@dataclass(frozen=True)
class Found:
    """What one run of the command gave."""

    lines: list[dict[str, Any]]
    result: Result

    def of(self, **wanted: object) -> list[dict[str, Any]]:
        """The lines that have these values."""
        return [line for line in self.lines if all(line[key] == value for key, value in wanted.items())]


def backtest(live: Path, baseline: Path, *options: object, timestamp: str = "time") -> Found:
    """Run the command with ``-o`` beside *live*; it has to succeed."""
    output = live.with_name(live.name + ".jsonl")
    where = ("--baseline", baseline, "--timestamp", timestamp, "-o", output)
    result = modelmeter("backtest", live, *where, *options)
    assert result.exit_code == 0, result.output
    return Found([json.loads(line) for line in output.read_text().splitlines()], result)
