"""What a monitor is made of in a checkpoint, and what it had shown.

Incidents and verdicts are opaque here: each is what its own class says and reads, and one that can not be
read any more costs itself alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import msgspec
import numpy as np

from exporter.rows import Role
from exporter.schema import Kind
from exporter.sketch import Counts
from exporter.views import ColumnView, RowsView
from exporter.window import WindowsState

ColumnKey: TypeAlias = tuple[str, str, Role, str]
"""Model, version, role, column."""


class ColumnState(msgspec.Struct, array_like=True, frozen=True):
    """A `ColumnMonitor`."""

    key: ColumnKey
    kind: str
    """Empty while nothing has told of what kind it is."""
    waiting: int
    windows: WindowsState | None
    verdicts: dict[str, msgspec.Raw]
    """By window."""
    incidents: dict[str, msgspec.Raw]
    """By window, and whatever else is kept of incidents."""


class MonitorState(msgspec.Struct, array_like=True, frozen=True):
    """A `Monitor`, without its columns."""

    saved: float
    """Unix seconds at which the state was begun to be taken; what was recorded later may be missing."""
    baselines: dict[str, str]
    """Model → SHA-256."""
    zone: str
    schedules: dict[str, float]
    """Window → `Schedule.state`."""
    outages: list[tuple[float, float]]
    rows: list[tuple[str, str, int]]
    """Model, version, rows recorded."""
    fits: list[tuple[str, str, msgspec.Raw]] = []
    """Model, version, whether its traffic matches its baseline."""
    slices: list[tuple[str, str, msgspec.Raw]] = []
    """Model, version, `exporter.slices.SliceState`s."""


class LearnerState(msgspec.Struct, array_like=True, frozen=True):
    """One column of a model's learner, and what the learner is."""

    model: str
    zone: str
    phase: int
    frozen: bool
    told: list[int]
    role: Role
    name: str
    kept: dict[str, Any]
    """`exporter.learning.ColumnLearner.kept`."""


class Restored(NamedTuple):
    """What a monitor took of a checkpoint."""

    columns: int
    left_out: int
    """Columns that could not be read, or are read in another way now."""
    other_baselines: tuple[str, ...]
    """Models that have another baseline now; nothing of them was taken."""


class ShownColumn(msgspec.Struct, array_like=True, frozen=True):
    """The counters of one column as they were last exposed."""

    key: ColumnKey
    kind: str
    bins: str
    counts: bytes
    """int64: `COUNTERS`, then the bins."""
    scaled_sum: float
    scaled_square: float

    def tally_counts(self) -> Counts:
        """`counts` as an array. Raises ValueError for damage."""
        return np.frombuffer(self.counts, "<i8").astype(np.int64)


class Shown(msgspec.Struct, array_like=True, frozen=True):
    """What a page had shown: a counter that begins again must not begin below it, unless at 0."""

    rows: list[tuple[str, str, int]]
    columns: list[ShownColumn]


_T = TypeVar("_T")


def opaque(value: object) -> msgspec.Raw:
    """A struct or dataclass as what only its own class reads."""
    return msgspec.Raw(msgspec.msgpack.encode(value))


def transparent(value: msgspec.Raw, kind: type[_T]) -> _T:
    """What `opaque` hid. Raises ValueError when it is no *kind*."""
    return msgspec.msgpack.decode(value, type=kind)


def known_kind(kind: str) -> Kind:
    """*kind* if it is one. Raises ValueError otherwise."""
    found: Kind = msgspec.convert(kind, Kind)
    return found


_LEARNER: Final = b"learner "


def encode(state: ColumnState | LearnerState | MonitorState) -> bytes:
    """A section of a checkpoint."""
    packed = msgspec.msgpack.encode(state)
    return _LEARNER + packed if isinstance(state, LearnerState) else packed


def decode_monitor(section: bytes) -> MonitorState:
    """What `encode` wrote. Raises ValueError for anything else."""
    return msgspec.msgpack.decode(section, type=MonitorState)


def decode_part(section: bytes) -> ColumnState | LearnerState:
    """What `encode` wrote of a column or a learner's. Raises ValueError for anything else."""
    if section.startswith(_LEARNER):
        return msgspec.msgpack.decode(section[len(_LEARNER) :], type=LearnerState)
    return msgspec.msgpack.decode(section, type=ColumnState)


def encode_shown(columns: Sequence[ColumnView], rows: Sequence[RowsView]) -> bytes:
    """What a view shows of counters. 1 µs a column, and more of the bins."""
    return msgspec.msgpack.encode(
        Shown(
            [(view.model, view.version, view.rows) for view in rows],
            [_shown(view) for view in columns],
        )
    )


def decode_shown(section: bytes) -> Shown:
    """What `encode_shown` wrote. Raises ValueError for anything else."""
    return msgspec.msgpack.decode(section, type=Shown)


def _shown(view: ColumnView) -> ShownColumn:
    counters = (
        *(view.rows, view.missing, view.type_mismatch, view.out_of_range, view.far),
        *(view.unseen, view.infinite, view.grid or 0),
    )
    bins = () if view.bin_counts is None else view.bin_counts
    return ShownColumn(
        (view.model, view.version, view.role, view.column),
        view.kind,
        view.bins,
        np.concatenate((counters, bins)).astype("<i8").tobytes(),
        view.scaled_sum or 0.0,
        view.scaled_square or 0.0,
    )
