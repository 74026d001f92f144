"""docs/performance.md: the part between the markers is what a run has found."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

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
    "memory": "Memory",
    "served": "Scrapes of a running sidecar",
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
    rows: list[tuple[str, str]] = []
    loads = data["passthrough"]["loads"]
    for load, title in (("small, 1 connection", "1 connection"), ("small, 32 connections", "32 connections")):
        for subject in loads[load]:
            found = f"{subject['ratio']:.2f} × HAProxy http"
            books = subject.get("books")
            if subject["name"] == "Envoy http":
                rows.append((f"Envoy, {title}", found))
            elif subject["name"] in SUMMED:
                lost = percent(books["dropped"], books["seen"])
                rows.append((f"{SUMMED[subject['name']]}, {title}", f"{found}, {lost} dropped"))
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


def write(machine: dict[str, str], reports: Sequence[Report], *, quick: bool) -> None:
    """Put the results into the documentation."""
    FILE.write_text(between(FILE.read_text(), render(machine, reports, quick=quick)))
