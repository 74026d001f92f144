"""Tables of results: aligned for the terminal, Markdown for the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Table:
    """A title, a header and rows of text; the first column is left-aligned, the others right.

    >>> print(Table("Speed", ("what", "/s"), (("one", "1,000"),)).text())
    Speed
    what     /s
    one   1,000
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def text(self) -> str:
        """For the terminal."""
        lines = [tuple(self.header), *map(tuple, self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        aligned = [
            "  ".join(
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        return "\n".join([self.title, *aligned, *([self.note] if self.note else [])])

    def markdown(self) -> str:
        """For docs/performance.md."""
        rule = ["---", *["---:"] * (len(self.header) - 1)]
        lines = [f"| {' | '.join(line)} |" for line in (self.header, rule, *self.rows)]
        return "\n".join([f"**{self.title}**", "", *lines, *(["", self.note] if self.note else [])])


@dataclass(frozen=True)
class Report:
    """What one benchmark found: tables (or *text* that holds one) for people, *data* (JSON) for programs."""

    name: str
    tables: Sequence[Table]
    data: Any
    text: str = ""
