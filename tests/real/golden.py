"""One table of flights, its baseline, and what every dialect's profile of it must be."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exporter.baseline import Baseline
from exporter.sketch.bins import NumericBins
from sidecar.demo.process import Processes
from sidecar.demo.stage import modelmeter
from tests.real.clients import MODEL, Row, columns, expected, table
from tests.real.servers.late import CATEGORIES, FEATURES, NUMBERS, PREDICTIONS
from tests.real.sidecar import Samples

ROWS = table()
"""What is sent."""

PARTS = (ROWS[:1], ROWS[1:8], ROWS[8:40], ROWS[40:])
"""As requests of 1 to 60 rows."""

Counts = dict[tuple[str, str], float]
"""(column, bin) → observations."""


def build(processes: Processes, folder: Path) -> Golden:
    """Build a baseline of 2,000 other flights in *folder*."""
    rows = table(2000, seed=1)
    with (folder / "training.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*FEATURES, *PREDICTIONS])
        writer.writerows([*row.values(), *found] for row, found in zip(rows, expected(rows), strict=True))
    golden = Golden(folder)
    building = processes.start(
        "golden",
        [
            *(modelmeter(), "baseline", "build", str(folder / "training.csv")),
            *("--config", str(golden.configuration())),
            *("--prediction", "late", "--prediction", "late_probability"),
            *("-o", str(folder / "baseline.json")),
        ],
    )
    building.finish(60)
    return golden


@dataclass(frozen=True)
class Golden:
    """A folder with the baseline."""

    folder: Path

    def configuration(self, paths: bool = False) -> Path:
        """A configuration; with *paths* for a server that names neither model nor columns (LitServe)."""
        model: dict[str, Any] = {
            "name": MODEL,
            "baseline": "baseline.json",
            "columns": [
                {"name": name, "kind": "categorical" if name in CATEGORIES else "numeric"}
                | ({"path": f"$.rows[*].{name}"} if paths else {})
                for name in FEATURES
            ],
            "predictions": [
                {"name": name, "kind": kind} | ({"path": f"$.{name}[*]"} if paths else {})
                for name, kind in (("late", "boolean"), ("late_probability", "numeric"))
            ],
        } | ({"path": "/predict"} if paths else {})
        path = self.folder / f"modelmeter{'-paths' if paths else ''}.yaml"
        path.write_text(json.dumps({"models": [model]}, indent=1))  # JSON is YAML
        return path

    def counts(self, rows: Sequence[Row] = ROWS) -> Counts:
        """What `modelmeter_column_bin_observations_total` must say of *rows*, by numpy's histogram."""
        answers = expected(rows)
        values: Mapping[str, list[Any]] = {
            **columns(rows),
            "late": ["true" if late else "false" for late, _ in answers],
            "late_probability": [chance for _, chance in answers],
        }
        found: Counts = {}
        for (_, name), column in Baseline.load(self.folder / "baseline.json").columns.items():
            labels = column.bins.labels
            if isinstance(column.bins, NumericBins):
                assert name in (*NUMBERS, "late_probability")
                edges = np.concatenate(([-np.inf], column.bins.edges, [np.inf]))
                counted = np.histogram(values[name], bins=edges)[0].tolist()
            else:
                counted = [values[name].count(category) for category in column.bins.categories]
                counted.append(len(rows) - sum(counted))
            found |= {(name, label): count for label, count in zip(labels, counted, strict=True)}
        return found


def counted(samples: Samples) -> Counts:
    """`modelmeter_column_bin_observations_total` of a scrape."""
    return {
        (dict(labels)["column"], dict(labels)["bin"]): value
        for (name, labels), value in samples.items()
        if name == "modelmeter_column_bin_observations_total"
    }
