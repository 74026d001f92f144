"""Verdicts: what this sidecar says about each column and tumbling window."""

from __future__ import annotations

from collections.abc import Iterable

from exporter import metrics
from exporter.collectors.scrape import Scrape
from exporter.metrics import Family

SCOPE = "pod"
"""The fleet's verdicts come from the exporter, under the same names."""


def collect(scrape: Scrape) -> Iterable[Family]:
    """The families of verdicts on the columns that the budget shows."""
    score = metrics.COLUMN_DRIFT_SCORE.family()
    critical = metrics.COLUMN_DRIFT_CRITICAL_PSI.family()
    state = metrics.COLUMN_VERDICT.family()
    incident = metrics.COLUMN_INCIDENT_START.family()
    for column in scrape.shown.columns:
        for verdict in column.verdicts:
            labels = (column.model, column.version, column.role, column.column, verdict.window, SCOPE)
            score.add(verdict.score, *labels)
            critical.add(verdict.critical_psi, *labels)
            incident.add(verdict.incident_start, *labels)
            for name in metrics.VERDICT.values:
                state.add(int(name == verdict.state), *labels, name)
    return score, critical, state, incident
