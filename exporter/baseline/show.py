"""Baselines for people at a terminal, and for programs that read JSON.

Promises: builds rich tables and plain documents, prints nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from exporter.baseline.baseline import Baseline, BaselineColumn
from exporter.baseline.blind import described
from exporter.baseline.calibration import DEFAULT_ALPHA, WINDOW_SECONDS, WindowCalibration
from exporter.baseline.compare import Change
from exporter.baseline.expected import false_pages
from exporter.verdict.judge import critical_psi
from exporter.verdict.naming.words import number, percent

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_CELLS: Final = 16


def histogram(column: BaselineColumn) -> str:
    """The shape of a column in at most sixteen characters.

    Cells of equal width from the 1st to the 99th percentile; for categories a cell each, by share, and for
    few numbers too, by value. The baseline's own bins hold equal shares, so a picture of them would be flat.
    """
    if column.quantiles is not None and column.distinct <= min(_CELLS, len(column.top)):
        return bars([share for _, share in sorted(column.top)])
    if column.quantiles is not None and column.quantiles.count:
        low, high = column.quantiles.quantile([0.01, 0.99]).tolist()
        if low == high:
            return _BLOCKS[-1]
        # Cells are closed below, as bins are; the last is closed above too.
        # Halves first: the width of a column of huge numbers may pass the largest float.
        with np.errstate(over="ignore"):  # before the smallest float comes -inf
            edges = np.nextafter(2 * np.linspace(low / 2, high / 2, _CELLS + 1), -np.inf)
        edges[-1] = high
        return bars(np.diff(column.quantiles.cdf(edges)).tolist())
    return bars(column.shares[column.counts > 0][:_CELLS].tolist())


def bars(shares: Sequence[float]) -> str:
    """One character for each share, the largest full; nothing at all is a blank.

    >>> bars([0.5, 0.25, 0.0])
    '█▄ '
    """
    largest = max(shares, default=0.0)
    if largest <= 0:
        return " " * len(shares)
    levels = [round(share / largest * len(_BLOCKS)) for share in shares]
    return "".join(
        " " if share <= 0 else _BLOCKS[max(level - 1, 0)] for share, level in zip(shares, levels, strict=True)
    )


def typical(column: BaselineColumn) -> str:
    """The median of numbers, the most frequent category with its share."""
    if column.quantiles is not None:
        return number(float(column.quantiles.quantile([0.5])[0]))
    if not column.top:
        return ""
    name, share = column.top[0]
    return f"{name} ({percent(share)})"


def critical(column: BaselineColumn, window: str) -> float | None:
    """The PSI that is abnormal in a window of usual size; None where not calibrated."""
    calibration = None if column.calibration is None else column.calibration.windows.get(window)
    return None if calibration is None else critical_psi(column, window, calibration.rows, DEFAULT_ALPHA)


def _windows(column: BaselineColumn) -> Mapping[str, WindowCalibration]:
    return {} if column.calibration is None else column.calibration.windows


def baseline_table(baseline: Baseline) -> Table:
    """One line a column."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("column", "kind", "distribution"):
        table.add_column(heading, overflow="fold")
    for heading in ("missing", "distinct", "median or top", "range"):
        table.add_column(heading, justify="right", overflow="fold")
    for window in WINDOW_SECONDS:
        table.add_column(f"critical PSI {window}", justify="right")
    for column in baseline.columns.values():
        name = column.name if column.role == "feature" else f"{column.name} (prediction)"
        extent = "" if column.range is None else f"{number(column.range[0])} … {number(column.range[1])}"
        limits = [critical(column, window) for window in WINDOW_SECONDS]
        table.add_row(
            Text(printable(name)),
            column.kind,
            histogram(column),
            percent(column.missing_share),
            number(column.distinct),
            Text(printable(typical(column))),
            extent,
            *("-" if limit is None else number(limit) for limit in limits),
        )
    return table


def baseline_summary(baseline: Baseline) -> str:
    """What the table is about, in two lines."""
    origin = baseline.origin
    span = f", {origin.start} to {origin.end} {baseline.timezone}" if origin.start is not None else ""
    expected = false_pages(baseline)
    pages = "" if expected is None else f"\nfalse pages to be expected: at most {expected:.2g} a month"
    return (
        f"model {baseline.model}, {origin.rows:,} rows of {origin.file}{span}\n"
        f"{baseline.calibrated}, {len(baseline.columns)} columns, SHA-256 {baseline.sha256}{pages}"
    )


def baseline_json(baseline: Baseline) -> dict[str, Any]:
    """The same for programs."""
    return {
        "model": baseline.model,
        "sha256": baseline.sha256,
        "created": baseline.created,
        "rows": baseline.rows,
        "file": baseline.origin.file,
        "start": baseline.origin.start,
        "end": baseline.origin.end,
        "timezone": baseline.timezone,
        "state": baseline.state,
        "columns": [_column_json(column) for column in baseline.columns.values()],
    }


def _column_json(column: BaselineColumn) -> dict[str, Any]:
    median = None if column.quantiles is None else float(column.quantiles.quantile([0.5])[0])
    return {
        "name": column.name,
        "role": column.role,
        "kind": column.kind,
        "rows": column.rows,
        "missing": column.missing,
        "distinct": column.distinct,
        "median": median,
        "range": column.range,
        "top": list(column.top),
        "bins": dict(zip(column.bins.labels, column.counts.tolist(), strict=True)),
        "critical_psi": {window: critical(column, window) for window in WINDOW_SECONDS},
        "windows": {window: one.windows for window, one in _windows(column).items()},
        "blind_below": dict(column.blind_below),
    }


def blind_table(baseline: Baseline) -> Table | None:
    """Below which strength of each fault a column is blind; None where nothing is calibrated."""
    columns = [column for column in baseline.columns.values() if column.blind_below]
    if not columns:
        return None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("blind below", overflow="fold")
    table.add_column("found on nearly every day of the baseline from these strengths on", overflow="fold")
    for column in columns:
        name = column.name if column.role == "feature" else f"{column.name} (prediction)"
        table.add_row(Text(printable(name)), "; ".join(described(column.blind_below)))
    return table


def extremes_table(baseline: Baseline) -> Table | None:
    """The baseline's own most unusual windows; None when nothing in it comes near its own limits.

    An incident among them makes the verdict blind to its like, so people should look at them once.
    """
    found = [
        (extreme.score, column.name, window, extreme)
        for column in baseline.columns.values()
        for window, calibration in _windows(column).items()
        for extreme in calibration.extremes
        if extreme.score > 0.7
    ]
    if not found:
        return None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("most unusual windows")
    table.add_column("column", overflow="fold")
    for heading in ("rows", "detector", "score"):
        table.add_column(heading, justify="right")
    for score, name, window, extreme in sorted(found, key=lambda row: (-row[0], row[1], row[2]))[:5]:
        table.add_row(
            f"{extreme.start} ({window})",
            Text(printable(name)),
            f"{extreme.rows:,}",
            extreme.detector,
            number(score),
        )
    return table


def changes_table(changes: Sequence[Change]) -> Table:
    """One line a column, the furthest moved first."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("column", overflow="fold")
    for heading in ("PSI", "JS distance"):
        table.add_column(heading, justify="right")
    table.add_column("what moved", overflow="fold")
    for change in changes:
        name = change.name if change.role == "feature" else f"{change.name} (prediction)"
        table.add_row(
            Text(printable(name)),
            "-" if change.psi is None else f"{change.psi:.3f}",
            "-" if change.jensen_shannon is None else f"{change.jensen_shannon:.3f}",
            Text(printable(change.sentence)),
            style="dim" if change.status == "same" else "",
        )
    return table


def printable(text: str) -> str:
    """*text* without control characters: a column's name must not move the cursor."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
