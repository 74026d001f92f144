"""docs/performance.md: the part between the markers is what a run has found."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from bench.processes import BenchError
from bench.tables import Report, Table
from bench.tools import ROOT
from bench.turns import percent

FILE = ROOT / "docs" / "performance.md"
BEGIN = "<!-- Written by `python -m bench --write-docs`: begin -->"
END = "<!-- Written by `python -m bench --write-docs`: end -->"

SUMMED = {
    "modelmeter, all recorded": "recording, recorder at nice 10 (default)",
    "… recorder at nice 0": "recording, recorder at nice 0",
}

TITLES = {
    "passthrough": "Pass-through",
    "grpc": "gRPC",
    "chaos": "While the recorder is in trouble",
    "memory": "Memory",
    "served": "Scrapes of a running sidecar",
    "kserve_logger": "A slow consumer: KServe's logger and ours",
    "scrape": "Rendering /metrics",
    "wire": "Reading exchanges",
    "values": "Values into profiles",
}


def between(text: str, content: str) -> str:
    """*text* with *content* between the markers; `BenchError` when they are missing.

    >>> between(f"a{BEGIN}old{END}b", "new") == f"a{BEGIN}\\n\\nnew\\n\\n{END}b"
    True
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchError(f"docs/{FILE.name}: the markers {BEGIN!r} and {END!r} are missing")
    return f"{before}{BEGIN}\n\n{content}\n\n{END}{after}"


def render(machine: dict[str, str], reports: Sequence[Report], *, quick: bool) -> str:
    """The machine and every report as Markdown."""
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    parts = [
        f"Taken on {today}{' by a short run (`--quick`)' if quick else ''}.",
        "| | |\n|---|---|\n" + "\n".join(f"| {key} | {value} |" for key, value in machine.items()),
    ]
    parts.append(summary(reports).markdown())
    for report in reports:
        parts.append(f"### {TITLES.get(report.name, report.name)}")
        parts += [table.markdown() for table in report.tables]
        if report.text:
            parts.append(f"```\n{report.text.strip()}\n```")
    return "\n\n".join(parts)


def summary(reports: Sequence[Report]) -> Table:
    """The few figures that are asked for first."""
    data = {report.name: report.data for report in reports}
    loads, calls = data["passthrough"]["loads"], data["grpc"]["loads"]
    rows: list[tuple[str, str]] = []
    for load, title in (("small, 1 connection", "1 connection"), ("small, 32 connections", "32 connections")):
        rows += against(loads[load], title, "HAProxy http", "Envoy http")
    for load, found in calls.items():
        if load.startswith("gRPC, 32 connections, 1 call"):
            rows += against(found, "gRPC, 32 connections", "Envoy h2", "HAProxy h2")
    for key, found in (*loads.items(), *calls.items()):
        if key.startswith("constant"):
            rows += at_constant_rate("gRPC" if key == "constant" else "JSON", found)
    for one in data["chaos"]["situations"][1:]:  # the first is the server itself
        exact = "books exact" if one["exact"] else "books NOT exact"
        rows.append((f"recorder {one['name']}", f"p99 {one['p99']:,.0f} µs, {one['failed']} failed, {exact}"))
    wire = data["wire"]
    for name in ("JSON, 1 row × 20 columns, one tensor", "gRPC, 1 row × 20 columns, one tensor"):
        found = f"{wire[name]['exchanges_per_core_second']:,.0f} exchanges/s/core"
        rows.append((f"recorder offline, bytes to profiles: {name}", found))
    columns = data["memory"]["columns"]
    for moment, found in data["memory"]["moments"].items():
        memory = sum(process["pss"] for process in found.values())
        rows.append((f"memory in all (PSS) with {columns} columns, {moment}", f"{memory:.0f} MiB"))
    rows += [
        (f"scrape of {scrape['series']:,} series, gzip", f"{scrape['median_ms']:.0f} ms")
        for scrape in data["served"]
        if scrape["compressed"]
    ]
    return Table("In one look", ("", "found"), rows)


def against(found: Sequence[dict[str, Any]], title: str, reference: str, other: str) -> list[tuple[str, str]]:
    """Rates as ratios to *reference*: those of *other* and of ours.

    >>> books = {"seen": 2, "recorded": 2, "dropped": 0}
    >>> ours = {"name": "modelmeter, all recorded", "ratio": 1.0, "books": books}
    >>> against([{"name": "Envoy h2", "ratio": 0.5}, ours], "t", "HAProxy", "Envoy h2")[0]
    ('Envoy h2, t', '0.50 × HAProxy')
    """
    rows = []
    for subject in found:
        ratio = f"{subject['ratio']:.2f} × {reference}"
        books = subject.get("books")
        if subject["name"] == other:
            rows.append((f"{other}, {title}", ratio))
        elif subject["name"] in SUMMED:
            lost = percent(books["dropped"], books["seen"])
            rows.append((f"{SUMMED[subject['name']]}, {title}", f"{ratio}, {lost} dropped"))
    return rows


def at_constant_rate(protocol: str, found: dict[str, Any]) -> list[tuple[str, str]]:
    """What is added to the p99, by Envoy and by ours, and the processor time of all of our processes.

    >>> ours = {"name": "… recorder at nice 0", "p99_added_us": 90.0, "cpu_seconds_per_1000_in_all": 0.016}
    >>> at_constant_rate("JSON", {"rate": 5000.0, "subjects": [ours]})
    [('recording, recorder at nice 0, JSON, 5,000 requests/s', 'p99 +90 µs, 0.016 CPU s per 1,000 in all')]
    """
    rows = []
    for subject in found["subjects"]:
        name = SUMMED.get(subject["name"], subject["name"])
        if subject["name"] in SUMMED or name.startswith("Envoy"):
            spent = f"{subject['cpu_seconds_per_1000_in_all']:.3f} CPU s per 1,000 in all"
            told = f"p99 {subject['p99_added_us']:+,.0f} µs, {spent}"
            rows.append((f"{name}, {protocol}, {found['rate']:,.0f} requests/s", told))
    return rows


def write(machine: dict[str, str], reports: Sequence[Report], *, quick: bool) -> None:
    """Put the results into the documentation."""
    FILE.write_text(between(FILE.read_text(), render(machine, reports, quick=quick)))
