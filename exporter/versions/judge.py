"""VersionJudge: which versions of a model are compared, and what was found last, as views.

Every version is compared with the one that had the most rows in the window, so that V versions cost V - 1
comparisons; the busiest one is seldom the new one.

Promises: memory bounded by the versions of a model and its columns; reads no clock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from exporter.baseline import BaselineColumn
from exporter.hourly import HourTable
from exporter.rows import Role
from exporter.versions.compare import compare_versions, sentence
from exporter.views import VersionColumnView, VersionView

ColumnKey: TypeAlias = tuple[Role, str]


@dataclass(frozen=True, slots=True)
class Side:
    """One version in one window."""

    version: str
    tables: Mapping[ColumnKey, HourTable]
    """The window's hours of each column."""
    abnormal: Collection[ColumnKey]
    """Columns whose own verdict on the window is ``drifted`` or ``ticket``."""

    @property
    def rows(self) -> int:
        """Rows of the column that has the most."""
        return max((int(table.rows.sum()) for table in self.tables.values()), default=0)


@dataclass(slots=True)
class VersionJudge:
    """Of one model."""

    model: str
    _views: dict[str, tuple[VersionView, ...]] = field(default_factory=dict)
    """By window."""

    def judge(
        self,
        window: str,
        start: float,
        end: float,
        sides: Collection[Side],
        baseline: Mapping[ColumnKey, BaselineColumn] | None,
        alpha: float,
    ) -> None:
        """Compare the versions that had rows in [start, end)."""
        present = sorted((side for side in sides if side.rows), key=lambda side: (-side.rows, side.version))
        views = []
        for side in present[1:]:
            busiest = present[0]
            moved = set(side.abnormal) & set(busiest.abnormal)
            compared = compare_versions(
                side.tables, busiest.tables, moved=moved, baseline=baseline, window=window, alpha=alpha
            )
            if compared is None:
                continue
            columns = tuple(
                VersionColumnView(role, name, pair.score, pair.detectors)
                for (role, name), pair in compared.columns.items()
            )
            told = sentence(compared, side.version, busiest.version)
            views.append(
                VersionView(
                    model=self.model,
                    version=side.version,
                    other=busiest.version,
                    window=window,
                    start=start,
                    end=end,
                    rows=side.rows,
                    other_rows=busiest.rows,
                    cause=compared.cause,
                    sentence=told,
                    columns=columns,
                )
            )
        self._views[window] = tuple(sorted(views, key=lambda view: view.version))

    def views(self) -> tuple[VersionView, ...]:
        """What was found in the last window of each length in which two versions had rows."""
        return tuple(view for window in sorted(self._views, reverse=True) for view in self._views[window])
