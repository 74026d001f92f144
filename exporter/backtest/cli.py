"""``modelmeter backtest``.

Promises: lines go to `-o`, the summary to standard output (to standard error where `-o -` has taken that); an
error is one sentence that names file, key, expected and found, and exit status 2. What is found, however bad,
is exit status 0. A file named by `-o` is whole or not there.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

import click

from exporter.backtest.errors import BacktestError
from exporter.mistake import MistakeError
from exporter.tumbling import WINDOWS

#: Columns of output that is not a terminal: enough for the widest table, and the same everywhere.
_WIDTH: Final = 160
_PATH = click.Path(path_type=Path)


class _Refusal(click.ClickException):
    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """As the other commands say it."""
        click.echo(f"modelmeter: {self.format_message()}", err=True, file=file)


@click.command()
@click.argument("file", type=_PATH, metavar="LIVE.CSV|LIVE.PARQUET")
@click.option(
    "--baseline", "baseline_file", type=_PATH, required=True, metavar="FILE", help="Baseline to judge by."
)
@click.option(
    "--config", type=_PATH, help="modelmeter.yaml: time zone, page budget, declared columns of the model."
)
@click.option(
    "--timestamp",
    required=True,
    metavar="COLUMN",
    help="Column with each row's time, ISO 8601 or Unix seconds; naive times are of the configuration's "
    "time zone, without one of the baseline's.",
)
@click.option(
    "--window",
    "windows",
    multiple=True,
    type=click.Choice(WINDOWS),
    help="Verdicts to tell of. Repeatable.  [default: all]",
)
@click.option(
    "--inject",
    "injections",
    multiple=True,
    metavar="COLUMN:FAULT:FROM:TO[:STRENGTH]",
    help="Put a fault into a column before judging, as price:scale:2024-05-01:2024-05-03:1.6. Repeatable.",
)
@click.option(
    "--processes", type=click.IntRange(1, 256), help="[default: one for small files, else one a processor]"
)
@click.option(
    "-o", "--output", metavar="FILE", help="Write a line of JSON for each verdict; - is standard output."
)
def backtest(
    file: Path,
    baseline_file: Path,
    config: Path | None,
    timestamp: str,
    windows: tuple[str, ...],
    injections: tuple[str, ...],
    processes: int | None,
    output: str | None,
) -> None:
    """Replay past rows: what would have paged, when, and why."""
    try:
        _backtest(file, baseline_file, config, timestamp, windows or WINDOWS, injections, processes, output)
    except MistakeError as error:
        raise _Refusal(str(error)) from None


def _backtest(
    file: Path,
    baseline_file: Path,
    config: Path | None,
    timestamp: str,
    windows: tuple[str, ...],
    injections: tuple[str, ...],
    processes: int | None,
    output: str | None,
) -> None:
    from exporter.configuration import load

    configuration = None if config is None else load(config)
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        expected = "pyarrow to read it with (pip install 'modelmeter[parquet]')"
        raise BacktestError(str(file), "", expected, "no pyarrow") from None
    from exporter.backtest import report
    from exporter.backtest.lines import utc
    from exporter.backtest.run import Plan, prepare

    with _progress(file.name) as progress:
        plan = Plan(
            path=file,
            baseline=baseline_file,
            timestamp=timestamp,
            config=config,
            configuration=configuration,
            windows=windows,
            injections=injections,
            processes=processes,
        )
        prepared = prepare(plan)
        summary = report.Summary()
        with _written(output) as stream:
            for line in prepared.lines(progress):
                summary.add(line)
                if stream is not None:
                    stream.write(line.encoded())
    for note in prepared.notes:
        click.echo(f"note: {note}", err=True)
    for place, count in prepared.errors.items():
        if count:
            click.echo(f"note: {count:,} internal errors ({place}): please tell us", err=True)
    told = sys.stderr if output == "-" else sys.stdout
    extent, baseline = prepared.extent, prepared.baseline
    model = prepared.configuration.models[0].name
    rows = f"{extent.rows:,} rows of {file.name}, {utc(extent.oldest)} to {utc(extent.newest)}"
    click.echo(f"model {model}, {rows}; baseline {baseline_file.name}, {baseline.calibrated}", file=told)
    for sentence in report.sentences(summary, prepared.configuration.page_budget):
        click.echo(sentence, file=told)
    _print(told, report.pages_table(summary), report.columns_table(summary, baseline))


@contextmanager
def _written(output: str | None) -> Iterator[IO[bytes] | None]:
    """Where *output* says, None for nowhere; a file gets its name when all is written."""
    if output is None:
        yield None
        return
    if output == "-":
        stream = sys.stdout.buffer
        yield stream
        stream.flush()
        return
    path = Path(output)
    try:
        if path.exists() and not path.is_file():  # /dev/null, a pipe
            with path.open("wb") as handle:
                yield handle
            return
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as unfinished:
            try:
                yield unfinished
                unfinished.flush()
                umask = os.umask(0)
                os.umask(umask)
                os.chmod(unfinished.name, 0o666 & ~umask)
                os.replace(unfinished.name, path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(unfinished.name)
                raise
    except OSError as error:
        raise BacktestError(output, "", "a file that can be written", error.strerror or str(error)) from None


@contextmanager
def _progress(name: str) -> Iterator[Callable[[float, int], None]]:
    """A callback that moves a bar from 0 to 1."""
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

        def move(share: float, rows: int) -> None:
            bar.update(task, completed=share, rows=rows)

        yield move


def _print(file: IO[str], *tables: Any) -> None:
    from rich.console import Console

    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    for table in tables:
        if table is not None:
            console.print(table)
