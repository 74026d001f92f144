"""Deriving: the columns of one model version, and what is derived of them as they come.

A derived column is followed where the column it is of is, unless it is declared ``monitored: false`` or the
baseline has the one and not the other. What nobody has promised a place counts towards `limits.columns`, so
that a client can not fill the memory by inventing texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from exporter.baseline import Baseline
from exporter.derived import derived_names, of_texts, of_vectors
from exporter.monitor.column import ColumnMonitor
from exporter.profile import infer_kind
from exporter.profile.probabilities import ClassProbabilities
from exporter.rows import Role, Rows, Values
from exporter.schema import Kind, ModelSpec

ColumnKey: TypeAlias = tuple[Role, str]


class Deriving:
    """Of one model version.

    *columns* are those there are, *column* gives one, made when it is new, and *limit* is how many there may
    be.
    """

    def __init__(
        self,
        spec: ModelSpec,
        baseline: Baseline | None,
        columns: Mapping[ColumnKey, ColumnMonitor],
        column: Callable[[Role, str], ColumnMonitor],
        limit: int,
    ) -> None:
        self._spec = spec
        self._known = baseline.columns if baseline is not None else {}
        self._columns = columns
        self._column = column
        self._limit = limit
        roles: tuple[Role, ...] = ("feature", "prediction")
        self._monitored: dict[ColumnKey, bool] = {
            (role, declared.name): declared.monitored for role in roles for declared in spec.specs(role)
        }
        self._promised = {key for key, monitored in self._monitored.items() if monitored}
        self._plain: set[ColumnKey] = set()
        """Columns of which nothing is derived."""
        self.refused: set[ColumnKey] = set()
        """Derived columns for which there was no room."""
        self.new: list[ColumnKey] = []
        """Derived columns that nobody had promised a place, until somebody takes them from here."""
        self._classes = ClassProbabilities(
            [name for role, name in self._known if role == "prediction"], self._class_wanted
        )

    def extended(self, rows: Rows) -> Mapping[str, Values]:
        """The columns of *rows* and those derived of them; a column that comes by itself stays."""
        for name in rows.columns:
            if (rows.role, name) not in self._columns:
                self._column(rows.role, name)  # before anything that is derived takes its place
        columns = self._classes.extended(rows.columns) if rows.role == "prediction" else rows.columns
        derived: dict[str, Values] = {}
        for name, values in rows.columns.items():
            if (rows.role, name) in self._plain:
                continue
            kind = self._kind(rows.role, name, values)
            if kind is None:  # nothing has told yet
                continue
            window = self._columns[rows.role, name].vectors
            wanted = [] if kind == "embedding" and window is None else self._wanted(rows, name, kind)
            if window is not None:
                found, vectors = of_vectors(name, window.reference.frame, values)
                window.add(rows.time, vectors)
            elif wanted:
                found = of_texts(name, values)
            else:
                self._plain.add((rows.role, name))
                continue
            derived |= {key: found[key] for key in wanted}
        return {**columns, **derived} if derived else columns

    def _kind(self, role: Role, name: str, values: Values) -> Kind | None:
        layout = self._columns[role, name].layout
        if layout is not None:
            return layout.kind
        declared = next((spec.kind for spec in self._spec.specs(role) if spec.name == name), None)
        return declared if declared is not None else infer_kind(values)

    def _wanted(self, rows: Rows, origin: str, kind: Kind) -> list[str]:
        """The derived columns of *origin* that are followed."""
        names = [name for name in derived_names(origin, kind) if name not in rows.columns]
        return [name for name in names if self._is_wanted((rows.role, name), (rows.role, origin))]

    def _is_wanted(self, key: ColumnKey, origin: ColumnKey) -> bool:
        if key in self._monitored:
            return self._monitored[key]
        if origin in self._known:
            return key in self._known
        return self._has_room(key)

    def _class_wanted(self, name: str) -> bool:
        """Whether a column derived of class probabilities is followed."""
        key: ColumnKey = ("prediction", name)
        if key in self._monitored:
            return self._monitored[key]
        return key in self._known or (not self._spec.only_declared and self._has_room(key))

    def _has_room(self, key: ColumnKey) -> bool:
        if key in self._columns:
            return True
        if len(self._columns) + len(self._promised - self._columns.keys()) >= self._limit:
            self.refused.add(key)
            return False
        self._column(*key)  # from now on it has its place
        self.new.append(key)
        return True
