"""The engine under test: baselines built by modelmeter's own command's code, windows judged by its own
judge.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.detection.replay import Booleans, Judge, Told
from bench.detection.streams import Stream
from exporter.baseline.baseline import BaselineColumn
from exporter.baseline.build import Plan, build
from exporter.hourly import HourTable
from exporter.verdict import BASELINE_ROWS, WINDOW_ROWS, judge, judge_windows

#: False pages a month that are accepted, as the default configuration has it.
PAGE_BUDGET: Final = 1.0
#: Detectors of a column, of which each has its share of the budget.
DETECTORS: Final = 12
#: Windows a month.
WINDOWS_A_MONTH: Final = {"1h": 720, "1d": 30}


def baseline_of(stream: Stream) -> Mapping[str, BaselineColumn]:
    """The stream's baseline by column, built from a Parquet file of its first part."""
    before = int(np.searchsorted(stream.seconds, stream.split))
    arrays: dict[str, Any] = {
        "__time": pa.array(stream.seconds[:before].astype("datetime64[s]").astype("datetime64[us]"))
    }
    for name, values in stream.columns.items():
        arrays[name] = pa.array(values[:before], from_pandas=True)
    with tempfile.TemporaryDirectory(prefix="modelmeter-bench-") as folder:
        path = Path(folder) / f"{stream.name}.parquet"
        pq.write_table(pa.table(arrays), path)
        plan = Plan(
            path=path,
            model=stream.name,
            created=float(stream.split),
            timestamp="__time",
            predictions=sorted(stream.predictions),
        )
        built = build(plan).baseline
    return {name: column for (_, name), column in built.columns.items()}


def alpha(stream: Stream, window: str) -> float:
    """False alarms per detector, column and window that the page budget leaves; 1e-4 at most."""
    return min(1e-4, PAGE_BUDGET / (len(stream.columns) * DETECTORS * WINDOWS_A_MONTH[window]))


@dataclass(frozen=True, slots=True)
class Engine:
    """modelmeter's judge with a stream's share of the page budget."""

    alphas: Mapping[str, float]

    def one(
        self,
        column: BaselineColumn,
        history: HourTable,
        window: str,
        first: int,
        stop: int,
        kept_out: Booleans,
    ) -> Told:
        """As the monitor asks it."""
        found = judge(column, history, window, first, stop, kept_out=kept_out, alpha=self.alphas[window])
        return Told(found.state, tuple(found.detectors), found.score)

    def many(
        self,
        column: BaselineColumn,
        history: HourTable,
        window: str,
        spans: Sequence[tuple[int, int]],
        kept_out: Booleans,
    ) -> list[Told] | None:
        """The same by the vectorised form; None for a column that is not calibrated."""
        calibration = column.calibration
        if calibration is None or window not in calibration.windows or column.valid < BASELINE_ROWS:
            return None
        bounds = np.array(spans, dtype=np.int64)
        alpha = self.alphas[window]
        scores, states = judge_windows(
            column, history, window, bounds[:, 0], bounds[:, 1], kept_out=kept_out, alpha=alpha
        )
        told = []
        for values, state, valid in zip(scores.scores, states.tolist(), scores.valid.tolist(), strict=True):
            fired = [
                (value, name)
                for value, name in zip(values.tolist(), scores.detectors, strict=True)
                if value > 1 and (name != "shape" or valid >= WINDOW_ROWS)
            ]
            fired.sort(key=lambda pair: -pair[0])
            told.append(Told(state, tuple(name for _, name in fired), float(values.max())))
        return told


def judge_of(stream: Stream) -> Judge:
    """The engine for *stream*."""
    return Engine({window: alpha(stream, window) for window in WINDOWS_A_MONTH})
