"""Process: CPU, memory and files of the recorder, as all Prometheus clients report them."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import ProcessCollector

from exporter.collectors.scrape import Scrape
from exporter.metrics import PROCESS, Family

#: Not registered anywhere: the families are rendered with ours.
_process = ProcessCollector(registry=None)


def collect(scrape: Scrape) -> Iterable[Family]:
    """The families of this process; none where /proc is not mounted."""
    values = {sample.name: sample.value for family in _process.collect() for sample in family.samples}
    for metric in PROCESS:
        family = metric.family()
        family.add(values.get(metric.name))
        yield family
