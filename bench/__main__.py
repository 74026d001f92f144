"""``python -m bench``: run all benchmarks, print tables, write JSON to bench/results/.

``--quick`` takes less than eight minutes, the whole about half an hour. Other work on the machine is felt:
prefer the ratios, and run it on a machine at rest.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

import click

from bench import chaos, document, grpc_calls, machine, memory, passthrough, served
from bench.processes import BenchError
from bench.tables import Report
from bench.tools import RESULTS, ROOT

RUNS: dict[str, Callable[..., Report]] = {
    "passthrough": passthrough.run,
    "grpc": grpc_calls.run,
    "chaos": chaos.run,
    "memory": memory.run,
    "served": served.run,
}
"""Benchmarks of the running sidecar."""

MODULES = ("kserve_logger", "scrape", "wire", "values")
"""Benchmarks of one layer each, in a process of their own: ``python -m bench.NAME --json FILE``."""


def run_module(name: str, *, quick: bool) -> Report:
    """Run ``bench.NAME``; what it prints is kept as its table."""
    with tempfile.TemporaryDirectory(prefix="modelmeter-bench-") as directory:
        file = Path(directory) / "result.json"
        command = [sys.executable, "-m", f"bench.{name}", "--json", str(file)]
        if quick and "--quick" in Path(ROOT, "bench", f"{name}.py").read_text():
            command.append("--quick")
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
        if done.returncode:
            raise BenchError(f"bench.{name} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
        click.echo(done.stdout)
        return Report(name, (), json.loads(file.read_text()), done.stdout)


def _say(text: str) -> None:
    click.echo(text, err=True)


def _terminate(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)  # so that every `with` ends its processes


@click.command()
@click.option("--quick", is_flag=True, help="Fewer and shorter rounds.")
@click.option("--only", multiple=True, type=click.Choice([*RUNS, *MODULES]), help="Repeatable.")
@click.option(
    "--nice",
    type=click.IntRange(-20, 19),
    default=0,
    help="Niceness of everything started; below 0 (root) other work on the machine is felt less.",
)
@click.option("--write-docs", is_flag=True, help="Put the results into docs/performance.md.")
def main(quick: bool, only: tuple[str, ...], nice: int, write_docs: bool) -> None:
    """Measure, print tables, write JSON to bench/results/."""
    signal.signal(signal.SIGTERM, _terminate)
    if write_docs and only:
        raise click.UsageError("--write-docs writes all results, so it takes no --only")
    os.nice(nice)
    described = machine.describe()
    for key, value in described.items():
        click.echo(f"{key}: {value}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    reports, failures = [], []
    for name in only or (*RUNS, *MODULES):
        click.echo(f"\n== {name}")
        try:
            if name in RUNS:
                report = RUNS[name](quick=quick, say=_say)
                for table in report.tables:
                    click.echo(table.text() + "\n")
            elif find_spec(f"bench.{name}"):
                report = run_module(name, quick=quick)
            else:
                raise BenchError(f"there is no bench/{name}.py")
        except BenchError as error:
            failures.append(f"{name}: {error}")
            click.echo(f"failed: {error}", err=True)
            continue
        reports.append(report)
        result = {"machine": described, "quick": quick, "result": report.data}
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    if write_docs and not failures:
        document.write(described, reports, quick=quick)
    for failure in failures:
        click.echo(f"modelmeter bench: {failure}", err=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
