"""What a scrape of a running sidecar costs: 2,000 and 10,000 series, plain and gzip, from the recorder.

The recorder is at rest otherwise, and its profiles are filled. What a series costs depends on what stands
behind it, so the numbers of series are those of models with that many columns, and nothing is shed.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from bench import load, wide
from bench.processes import cpu_seconds
from bench.servers import nginx
from bench.servers.sidecar import Sidecar, write_configuration
from bench.tables import Report, Table

COLUMNS = (29, 150)
"""Columns that make about 2,000 and 10,000 series."""


def run(*, quick: bool, say: Callable[[str], None]) -> Report:
    """About half a minute."""
    count = 10 if quick else 40
    rows: list[tuple[str, ...]] = []
    data: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="modelmeter-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        server, upstream = nginx.start(directory, load.ANSWER)
        stack.enter_context(server)
        for columns in COLUMNS:
            say(f"scraping {columns} columns")
            settings = {"models": [wide.model(directory, columns)], "series_budget": 20_000}
            file = write_configuration(directory, f"wide-{columns}", settings)
            sidecar = Sidecar(f"sidecar {columns}", directory, upstream, file)
            stack.callback(sidecar.end)
            wide.send(sidecar, wide.bodies(500, columns), 2)
            for compressed, coding in ((False, "plain"), (True, "gzip")):
                found = _scrapes(sidecar, count, compressed=compressed)
                data.append({"columns": columns, "compressed": compressed, **found})
                rows.append(
                    (
                        f"{found['series']:,.0f} series ({columns} columns), {coding}",
                        f"{found['median_ms']:.1f}",
                        f"{found['worst_ms']:.1f}",
                        f"{found['cpu_ms']:.1f}",
                        f"{found['bytes'] / 1024:,.0f}",
                    )
                )
            sidecar.end()
    header = ("", "median ms", "worst ms", "recorder CPU ms", "KiB")
    return Report("served", [Table("Scrape of a running sidecar", header, rows)], data)


def _scrapes(sidecar: Sidecar, count: int, *, compressed: bool) -> dict[str, float]:
    """*count* scrapes, a tenth of a second apart."""
    sidecar.scrape(compressed=compressed)
    seconds: list[float] = []
    used = cpu_seconds(sidecar.pids["recorder"])
    for _ in range(count):
        text, size, took = sidecar.scrape(compressed=compressed)
        seconds.append(took)
        time.sleep(0.1)
    used = cpu_seconds(sidecar.pids["recorder"]) - used
    return {
        "series": sum(1 for line in text.splitlines() if line and not line.startswith("#")),
        "median_ms": 1000 * statistics.median(seconds),
        "worst_ms": 1000 * max(seconds),
        "cpu_ms": 1000 * used / count,
        "bytes": size,
    }
