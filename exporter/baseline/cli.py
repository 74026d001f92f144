"""``modelmeter baseline build | learn | import | violations | show | diff``.

Promises: an error is one sentence that names file, key, expected and found, and exit status 2; results go to
standard output, progress and warnings to standard error; no progress bar without a terminal.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo

import click
import msgspec

from exporter.baseline.baseline import Baseline
from exporter.baseline.errors import BaselineError
from exporter.baseline.expected import false_pages
from exporter.configuration import ConfigurationError, load
from exporter.mistake import MistakeError
from exporter.schema import Configuration

#: Columns of output that is not a terminal: enough for the widest table, and the same everywhere.
_WIDTH = 160
#: Share of the whole that each stage of building takes, measured on a CSV file of a million rows.
_STAGES = {
    "surveying": (0.0, 0.55),
    "deriving": (0.55, 0.0),  # of texts and embeddings, which few files have
    "counting": (0.55, 0.4),
    "calibrating": (0.95, 0.05),
}


class _Refusal(click.ClickException):
    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """As the other commands say it."""
        click.echo(f"modelmeter: {self.format_message()}", err=True, file=file)


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn an error of the user's into one sentence and exit status 2."""
    try:
        yield
    except MistakeError as error:
        raise _Refusal(str(error)) from None


@click.group()
def baseline() -> None:
    """Build, learn, import, show and compare baselines."""


_PATH = click.Path(path_type=Path)


@baseline.command()
@click.argument("file", type=_PATH, metavar="TRAIN.CSV|TRAIN.PARQUET")
@click.option("--config", type=_PATH, help="modelmeter.yaml: declared columns, predictions, time zone.")
@click.option(
    "--model", help="Name of the model.  [default: the configuration's only one, else the file's name]"
)
@click.option(
    "--timestamp",
    metavar="COLUMN",
    help="Column with each row's time, ISO 8601 or Unix seconds; without it drift gives tickets only.",
)
@click.option(
    "--prediction", multiple=True, metavar="COLUMN", help="Column that the model predicts. Repeatable."
)
@click.option("--ignore", multiple=True, metavar="COLUMN", help="Column to leave out. Repeatable.")
@click.option(
    "--strike",
    multiple=True,
    metavar="START/END",
    help="Incident of the file that must not count as natural: ISO 8601 times in its time zone, END "
    "exclusive. Repeatable.",
)
@click.option(
    "-o", "--output", type=_PATH, default=Path("baseline.json"), show_default=True, help="File to write."
)
def build(
    file: Path,
    config: Path | None,
    model: str | None,
    timestamp: str | None,
    prediction: tuple[str, ...],
    ignore: tuple[str, ...],
    strike: tuple[str, ...],
    output: Path,
) -> None:
    """Build a baseline from a training file."""
    with _refusing():
        configuration = Configuration() if config is None else load(config)
        name = model or _only_model(configuration, config, file)
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            expected = "pyarrow to read it with (pip install 'modelmeter[parquet]')"
            raise BaselineError(str(file), "", expected, "no pyarrow") from None
        from exporter.baseline.build import Plan
        from exporter.baseline.build import build as build_baseline

        plan = Plan(
            path=file,
            model=name,
            created=float(int(time.time())),
            timezone=configuration.timezone,
            timestamp=timestamp,
            predictions=prediction,
            ignored=ignore,
            spec=configuration.model(name),
            struck=tuple(_struck(text, ZoneInfo(configuration.timezone)) for text in strike),
        )
        if strike and timestamp is None:
            raise BaselineError(str(file), "--strike", "--timestamp with it", "none: nothing has a time")
        _refuse_another_models(output, name)
        with _progress(file.name) as progress:
            built = build_baseline(plan, progress)
        sha256 = built.baseline.write(output)
    for warning in built.warnings:
        click.echo(f"note: {warning}", err=True)
    result = built.baseline
    about = f"model {result.model}, {result.rows:,} rows, {len(result.columns)} columns, {result.calibrated}"
    click.echo(f"{output}: {about}, SHA-256 {sha256[:8]}…")
    pages = false_pages(result, configuration.page_budget)
    if pages is not None:
        click.echo(f"false pages to be expected: at most {pages:.2g} a month")


def _struck(text: str, zone: ZoneInfo) -> tuple[float, float]:
    """START/END as wall clock seconds of *zone*; raises `BaselineError`."""
    expected = "two ISO 8601 times, as 2026-02-08/2026-02-10T12:00"
    parts = text.split("/")
    try:
        moments = [datetime.fromisoformat(part.strip()) for part in parts]
    except ValueError:
        raise BaselineError("--strike", text, expected, repr(text)) from None
    if len(moments) != 2:
        raise BaselineError("--strike", text, expected, repr(text))
    local = [one if one.tzinfo is None else one.astimezone(zone) for one in moments]
    start, end = (one.replace(tzinfo=UTC).timestamp() for one in local)
    if not start < end:
        raise BaselineError("--strike", text, "an end after its start", repr(text))
    return start, end


def _refuse_another_models(output: Path, model: str) -> None:
    """`-o` has a default, and two models trained in one folder would take it in turns."""
    try:
        there = Baseline.load(output).model
    except BaselineError:
        return  # nothing there, or no baseline of ours
    if there != model:
        raise BaselineError(str(output), "model", f"{model!r}, or another file by -o", repr(there))


def _only_model(configuration: Configuration, config: Path | None, file: Path) -> str:
    names = [spec.name for spec in configuration.models]
    if len(names) > 1:
        raise ConfigurationError(
            str(config), "models", f"--model with one of {', '.join(names)}", "no --model"
        )
    return names[0] if names else file.name.split(".")[0]


@contextmanager
def _progress(name: str) -> Iterator[Any]:
    """A callback that moves one bar from 0 to 1 over all stages."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=1.0, rows=0)

        def move(stage: str, share: float, rows: int) -> None:
            start, width = _STAGES[stage]
            bar.update(task, completed=start + width * share, rows=rows, description=f"{name}: {stage}")

        yield move


@baseline.command()
@click.argument("file", type=_PATH, metavar="BASELINE.JSON")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(file: Path, as_json: bool) -> None:
    """Show a baseline's columns, distributions and limits."""
    from exporter.baseline import show as views

    with _refusing():
        loaded = Baseline.load(file)
    if as_json:
        click.echo(_json(views.baseline_json(loaded)))
        return
    click.echo(views.baseline_summary(loaded))
    _print(views.baseline_table(loaded), views.blind_table(loaded), views.extremes_table(loaded))


@baseline.command()
@click.argument("before", type=_PATH, metavar="A.JSON")
@click.argument("after", type=_PATH, metavar="B.JSON")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def diff(before: Path, after: Path, as_json: bool) -> None:
    """Tell what moved from baseline A to baseline B, furthest first."""
    from exporter.baseline import show as views
    from exporter.baseline.compare import compare

    with _refusing():
        changes = compare(Baseline.load(before), Baseline.load(after))
    if as_json:
        click.echo(_json(msgspec.to_builtins(changes)))
        return
    _print(views.changes_table(changes))
    moved = sum(change.status != "same" for change in changes)
    click.echo(f"{moved} of {len(changes)} columns moved")


@baseline.command()
@click.option(
    "--from",
    "sources",
    multiple=True,
    required=True,
    metavar="FILE|URL",
    help="State of a recorder's learner: a file, or http://HOST:9464/learning.json. Repeatable: they add up.",
)
@click.option("--model", help="Name of the model.  [default: the only one in the states]")
@click.option(
    "-o", "--output", type=_PATH, default=Path("baseline.json"), show_default=True, help="File to write."
)
def learn(sources: tuple[str, ...], model: str | None, output: Path) -> None:
    """Make a baseline from what recorders have learnt of live traffic.

    Hours that differ from the others are left out and listed; live days calibrate it.
    """
    from exporter.learning import learn_baseline, promotion
    from exporter.learning.fetch import read_source
    from exporter.learning.model import merged_model, read_states

    with _refusing():
        states = [(source, each) for source in sources for each in read_states(read_source(source), source)]
        learner = merged_model(states, model)
        _refuse_another_models(output, learner.model)
        try:
            learnt = learn_baseline(learner, float(int(time.time())))
        except ValueError as error:
            raise BaselineError(", ".join(sources), learner.model, "rows to learn from", str(error)) from None
        sha256 = learnt.baseline.write(output)
    for note in learnt.notes:
        click.echo(f"note: {note}", err=True)
    stage = promotion(learner.state, phase=learner.phase, frozen=True)
    click.echo(f"{_about(output, learnt.baseline, sha256)}, learnt in {stage.days:.1f} live days")


@baseline.command("import")
@click.argument("file", type=_PATH, metavar="STATISTICS.JSON|PROFILE.BIN|HISTOGRAM.PROM")
@click.argument("constraints", type=_PATH, required=False, metavar="[CONSTRAINTS.JSON]")
@click.option("--model", help="Name of the model.  [default: the file's name]")
@click.option(
    "--format",
    "source",
    type=click.Choice(["sagemaker", "whylogs", "boxkite"]),
    help="Whose file it is.  [default: told by its first bytes]",
)
@click.option(
    "--prediction", multiple=True, metavar="COLUMN", help="Column that the model predicts. Repeatable."
)
@click.option(
    "-o", "--output", type=_PATH, default=Path("baseline.json"), show_default=True, help="File to write."
)
def import_(
    file: Path,
    constraints: Path | None,
    model: str | None,
    source: Any,
    prediction: tuple[str, ...],
    output: Path,
) -> None:
    """Make a baseline from another monitor's file: SageMaker Model Monitor, whylogs or boxkite."""
    from exporter.baseline.imports import import_baseline

    name = model or file.name.split(".")[0]
    with _refusing():
        _refuse_another_models(output, name)
        imported = import_baseline(
            file,
            model=name,
            created=float(int(time.time())),
            source=source,
            constraints=constraints,
            predictions=prediction,
        )
        sha256 = imported.baseline.write(output)
    for note in imported.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(_about(output, imported.baseline, sha256))


@baseline.command()
@click.argument("constraints", type=_PATH, metavar="CONSTRAINTS.JSON")
@click.argument("file", type=_PATH, metavar="BASELINE.JSON")
@click.argument("live", type=_PATH, metavar="LIVE.JSON")
def violations(constraints: Path, file: Path, live: Path) -> None:
    """Apply SageMaker's constraints to LIVE, a baseline of newer rows; print constraint_violations.json.

    Exit status 1 when there is a violation.
    """
    from exporter.baseline.imports import observed_column, read_constraints
    from exporter.baseline.imports import violations as violations_of

    with _refusing():
        declared = read_constraints(constraints)
        before, now = Baseline.load(file), Baseline.load(live)
    columns = {name: column for (_, name), column in before.columns.items()}
    seen = {
        name: observed_column(column, columns.get(name, column)) for (_, name), column in now.columns.items()
    }
    found = violations_of(declared, before, seen)
    click.echo(_json({"violations": msgspec.to_builtins(found)}))
    if found:
        raise SystemExit(1)


def _about(output: Path, result: Baseline, sha256: str) -> str:
    return (
        f"{output}: model {result.model}, {result.rows:,} rows, {len(result.columns)} columns, "
        f"{result.calibrated}, SHA-256 {sha256[:8]}…"
    )


def _print(*tables: Any) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    for table in tables:
        if table is not None:
            console.print(table)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
