"""Baseline columns made for tests, without a file."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporter.baseline import BaselineColumn, Calibration
from exporter.baseline.calibration import RateCalibration
from exporter.baseline.edges import category_bins, numeric_bins
from exporter.baseline.tail import Tail
from exporter.sketch.moments import Moments
from exporter.sketch.quantile import Quantiles

QUIET = Tail(share=0.1, threshold=2.0, scale=1.0, shape=0.1)
RATE = RateCalibration(share=0.001, largest=0.01, tau2=0.0, tail=QUIET)


def calibrated(
    window: str = "1h", tau2: float = 0.0, unseen: RateCalibration | None = None
) -> dict[str, Calibration]:
    """A calibration by the χ² null and *tau2*."""
    return {
        window: Calibration(
            windows=5000,
            rows=500,
            alpha=1e-4,
            tau2=tau2,
            critical=0.0,
            tail=QUIET,
            missing=RATE,
            unseen=unseen,
        )
    }


def numeric(
    values: Any, calibration: dict[str, Calibration] | None = None, missing: int = 0
) -> BaselineColumn:
    """A numeric column of *values*."""
    values = np.asarray(values, dtype=np.float64)
    moments, quantiles = Moments(), Quantiles(k=4096)
    moments.update(values)
    quantiles.update(values)
    bins = numeric_bins(values, float(values.min()), float(values.max()))
    return BaselineColumn(
        name="x",
        role="feature",
        kind="numeric",
        bins=bins,
        counts=bins.count(values),
        rows=len(values) + missing,
        missing=missing,
        mismatched=0,
        infinite=0,
        distinct=float(np.unique(values).size),
        range=(float(values.min()), float(values.max())),
        moments=moments,
        quantiles=quantiles,
        top=(),
        known_complete=True,
        calibration=calibration or {},
    )


def categorical(
    counts: dict[str, int], calibration: dict[str, Calibration] | None = None, complete: bool = True
) -> BaselineColumn:
    """A categorical column with *counts*."""
    bins = category_bins(counts, None, counts)
    rows = sum(counts.values())
    return BaselineColumn(
        name="c",
        role="feature",
        kind="categorical",
        bins=bins,
        counts=bins.count(list(counts), list(counts.values()))[0],
        rows=rows,
        missing=0,
        mismatched=0,
        infinite=0,
        distinct=float(len(counts)),
        range=None,
        moments=None,
        quantiles=None,
        top=tuple((name, count / rows) for name, count in counts.items()),
        known_complete=complete,
        calibration=calibration or {},
    )
