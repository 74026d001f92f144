"""Slices: rows, missing values, predictions and verdicts by the values of declared features."""

from __future__ import annotations

from collections.abc import Iterable

from exporter import metrics
from exporter.collectors.scrape import Scrape
from exporter.collectors.verdicts import SCOPE
from exporter.metrics import Family


def collect(scrape: Scrape) -> Iterable[Family]:
    """The families of slices; empty where the budget sheds them."""
    rows = metrics.SLICE_ROWS.family()
    entries = metrics.SLICE_ENTRIES.family()
    missing = metrics.SLICE_MISSING.family()
    observations = metrics.SLICE_BIN_OBSERVATIONS.family()
    score = metrics.SLICE_DRIFT_SCORE.family()
    state = metrics.SLICE_VERDICT.family()
    for part in scrape.view.slices if scrape.shown.slices else ():
        labels = (part.model, part.version, part.slice, part.value)
        rows.add(part.rows, *labels)
        for role in part.entries:
            entries.add(part.entries[role], *labels, role)
            missing.add(part.missing[role], *labels, role)
        for column in part.columns:
            for bin_label, count in zip(column.bin_labels, column.bin_counts.tolist(), strict=True):
                observations.add(count, *labels, column.role, column.column, column.bins, bin_label)
        for verdict in part.verdicts:
            score.add(verdict.score, *labels, verdict.window, SCOPE)
            for name in metrics.VERDICT.values:
                state.add(int(name == verdict.state), *labels, verdict.window, SCOPE, name)
    return rows, entries, missing, observations, score, state
