"""Time and memory of a scrape at 2,000 and 10,000 series.

``python bench/scrape.py [--json FILE] [--series N ...]`` prints a table: the median of each stage, what
``prometheus_client`` takes to render the same families, a whole scrape over HTTP with gzip, and the memory
that it adds. The views are synthetic: numeric columns of 18 bins with all their statistics.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path
from time import perf_counter

import numpy as np
import requests
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric as ClientMetric

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from exporter import exposition, page
from exporter.collectors import Scrape, gather
from exporter.collectors.budget import admit
from exporter.expose import create_app
from exporter.metrics import STAGE
from exporter.views import BaselineView, ColumnView, LawView, SelfView, VerdictView, View, WindowView
from exporter.web import Server

RANKS = (0.05, 0.25, 0.5, 0.75, 0.95)
BINS = tuple(f"{at:02d} [{97 * at}, {97 * at + 97})" for at in range(18))
SERIES_PER_COLUMN = 68
REPEATS = 30


def column(at: int, generator: np.random.Generator) -> ColumnView:
    """A numeric column with everything known."""
    counts = generator.integers(1000, 5_000_000, len(BINS))
    ratios = tuple(float(share) for share in generator.dirichlet(np.ones(len(BINS))))
    quantiles = dict(zip(RANKS, sorted(generator.normal(size=5).tolist()), strict=True))
    verdict = VerdictView("1h", "ok", 0.0, 3600.0, 1204, 0.021, 0.31, 0.094, 1.7e9, "")
    return ColumnView(
        model="late_arrival", version="3", role="feature", column=f"feature_number_{at:04d}", kind="numeric",
        bins=f"{at:08x}", bin_labels=BINS, bin_counts=counts, rows=int(counts.sum()), missing=120,
        type_mismatch=0, out_of_range=3, far=1, grid=2, unseen=0, infinite=0,
        scaled_sum=float(generator.normal()),
        scaled_square=float(generator.uniform()), baseline=BaselineView(ratios, 109_119, 12, quantiles),
        windows=(WindowView("1h", 1204, 3, counts // 900, 0.02, 0.05, 12.5, 289.0, quantiles),),
        verdicts=(verdict, VerdictView("1d", "ok", 0.0, 86400.0, 29_000, 0.01, 0.2, 0.03, 1.7e9, "")),
    )  # fmt: skip


def view(series: int) -> View:
    """A view of about *series* series."""
    generator = np.random.default_rng(7)
    about = SelfView(
        now=1.7e9, clock_rate=1.0, started=1.7e9 - 3600, upstream_up=True, recorder_up=True,
        recorder_restarts={}, tap_restarts=0, upstream_failures=0, queue_bytes=0,
        queue_capacity_bytes=8_388_608, lag_seconds=0.0, connections_open=32, late_rows=0, layouts_dropped=0,
        errors={}, config_sha256="0" * 64,
    )  # fmt: skip
    law = LawView("http", 0, 0, 0, {"queue_full": 0}, {"bad_json": 0}, {"not_http": 0}, {"probe": 0}, 0, 0)
    columns = tuple(column(at, generator) for at in range(max(1, (series - 80) // SERIES_PER_COLUMN)))
    return View(about=about, law=(law,), traffic=(), rows=(), baselines=(), columns=columns)


class Fixed:
    """A source that has its view at hand, so that only the exposition is timed."""

    def __init__(self, moment: View) -> None:
        self._view = moment

    def view(self) -> View:
        return self._view


class ClientFamilies:
    """The same families as prometheus_client's own objects, for its renderer."""

    def __init__(self, families: Sequence[exposition.Family]) -> None:
        self._families = families

    def collect(self) -> list[ClientMetric]:
        collected = []
        for family in self._families:
            metric = family.metric
            suffix = {"counter": "_total", "info": "_info"}.get(metric.kind, "")
            client = ClientMetric(metric.name.removesuffix(suffix), metric.help, metric.kind, metric.unit)
            for labels, value in family.samples:
                client.add_sample(metric.name, dict(zip(metric.label_names, labels, strict=True)), value)
            collected.append(client)
        return collected


def median_ms(work: Callable[[], object]) -> float:
    """Median milliseconds of *work*, with the garbage collector as it runs in production."""
    work()
    times = []
    for _ in range(REPEATS):
        started = perf_counter()
        work()
        times.append(perf_counter() - started)
    return round(1e3 * statistics.median(times), 2)


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def measure(series: int) -> dict[str, float]:
    """Every stage at about *series* series."""
    moment = view(series)
    budget = 10**9
    nothing = dict.fromkeys(STAGE.values, 0)

    def collect() -> exposition.Family:
        return gather(Scrape(moment, admit(moment, budget), nothing, {})).families

    families = collect()
    gc.collect()
    before = resident_mib()
    text = exposition.render(families)
    app = create_app(Fixed(moment), series_budget=budget)
    server = Server(app, "127.0.0.1", 0)
    server.start()
    session = requests.Session()
    url = f"http://127.0.0.1:{server.port}"
    client = app.test_client()
    result = {
        "series": sum(family.series for family in families),
        "columns": len(moment.columns),
        "text_bytes": len(text),
        "gzip_bytes": len(exposition.pack(text)),
        "collect_ms": median_ms(collect),
        "render_ms": median_ms(lambda: exposition.render(families)),
        "openmetrics_ms": median_ms(lambda: exposition.render(families, "openmetrics")),
        "prometheus_client_ms": median_ms(lambda: generate_latest(ClientFamilies(families))),
        "gzip_ms": median_ms(lambda: exposition.pack(text)),
        "application_ms": median_ms(lambda: client.get("/metrics").data),
        "http_gzip_ms": median_ms(lambda: session.get(f"{url}/metrics", timeout=10).content),
        "page_ms": median_ms(lambda: page.render(moment, UTC)),
    }
    result["resident_added_mib"] = round(resident_mib() - before, 1)
    server.stop()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--series", type=int, nargs="+", default=[2_000, 10_000])
    arguments = parser.parse_args()
    results = [measure(series) for series in arguments.series]
    for name in results[0]:
        print(f"{name:22}" + "".join(f"{result[name]:>14,}" for result in results))
    if arguments.json:
        machine = {"python": platform.python_version(), "machine": platform.machine()}
        arguments.json.write_text(json.dumps({"scrape": results, **machine}, indent=2) + "\n")


if __name__ == "__main__":
    main()
