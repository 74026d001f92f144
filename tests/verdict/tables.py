"""Hour tables from counts and from values."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporter.hourly import TOPS, HourTable


def counted(bins: np.ndarray, **extra: Any) -> HourTable:
    """Of bins, shape (H, K); *extra* are counts by hour: missing and mismatched ones come on top."""
    hours = bins.shape[0]
    zeros = np.zeros(hours, np.int64)
    counts = dict.fromkeys(("missing", "mismatched", "unseen", "far", "grid"), zeros) | extra
    return HourTable(
        hours=np.arange(hours),
        cells=np.arange(hours) % 24,
        rows=bins.sum(axis=1) + counts["missing"] + counts["mismatched"],
        bins=bins.astype(np.int64),
        moments=np.full((hours, 4), np.nan),
        top_values=np.full((hours, TOPS), np.nan),
        top_counts=np.zeros((hours, TOPS), np.int64),
        **counts,
    )


def measured(values: np.ndarray) -> HourTable:
    """Of numbers, shape (H, n), in a column without bins."""
    hours, rows = values.shape
    mean = values.mean(axis=1)
    squares = ((values - mean[:, np.newaxis]) ** 2).sum(axis=1)
    zeros = np.zeros(hours, np.int64)
    return HourTable(
        hours=np.arange(hours),
        cells=np.arange(hours) % 24,
        rows=np.full(hours, rows),
        missing=zeros,
        mismatched=zeros,
        unseen=zeros,
        far=zeros,
        grid=zeros,
        bins=np.zeros((hours, 0), np.int64),
        moments=np.stack([mean, squares, values.min(axis=1), values.max(axis=1)], axis=1),
        top_values=np.full((hours, TOPS), np.nan),
        top_counts=np.zeros((hours, TOPS), np.int64),
    )
