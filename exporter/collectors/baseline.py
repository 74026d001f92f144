"""Baseline: what the columns are compared with, so that PromQL can compare a whole fleet with it."""

from __future__ import annotations

from collections.abc import Iterable

from exporter import metrics
from exporter.collectors.scrape import Scrape
from exporter.metrics import Family


def collect(scrape: Scrape) -> Iterable[Family]:
    """The families of baselines, and of the columns that the budget shows."""
    ratio = metrics.COLUMN_BASELINE_BIN_RATIO.family()
    rows = metrics.COLUMN_BASELINE_ROWS.family()
    for column in scrape.shown.columns:
        if column.baseline is None:
            continue
        labels = (column.model, column.version, column.role, column.column)
        rows.add(column.baseline.rows, *labels)
        for bin_label, share in zip(column.bin_labels, column.baseline.bin_ratios, strict=True):
            ratio.add(share, *labels, column.bins, bin_label)
    info = metrics.BASELINE_INFO.family()
    created = metrics.BASELINE_CREATED.family()
    for baseline in scrape.view.baselines:
        info.add(1, baseline.model, baseline.sha256, baseline.calibration)
        created.add(baseline.created, baseline.model)
    mismatched = metrics.BASELINE_MISMATCHED.family()
    for match in scrape.view.matches:
        for reason, columns in match.columns.items():
            mismatched.add(columns, match.model, match.version, reason)
    learnt = metrics.LEARNING_ROWS.family()
    frozen = metrics.LEARNING_FROZEN.family()
    freezes = metrics.LEARNING_FREEZE.family()
    for learning in scrape.view.learning:
        info.add(1, learning.model, "", "learning")
        learnt.add(learning.rows, learning.model)
        frozen.add(int(learning.stage == "frozen"), learning.model)
        freezes.add(learning.freezes, learning.model)
    return ratio, rows, info, created, mismatched, learnt, frozen, freezes
