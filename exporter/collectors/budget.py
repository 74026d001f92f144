"""The series budget: what is left out of /metrics when everything would be too much.

Promises: whole things are shed, in the order of `exporter.metrics.STAGE`: slices (and versions beside each
other), secondary distances, quantiles, columns; never single bins. The same view gives the same choice.
A column's cost is what it may come to need, not what it has at the moment (a PSI is absent until there are
rows enough), so nothing comes and goes from scrape to scrape while windows fill. The order of columns
is that of their names, predictions first, then columns of a baseline: every pod of a model shows the same
columns, without which sums over pods would mean nothing, and a model has few predictions, which matter most.
Source of the default of 10,000 series: OpenMetrics 1.0, "Size limits".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter import metrics
from exporter.errors import PLACES
from exporter.views import ColumnView, SliceView, View

NUMBERS = frozenset({"numeric", "text", "embedding"})
"""Kinds whose values are, or are measured by, numbers: a text by its length, an embedding by its norm."""

_QUANTILES = len(metrics.QUANTILE_RANK.values)
#: Rows, PSI, mean, distinct values; the other distances and the quantiles have stages of their own.
_PER_WINDOW = 4
#: Of the detectors that fired, so many are told.
DETECTORS = 3
#: Score, critical PSI, start of the incident, fault, three detectors.
_PER_VERDICT = 4 + DETECTORS + len(metrics.VERDICT.values)
_VERDICT_WINDOWS = len(metrics.WINDOW.values)


@dataclass(frozen=True, slots=True)
class Cost:
    """Series that one column may come to need."""

    core: int
    secondary_distances: int
    quantiles: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What the budget lets through, and how many series it sheds by stage."""

    columns: tuple[ColumnView, ...]
    secondary_distances: bool
    quantiles: bool
    shed: Mapping[str, int]
    slices: bool = True


def cost(column: ColumnView) -> Cost:
    """What *column* may come to need, by stage."""
    numeric = column.kind in NUMBERS
    windows = max(len(column.windows), 1)
    counters = 3 + (6 if numeric else 0) + (1 if column.kind == "categorical" else 0)
    bins = 2 * len(column.bin_labels) + 1
    verdicts = max(len(column.verdicts), _VERDICT_WINDOWS) * _PER_VERDICT
    detectable = len(column.baseline.blind_below) if column.baseline is not None else 0
    return Cost(
        core=counters + bins + windows * _PER_WINDOW + verdicts + detectable,
        secondary_distances=windows * ((3 if numeric else 1) + (column.kind == "embedding")),
        quantiles=windows * _QUANTILES if numeric else 0,
    )


def slice_cost(part: SliceView) -> int:
    """What *part* may come to need."""
    bins = sum(len(column.bin_labels) for column in part.columns)
    verdicts = max(len(part.verdicts), _VERDICT_WINDOWS) * (1 + len(metrics.VERDICT.values))
    return 1 + 2 * len(metrics.ROLE.values) + bins + verdicts


def fixed(view: View) -> int:
    """At most as many series as *view* gives beside its columns."""
    per_traffic = (
        4
        + len(metrics.TOKEN.values)
        + len(metrics.FAILURE.values)
        + len(metrics.REQUEST_DURATION.buckets)
        + 3
    )
    losses = sum(
        len(law.dropped) + len(law.undecodable) + len(law.unobservable) + len(law.ignored) for law in view.law
    )
    judged = {(column.model, column.version) for column in view.columns}
    ourselves = 20 + len(metrics.STAGE.values) + 2 * len(metrics.COLLECTOR.values) + len(metrics.PROCESS)
    return (
        (len(view.traffic) + len(view.law)) * per_traffic
        + len(view.law) * 5
        + losses
        + len(view.rows)
        + len(view.versions)
        + len(judged) * _VERDICT_WINDOWS * len(metrics.VERDICT.values)
        + 2 * len(view.baselines)
        + 4 * len(view.learning)
        + len(metrics.MISMATCH.values) * len(view.matches)
        + ourselves
        + len(PLACES)
        + len(view.about.errors)
        + len(view.about.ingest_events)
        + (2 + len(metrics.CHECKPOINT.values) if view.about.checkpoint is not None else 0)
    )


def order(column: ColumnView) -> tuple[bool, bool, str, str, str]:
    """Sorts columns: predictions first, then those of a baseline, then by model, version and name.

    Names that clients make up must not take the place of columns that are judged.
    """
    unknown = column.baseline is None
    return (column.role != "prediction", unknown, column.model, column.version, column.column)


def admit(view: View, budget: int) -> Shown:
    """What of *view* fits into *budget* series."""
    columns = sorted(view.columns, key=order)
    costs = [cost(column) for column in columns]
    shed = dict.fromkeys(metrics.STAGE.values, 0)
    room = budget - fixed(view)
    core = sum(entry.core for entry in costs)
    secondary = sum(entry.secondary_distances for entry in costs)
    quantiles = sum(entry.quantiles for entry in costs)

    slices = sum(map(slice_cost, view.slices)) + sum(len(pair.columns) for pair in view.versions)
    keep_slices = core + secondary + quantiles + slices <= room
    if not keep_slices:
        shed["slices"] = slices
    keep_secondary = core + secondary + quantiles <= room
    if not keep_secondary:
        shed["secondary_distances"] = secondary
    keep_quantiles = keep_secondary or core + quantiles <= room
    if not keep_quantiles:
        shed["quantiles"] = quantiles
    if keep_quantiles or core <= room:
        return Shown(tuple(columns), keep_secondary, keep_quantiles, shed, keep_slices)

    shown = 0
    for entry in costs:
        if entry.core > room:
            break  # and no later, smaller one takes its place: what is shown is a beginning of the order
        room -= entry.core
        shown += 1
    shed["columns"] = sum(entry.core for entry in costs[shown:])
    return Shown(tuple(columns[:shown]), False, False, shed, slices=False)
