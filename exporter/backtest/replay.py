"""Replay: a file's rows through a `Monitor`, slot by slot of five minutes, under a simulated clock.

Promises: the clock stands at the end of a window when its verdict is given, with every row before it recorded
and none after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from exporter.backtest.injection import Injector
from exporter.backtest.lines import Line, judged
from exporter.backtest.reader import Block, Floats, slots_of
from exporter.backtest.values import Array, as_values, joined
from exporter.monitor import Monitor
from exporter.monitor.incident import Incidents
from exporter.rows import Role, Rows
from exporter.views import VerdictView
from exporter.window import SLOT_SECONDS

ColumnKey: TypeAlias = tuple[Role, str]

_ROLES: Final[tuple[Role, ...]] = ("feature", "prediction")


class Joined(NamedTuple):
    """A column joined the open incident; `Incidents.join` said *token*."""

    column: ColumnKey
    start: float
    end: float
    token: str


class Left(NamedTuple):
    """A column left it."""

    column: ColumnKey


class Heard(NamedTuple):
    """One verdict, and what happened to incidents while it was found."""

    line: Line
    events: tuple[Joined | Left, ...]


class Batch(NamedTuple):
    """What was heard at one moment of the simulated clock, and how far the file is read."""

    time: float
    heard: list[Heard]
    fraction: float
    rows: int
    errors: Mapping[str, int]
    """The monitor's so far, by place: each a fault of ours."""


class NotedIncidents(Incidents):
    """Gives every column an incident of its own, and notes what would have joined and left.

    So that one part of the columns can be judged without knowing of the others; `tell` joins them afterwards.
    """

    __slots__ = ("_count", "_noted")

    def __init__(self, noted: list[Joined | Left]) -> None:
        super().__init__()
        self._noted = noted
        self._count = 0

    def join(self, column: ColumnKey, start: float, end: float, id: str = "") -> str:
        """As `Incidents.join`; returns a token."""
        self._count += 1
        token = f"{self._count} of {column}"
        self._noted.append(Joined(column, start, end, token))
        return token

    def leave(self, column: ColumnKey) -> None:
        """As `Incidents.leave`."""
        self._noted.append(Left(column))


@dataclass(slots=True)
class Replay:
    """One run through one monitor, whose `on_verdict` is `Replay.listen`."""

    model: str
    columns: Sequence[ColumnKey]
    """Those to record."""
    due: Sequence[float]
    """When verdicts are due, Unix seconds, ascending: the end of every hour and day that is to be judged."""
    injectors: Mapping[str, Injector]
    """By column."""
    wanted: Sequence[str]
    """Windows whose lines are told."""
    noted: list[Joined | Left] = field(default_factory=list)
    """What `NotedIncidents` has noted since the last verdict."""
    _rows: int = 0
    _heard: list[Heard] = field(default_factory=list)

    def listen(self, model: str, version: str, role: Role, column: str, verdict: VerdictView) -> None:
        """Take a verdict that the monitor gave."""
        # Those of other windows count for incidents.
        if verdict.window in self.wanted or self.noted:
            self._heard.append(Heard(judged(role, column, verdict), tuple(self.noted)))
            self.noted.clear()

    def run(self, monitor: Monitor, blocks: Iterator[Block]) -> Iterator[Batch]:
        """Replay *blocks*, in order; a batch for each moment of `due`."""
        reached, fraction = 0, 0.0
        for slot, times, columns, fraction in _slots(blocks):
            time = float(slot) * SLOT_SECONDS
            while reached < len(self.due) and self.due[reached] <= time:
                yield self._tick(monitor, self.due[reached], fraction)
                reached += 1
            self._record(monitor, time, times, columns)
        for moment in self.due[reached:]:
            yield self._tick(monitor, moment, fraction)

    def _tick(self, monitor: Monitor, moment: float, fraction: float) -> Batch:
        monitor.tick(moment)
        heard, self._heard = self._heard, []
        return Batch(moment, heard, fraction, self._rows, dict(monitor.errors))

    def _record(self, monitor: Monitor, time: float, times: Floats, columns: Mapping[str, Array]) -> None:
        self._rows += times.size
        changed = {
            name: injector.apply(times, columns[name], columns.__getitem__)
            for name, injector in self.injectors.items()
        }
        for role in _ROLES:
            values = {
                name: as_values(changed[name] if name in changed else columns[name])
                for column_role, name in self.columns
                if column_role == role and name in columns
            }
            if values:
                monitor.record(Rows(self.model, "", role, time, times.size, values))


def _slots(blocks: Iterator[Block]) -> Iterator[tuple[int, Floats, Mapping[str, Array], float]]:
    """The rows of each slot that has any: its number, their times and columns, and how much is read."""
    held: list[Block] = []
    holding = 0
    for block in blocks:
        if not block.times.size:
            continue
        slots = slots_of(block.times)
        firsts = np.flatnonzero(np.diff(slots, prepend=slots[0] - 1)).tolist()
        for first, stop in zip(firsts, [*firsts[1:], slots.size], strict=True):
            slot = int(slots[first])
            if held and slot != holding:
                yield holding, *_together(held)
                held = []
            holding = slot
            held.append(block.part(slice(first, stop)))
    if held:
        yield holding, *_together(held)


def _together(blocks: list[Block]) -> tuple[Floats, Mapping[str, Array], float]:
    if len(blocks) == 1:
        return blocks[0].times, blocks[0].columns, blocks[0].fraction
    columns = {name: joined([block.columns[name] for block in blocks]) for name in blocks[0].columns}
    return np.concatenate([block.times for block in blocks]), columns, blocks[-1].fraction
