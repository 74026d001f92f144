"""Pictures of columns: from what was counted of a window, and from a baseline."""

from __future__ import annotations

import numpy as np

from exporter.baseline import BaselineColumn
from exporter.profile import Sketches, Tally
from exporter.schema import Kind
from exporter.sketch import Bins
from exporter.verdict.picture import Picture


def picture(kind: Kind, bins: Bins, tally: Tally, sketches: Sketches | None) -> Picture:
    """What naming needs of a *tally* and its *sketches*."""
    counts = tally.bin_counts
    top: list[tuple[float | str, float]] = []
    distinct = None
    if sketches is not None:
        total = max(sketches.frequent.total, 1)
        top = [(item.item, item.lower / total) for item in sketches.frequent.top()]
        distinct = sketches.distinct.estimate()
    return Picture(
        kind=kind,
        bins=bins,
        counts=counts.copy() if counts is not None else np.zeros(bins.size, np.int64),
        rows=tally.rows,
        missing=tally.missing,
        mismatched=tally.type_mismatch,
        unseen=tally.unseen,
        far=tally.far,
        grid=tally.grid,
        quantiles=sketches.quantiles if sketches is not None else None,
        top=tuple(top),
        distinct=distinct,
        moments=tally.moments,
    )


def baseline_picture(baseline: BaselineColumn) -> Picture:
    """What naming needs of a *baseline*'s column."""
    return Picture(
        kind=baseline.kind,
        bins=baseline.bins,
        counts=baseline.counts,
        rows=baseline.rows,
        missing=baseline.missing,
        mismatched=baseline.mismatched,
        quantiles=baseline.quantiles,
        top=baseline.top,
        distinct=baseline.distinct,
        moments=baseline.moments,
    )
