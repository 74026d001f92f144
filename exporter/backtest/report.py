"""Report: what a backtest found, in a few lines for people.

Promises: counts lines as they pass, in memory of an entry for each column and incident; prints nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

from rich import box
from rich.table import Table
from rich.text import Text

from exporter.backtest.lines import Line
from exporter.baseline import Baseline, BaselineColumn
from exporter.baseline.show import printable
from exporter.rows import Role
from exporter.verdict.naming.words import number, percent

ColumnKey: TypeAlias = tuple[Role, str]

#: Incidents that are listed; `-o` has them all.
LISTED: Final = 20
HOURS_A_MONTH: Final = 730.5


@dataclass(slots=True)
class ColumnSummary:
    """What became of one column."""

    verdicts: Counter[str] = field(default_factory=Counter)
    first_page: str | None = None
    """When the first verdict ``drifted`` was given, ISO 8601."""
    faults: Counter[str] = field(default_factory=Counter)
    """Named in windows that were ``drifted``, else ``ticket``."""

    @property
    def judged(self) -> int:
        """Windows with enough rows to say something."""
        return sum(self.verdicts[verdict] for verdict in ("ok", "drifted", "ticket"))


@dataclass(slots=True)
class Page:
    """One incident that paged."""

    at: str
    """End of its first ``drifted`` window, when the page would have gone out; ISO 8601."""
    onset: str | None
    columns: dict[str, None] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    windows: int = 0


@dataclass(slots=True)
class Summary:
    """What was found, line by line."""

    columns: dict[ColumnKey, ColumnSummary] = field(default_factory=dict)
    windows: dict[str, Counter[str]] = field(default_factory=dict)
    """Verdicts by window."""
    pages: dict[str, Page] = field(default_factory=dict)
    """By incident."""
    start: str | None = None
    end: str | None = None
    """Of the windows told."""

    def add(self, line: Line) -> None:
        """Count another line."""
        column = self.columns.setdefault((line.role, line.column), ColumnSummary())
        column.verdicts[line.verdict] += 1
        self.windows.setdefault(line.window, Counter())[line.verdict] += 1
        self.start = line.start if self.start is None else min(self.start, line.start)
        self.end = line.end if self.end is None else max(self.end, line.end)
        if line.fault is not None:
            column.faults[line.fault] += 1
        if line.verdict != "drifted":
            return
        column.first_page = line.end if column.first_page is None else min(column.first_page, line.end)
        # Without an incident's name, each onset of a column is one.
        page = self.pages.setdefault(
            line.incident or f"{line.role} {line.column} {line.onset}", Page(line.end, line.onset)
        )
        page.at = min(page.at, line.end)
        page.columns[line.column] = None
        page.windows += 1
        if line.fault is not None:
            page.faults[line.fault] += 1

    @property
    def months(self) -> float:
        """Length of time told of."""
        if self.start is None or self.end is None:
            return 0.0
        length = datetime.fromisoformat(self.end) - datetime.fromisoformat(self.start)
        return length.total_seconds() / 3600 / HOURS_A_MONTH


def sentences(summary: Summary, budget: float) -> list[str]:
    """How often it would have paged, and how much of the file was judged."""
    months = summary.months
    pages = len(summary.pages)
    days = f"{months * HOURS_A_MONTH / 24:,.1f} days"
    rate = number(pages / months) if months else "0"
    budgeted = f"{number(budget)} a month without a cause {'is' if budget == 1 else 'are'} budgeted"
    said = [f"{pages:,} {'page' if pages == 1 else 'pages'} in {days}, {rate} a month; {budgeted}"]
    for window, verdicts in sorted(summary.windows.items(), key=lambda pair: pair[0] != "1h"):
        judged = sum(verdicts[verdict] for verdict in ("ok", "drifted", "ticket"))
        share = percent(verdicts["drifted"] / judged) if judged else "none"
        parts = [f"{judged:,} column-windows judged", f"{verdicts['drifted']:,} drifted ({share})"]
        parts += [
            f"{verdicts[verdict]:,} {name}"
            for verdict, name in (
                ("ticket", "tickets"),
                ("insufficient", "insufficient"),
                ("learning", "learning"),
            )
            if verdicts[verdict]
        ]
        said.append(f"{window}: {', '.join(parts)}")
    return said


def pages_table(summary: Summary) -> Table | None:
    """One line an incident, in order of time; None when it never paged."""
    if not summary.pages:
        return None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("page at")
    table.add_column("onset")
    table.add_column("columns", overflow="fold")
    table.add_column("fault", overflow="fold")
    table.add_column("windows", justify="right")
    pages = sorted(summary.pages.values(), key=lambda page: (page.at, page.onset or ""))
    for page in pages[:LISTED]:
        names = ", ".join(page.columns)
        table.add_row(
            page.at, page.onset or "", Text(printable(names)), _faults(page.faults), f"{page.windows:,}"
        )
    if len(pages) > LISTED:
        table.add_row(f"… {len(pages) - LISTED:,} more", "", "", "", "")
    return table


def columns_table(summary: Summary, baseline: Baseline) -> Table:
    """One line a column, in the order of the baseline."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("column", overflow="fold")
    for heading in ("judged", "insufficient", "drifted", "tickets"):
        table.add_column(heading, justify="right")
    table.add_column("first page")
    table.add_column("fault named", overflow="fold")
    table.add_column("blind to", overflow="fold")
    for (role, name), column in baseline.columns.items():
        found = summary.columns.get((role, name))
        if found is None:
            continue
        table.add_row(
            Text(printable(name if role == "feature" else f"{name} (prediction)")),
            f"{found.judged:,}",
            f"{found.verdicts['insufficient'] + found.verdicts['learning']:,}",
            f"{found.verdicts['drifted']:,}",
            f"{found.verdicts['ticket']:,}",
            found.first_page or "",
            _faults(found.faults),
            ", ".join(blind(column)),
        )
    return table


def blind(column: BaselineColumn) -> Sequence[str]:
    """Faults that, as the baseline's own days have it, no strength of would be seen."""
    limits: Mapping[str, float | None] = getattr(column, "blind_below", {})
    return [fault for fault, strength in limits.items() if strength is None]


def _faults(faults: Counter[str]) -> str:
    """The most frequent first: ``scale (12), shift (1)``; a single one without its number."""
    ordered = sorted(faults.items(), key=lambda pair: (-pair[1], pair[0]))
    if len(ordered) == 1:
        return ordered[0][0]
    return ", ".join(f"{name} ({count:,})" for name, count in ordered[:3])
