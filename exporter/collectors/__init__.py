"""Collectors: a view becomes families, one subject per file.

Promises: each collector is timed, its success and duration are series, and one that raises neither takes
the others with it nor leaves half of its families on the page. Families come in the order of
`exporter.metrics.METRICS`. The collectors only arrange: no number is computed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from exporter.collectors import (
    baseline,
    columns,
    coverage,
    itself,
    process,
    slices,
    traffic,
    verdicts,
    versions,
)
from exporter.collectors.scrape import Scrape
from exporter.metrics import COLLECTOR_DURATION, COLLECTOR_SUCCESS, METRICS, Family

__all__ = ["COLLECTORS", "Collector", "Gathered", "Scrape", "gather"]


@dataclass(frozen=True, slots=True)
class Collector:
    """A name for the label `collector`, and a function from a scrape to families."""

    name: str
    collect: Callable[[Scrape], Iterable[Family]]


COLLECTORS: tuple[Collector, ...] = (
    Collector("traffic", traffic.collect),
    Collector("coverage", coverage.collect),
    Collector("columns", columns.collect),
    Collector("verdicts", verdicts.collect),
    Collector("slices", slices.collect),
    Collector("versions", versions.collect),
    Collector("baseline", baseline.collect),
    Collector("itself", itself.collect),
    Collector("process", process.collect),
)

_POSITION = {metric.name: position for position, metric in enumerate(METRICS)}


@dataclass(frozen=True, slots=True)
class Gathered:
    """The families of one scrape, and the errors of the collectors that raised."""

    families: tuple[Family, ...]
    errors: Mapping[str, Exception]


def gather(
    scrape: Scrape,
    collectors: Sequence[Collector] = COLLECTORS,
    timer: Callable[[], float] = perf_counter,
) -> Gathered:
    """Run each of *collectors* on *scrape*; *timer* gives seconds from any origin."""
    success, duration = COLLECTOR_SUCCESS.family(), COLLECTOR_DURATION.family()
    families = [success, duration]
    errors: dict[str, Exception] = {}
    for collector in collectors:
        started = timer()
        try:
            families.extend(tuple(collector.collect(scrape)))
        except Exception as error:
            errors[collector.name] = error
        duration.add(timer() - started, collector.name)
        success.add(int(collector.name not in errors), collector.name)
    families.sort(key=lambda family: _POSITION[family.metric.name])
    return Gathered(tuple(families), errors)
