"""Monitor: all models, versions and columns, and when their verdicts are due."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final
from zoneinfo import ZoneInfo

from exporter.baseline import Baseline
from exporter.monitor.column import ColumnMonitor
from exporter.rows import Role, Rows
from exporter.schema import ColumnSpec, Configuration, ModelSpec
from exporter.traffic import UNKNOWN
from exporter.tumbling import WINDOWS, Schedule
from exporter.views import BaselineFileView, ColumnView, RowsView

ERROR_PLACES: Final = ("record", "judge", "view")
"""Where a fault of ours can cost one column of one batch, one verdict, or one column of a page."""

HOURS_A_MONTH: Final = 730.5
"""Windows a month; the daily ones are few beside them."""


class _Version:
    """One version of one model."""

    def __init__(self, model: str, version: str, spec: ModelSpec, baseline: Baseline | None) -> None:
        self.model = model
        self.version = version
        self.rows = 0
        self.columns: dict[tuple[Role, str], ColumnMonitor] = {}
        self._spec = spec
        self._baseline = baseline
        if baseline is not None:
            # All columns of the baseline stand from the start, at 0: one that never comes is seen to be so.
            for role, name in baseline.columns:
                declared = self._declared(role, name)
                if declared is None or declared.monitored:
                    self.column(role, name)

    def _declared(self, role: Role, name: str) -> ColumnSpec | None:
        return next((spec for spec in self._spec.specs(role) if spec.name == name), None)

    def column(self, role: Role, name: str) -> ColumnMonitor:
        """The column, made when it is new."""
        key = (role, name)
        column = self.columns.get(key)
        if column is None:
            known = self._baseline.columns.get(key) if self._baseline is not None else None
            column = ColumnMonitor(self.model, self.version, role, name, self._declared(role, name), known)
            self.columns[key] = column
        return column


class Monitor:
    """What is known of all models; see the package for what it promises.

    *late_seconds* after the end of an hour or a day its verdict is given.
    """

    def __init__(
        self,
        configuration: Configuration,
        baselines: Mapping[str, Baseline],
        late_seconds: float,
        start: float,
    ) -> None:
        self._configuration = configuration
        self._baselines = dict(baselines)
        self._versions: dict[tuple[str, str], _Version] = {}
        zone = ZoneInfo(configuration.timezone)
        self._schedules = [Schedule(window, zone, late_seconds, start) for window in WINDOWS]
        self.errors = dict.fromkeys(ERROR_PLACES, 0)

    def known_columns(self, model: str) -> Collection[tuple[Role, str]]:
        """The columns that *model*'s baseline knows."""
        baseline = self._baselines.get(model)
        return baseline.columns.keys() if baseline is not None else ()

    def record(self, rows: Rows) -> None:
        """Add *rows*. Never raises."""
        key = (rows.model, rows.version or UNKNOWN)
        version = self._versions.get(key)
        if version is None:
            spec = self._configuration.model(rows.model) or ModelSpec(name=rows.model or UNKNOWN)
            version = self._versions[key] = _Version(*key, spec, self._baselines.get(rows.model))
        if rows.role == "feature":
            version.rows += rows.count
        for name, values in rows.columns.items():
            try:
                version.column(rows.role, name).add(rows.time, values)
            except Exception:
                self.errors["record"] += 1

    def tick(self, now: float) -> None:
        """Give the verdicts that are due at *now* (Unix seconds)."""
        for schedule in self._schedules:
            for start, end in schedule.complete(now):
                for version in self._versions.values():
                    alpha = self._alpha(len(version.columns))
                    for column in version.columns.values():
                        try:
                            column.judge(schedule.window, start, end, alpha)
                        except Exception:
                            self.errors["judge"] += 1

    def _alpha(self, columns: int) -> float:
        """False alarms allowed per column and window: the month's budget over all of them."""
        return self._configuration.page_budget / (max(columns, 1) * HOURS_A_MONTH)

    @property
    def late_rows(self) -> int:
        """Entries that came too late for any window."""
        return sum(column.late for version in self._versions.values() for column in version.columns.values())

    def views(
        self, now: float
    ) -> tuple[tuple[ColumnView, ...], tuple[RowsView, ...], tuple[BaselineFileView, ...]]:
        """Columns, rows and baselines as they stand at *now*, in order of their names."""
        columns: list[ColumnView] = []
        for _, version in sorted(self._versions.items()):
            for _, column in sorted(version.columns.items()):
                try:
                    view = column.view(now)
                except Exception:
                    self.errors["view"] += 1
                    continue
                if view is not None:
                    columns.append(view)
        rows = tuple(RowsView(*key, version.rows) for key, version in sorted(self._versions.items()))
        baselines = tuple(
            BaselineFileView(name, baseline.sha256, baseline.created, baseline.rows, baseline.state)
            for name, baseline in sorted(self._baselines.items())
        )
        return tuple(columns), rows, baselines
