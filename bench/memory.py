"""Memory of each process of a sidecar that follows 100 columns.

Three moments: started; after 10,000 rows, a scrape and a look at the page; after ten seconds of as much
traffic as passes. "In all" is the sum of PSS: RSS would count pages that the three share three times.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from bench import load, wide
from bench.processes import Memory
from bench.servers import nginx
from bench.servers.sidecar import Sidecar, write_configuration
from bench.tables import Report, Table

COLUMNS = 100
ROWS = 10_000


def run(*, quick: bool, say: Callable[[str], None]) -> Report:
    """About half a minute, *quick* or not quite."""
    with tempfile.TemporaryDirectory(prefix="modelmeter-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        server, upstream = nginx.start(directory, load.ANSWER)
        stack.enter_context(server)
        file = write_configuration(directory, "wide", {"models": [wide.model(directory, COLUMNS)]})
        sidecar = Sidecar("sidecar wide", directory, upstream, file)
        stack.callback(sidecar.end)
        moments = {"started": sidecar.memory()}
        say(f"sending {ROWS:,} rows of {COLUMNS} columns")
        requests = wide.bodies(1_000, COLUMNS)
        wide.send(sidecar, requests, ROWS // len(requests))
        sidecar.scrape(path="/")
        moments[f"{ROWS:,} rows, scraped"] = sidecar.memory()
        script = load.write_script(directory, "wide", requests, {"Content-Type": "application/json"})
        load.drive(load.Load(script, 32, "100 columns, 32 connections"), sidecar.port, 3 if quick else 10)
        sidecar.books()
        sidecar.scrape(path="/")
        moments["after full load"] = sidecar.memory()
    rows = [line for moment, found in moments.items() for line in _lines(moment, found)]
    table = Table(
        f"Memory with {COLUMNS} columns, MiB",
        ("", "process", "RSS", "PSS", "USS", "highest RSS"),
        rows,
    )
    data = {
        moment: {role: asdict(memory) for role, memory in found.items()} for moment, found in moments.items()
    }
    return Report("memory", [table], {"columns": COLUMNS, "moments": data})


def _lines(moment: str, found: dict[str, Memory]) -> list[tuple[str, ...]]:
    total = Memory(
        rss=sum(memory.rss for memory in found.values()),
        pss=sum(memory.pss for memory in found.values()),
        uss=sum(memory.uss for memory in found.values()),
        peak=sum(memory.peak for memory in found.values()),
    )
    return [
        (moment, role, f"{m.rss:.1f}", f"{m.pss:.1f}", f"{m.uss:.1f}", f"{m.peak:.1f}")
        for role, m in (*found.items(), ("in all", total))
    ]
