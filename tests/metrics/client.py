"""The same families as prometheus_client's own objects: the reference for our renderer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.utils import floatToGoString

from exporter.metrics import Family


class ClientFamilies:
    """A registry, as far as prometheus_client's renderers look at it."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            if family.samples or family.histograms:
                yield _converted(family)


def _converted(family: Family) -> Metric:
    declared = family.metric
    if declared.kind == "histogram":
        histogram = HistogramMetricFamily(declared.name, declared.help, labels=declared.label_names)
        histogram.unit = declared.unit
        bounds = [*map(floatToGoString, declared.buckets), "+Inf"]
        for labels, cumulative, total in family.histograms:
            histogram.add_metric(labels, list(zip(bounds, cumulative, strict=True)), total)
        return histogram
    suffix = {"counter": "_total", "info": "_info"}.get(declared.kind, "")
    metric = Metric(declared.name.removesuffix(suffix), declared.help, declared.kind, declared.unit)
    for labels, value in family.samples:
        metric.add_sample(declared.name, dict(zip(declared.label_names, labels, strict=True)), value)
    return metric


def rendered(families: Iterable[Family], form: str) -> bytes:
    """What prometheus_client makes of *families*."""
    registry = ClientFamilies(families)
    return generate_openmetrics(registry) if form == "openmetrics" else generate_latest(registry)
