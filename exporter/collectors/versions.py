"""Versions: how far those of one model are apart, and by what."""

from __future__ import annotations

from collections.abc import Iterable

from exporter import metrics
from exporter.collectors.scrape import Scrape
from exporter.collectors.verdicts import SCOPE
from exporter.metrics import Family


def collect(scrape: Scrape) -> Iterable[Family]:
    """The families of versions beside each other; the cause alone where the budget sheds their columns."""
    score = metrics.VERSION_COLUMN_SCORE.family()
    info = metrics.VERSION_DIFFERENCE_INFO.family()
    for pair in scrape.view.versions:
        labels = (pair.model, pair.version, pair.other)
        info.add(1, *labels, pair.window, SCOPE, pair.cause)
        for column in pair.columns if scrape.shown.slices else ():
            score.add(column.score, *labels, column.role, column.column, pair.window, SCOPE)
    return score, info
