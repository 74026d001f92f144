"""Verdicts: what this sidecar says about each column and tumbling window."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from exporter import metrics
from exporter.collectors.budget import DETECTORS
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
    counted = metrics.VERDICT_COLUMNS.family()
    by_state: Counter[tuple[str, str, str, str]] = Counter()
    for column in scrape.view.columns:
        for verdict in column.verdicts:
            for name in metrics.VERDICT.values:
                key = (column.model, column.version, verdict.window, name)
                by_state[key] += name == verdict.state
    for (model, version, window, name), count in by_state.items():
        counted.add(count, model, version, window, SCOPE, name)
    fired = metrics.COLUMN_DETECTOR_FIRED.family()
    fault = metrics.COLUMN_FAULT.family()
    detectable = metrics.COLUMN_DETECTABLE.family()
    for column in scrape.shown.columns:
        if column.baseline is not None:
            for name, strength in column.baseline.blind_below.items():
                found = math.inf if strength is None else strength
                detectable.add(found, column.model, column.version, column.role, column.column, name)
        for verdict in column.verdicts:
            labels = (column.model, column.version, column.role, column.column, verdict.window, SCOPE)
            score.add(verdict.score, *labels)
            critical.add(verdict.critical_psi, *labels)
            incident.add(verdict.incident_start, *labels)
            for detector in verdict.detectors[:DETECTORS]:
                fired.add(1, *labels, detector)
            if verdict.fault:
                fault.add(1, *labels, verdict.fault)
            for name in metrics.VERDICT.values:
                state.add(int(name == verdict.state), *labels, name)
    return score, critical, state, counted, fired, fault, detectable, incident
