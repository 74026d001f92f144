"""The command: which streams, how many days, what is written where."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import click

from bench.detection import engine, peers
from bench.detection.holdout import HOLDOUT
from bench.detection.measure import injected, natural, prepare
from bench.detection.streams import DESIGN, Stream
from bench.tools import RESULTS

FILE = RESULTS / "detection.json"
LEVELS = frozenset({"gross", "medium", "small", "limit"})


def measure(
    streams: Mapping[str, Callable[[], Stream]],
    days: int,
    *,
    say: Callable[[str], None],
    ablations: bool = False,
    others: bool = False,
) -> dict[str, Any]:
    """All figures of *streams*, each fault switched on on up to *days* days."""
    from bench.detection import ablations as ablate

    found: dict[str, Any] = {"streams": {}, "cases": [], "peers": {}, "ablations": {}}
    tallies = {one.name: ablate.Tally() for one in ablate.CONFIGURATIONS}
    for name, load in streams.items():
        begun = time.monotonic()
        stream = load()
        prepared = prepare(stream)
        one = natural(prepared)
        one["blind_below"] = {
            column: dict(getattr(prepared.baseline[column], "blind_below", {}) or {})
            for column in prepared.names
        }
        found["streams"][name] = one
        cases = injected(prepared, engine.judge_of(stream), days, levels=LEVELS, rules=True)
        found["cases"] += [case.document() for case in cases]
        if ablations:
            ablate.run(prepared, tallies, max(2, days // 3))
        if others and name in peers.COLUMNS:
            few = max(2, days // 2)
            figures = {"batch": peers.batch(prepared, peers.COLUMNS[name], few)}
            if name in peers.RIVER:
                figures["river"] = peers.river(prepared, peers.RIVER[name], few)
            found["peers"][name] = {
                sort: {peer: one.document() for peer, one in these.items()} for sort, these in figures.items()
            }
        say(f"{name}: {time.monotonic() - begun:.0f} s")
    if ablations:
        found["ablations"] = {name: tally.document() for name, tally in tallies.items()}
    return found


@click.command()
@click.option("--quick", is_flag=True, help="Fewer days; about seven minutes.")
@click.option("--days", type=click.IntRange(1), help="Days on which each fault is switched on.")
@click.option(
    "--only", multiple=True, type=click.Choice([*DESIGN, *HOLDOUT]), help="Repeatable; writes no file."
)
@click.option(
    "--hold-out", is_flag=True, help="Also the streams at which no rule was made. Once, at the end."
)
@click.option("--write-docs", is_flag=True, help="Put the results into docs/detection.md.")
@click.option("--from-file", is_flag=True, help="Measure nothing: show the figures of the last run.")
def main(
    quick: bool, days: int | None, only: tuple[str, ...], hold_out: bool, write_docs: bool, from_file: bool
) -> None:
    """Measure false alarms, faults found and faults named, beside what other tools do."""
    from bench.detection import document

    os.nice(5)

    def say(text: str) -> None:
        click.echo(text, err=True)

    count = days or (6 if quick else 20)
    if from_file:
        found = json.loads(FILE.read_text())
    else:
        begun = time.monotonic()
        chosen = {name: load for name, load in {**DESIGN, **HOLDOUT}.items() if name in only}
        found = {"quick": quick, "days": count, "taken": time.strftime("%Y-%m-%d", time.gmtime())}
        found["design"] = measure(chosen or DESIGN, count, say=say, ablations=not only, others=not only)
        if hold_out and not only:
            found["holdout"] = measure(HOLDOUT, max(2, count // 2), say=say)
        found["minutes"] = round((time.monotonic() - begun) / 60, 1)
        if not only:
            if not hold_out and FILE.exists():  # the hold-out is not measured again and again
                kept = json.loads(FILE.read_text()).get("holdout")
                found.update({"holdout": kept} if kept else {})
            RESULTS.mkdir(parents=True, exist_ok=True)
            FILE.write_text(json.dumps(found, indent=1) + "\n")
    tables = document.tables(found)
    for table in tables:
        click.echo(table.text() + "\n")
    if write_docs:
        document.write(found)
