"""Replay: the live hours of one column judged one after the other, with incidents, as the monitor does it.

An incident opens with a drifted window and ends after some quiet ones. While it is open its hours are kept
out of the history that later windows are compared with, for seven days at most; then they are what is
normal. It pages for a day; if it lasts longer its windows are tickets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

import numpy as np

from exporter.baseline.baseline import BaselineColumn
from exporter.hourly import HourTable

Booleans: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"

#: Hours before a window's end that the judge may look at: eight days.
HISTORY: Final = 192
#: Quiet windows that end an incident.
QUIET: Final = {"1h": 3, "1d": 1}
#: Hours after which an open incident pages no more, and after which it is what is normal.
PAGES: Final = 24
ADOPTED: Final = 168


@dataclass(frozen=True, slots=True)
class Told:
    """What a judge says of one window."""

    state: str
    detectors: tuple[str, ...] = ()
    score: float | None = None


class Judge(Protocol):
    """What is asked: the history holds the windows' own hours, too; *kept_out*, shape (H,), are no
    reference.
    """

    def one(
        self,
        column: BaselineColumn,
        history: HourTable,
        window: str,
        first: int,
        stop: int,
        kept_out: Booleans,
    ) -> Told:
        """Of the hours [first, stop)."""

    def many(
        self,
        column: BaselineColumn,
        history: HourTable,
        window: str,
        spans: Sequence[tuple[int, int]],
        kept_out: Booleans,
    ) -> list[Told] | None:
        """Of many such windows, all with the same hours kept out; None when they are to be asked one by
        one.
        """


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict on the hours [first, stop)."""

    window: str
    first: int
    stop: int
    told: Told
    incident: int | None = None
    """Which incident of the column and window length it is part of, if it drifted."""


@dataclass(slots=True)
class _Incident:
    number: int
    start: int
    quiet: int = 0
    hours: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Replay:
    """One column; `run` goes on from where it was."""

    column: BaselineColumn
    table: HourTable
    judge: Judge
    windows: Sequence[str]
    kept_out: Booleans = field(init=False)
    """Hours of the table that are no part of the history, shape (H,)."""
    _open: dict[str, _Incident] = field(init=False, default_factory=dict)
    _ahead: dict[tuple[str, int], Told] = field(init=False, default_factory=dict)
    _at_start: Booleans = field(init=False)
    _number: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.kept_out = np.zeros(self.table.hours.size, dtype=np.bool_)

    def run(self, first: int, stop: int) -> list[Outcome]:
        """Judge the hours from *first* to before *stop*, and each day when its last hour is over.

        All windows are asked for at once; those before which an incident has changed the history are asked
        again.
        """
        spans = list(self._spans(first, stop))
        self._at_start = self.kept_out.copy()
        self._ahead = {}
        for window in self.windows:
            own = [(low, high) for name, low, high in spans if name == window]
            answers = self.judge.many(self.column, self.table, window, own, self.kept_out) if own else None
            if answers is not None:
                self._ahead |= {(window, low): told for (low, _), told in zip(own, answers, strict=True)}
        return [self._one(*span) for span in spans]

    def _spans(self, first: int, stop: int) -> Iterator[tuple[str, int, int]]:
        hours = self.table.hours
        for day in range(first // 24, -(-stop // 24)):
            low, high = max(first, day * 24), min(stop, day * 24 + 24)
            begin, end = np.searchsorted(hours, [low, high])
            if "1h" in self.windows:
                yield from (("1h", hour, hour + 1) for hour in hours[begin:end].tolist())
            if "1d" in self.windows and (low, high) == (day * 24, day * 24 + 24) and begin < end:
                yield "1d", low, high

    def _one(self, window: str, first: int, stop: int) -> Outcome:
        hours = self.table.hours
        low, begin, end = np.searchsorted(hours, [stop - HISTORY, first, stop])
        kept_out = self.kept_out[low:end]
        told = self._ahead.get((window, first))
        if told is None or not np.array_equal(kept_out, self._at_start[low:end]):
            part = self.table.part(slice(low, end))
            told = self.judge.one(self.column, part, window, first, stop, kept_out)
        told = self._latched(told, window, first, int(begin), int(end))
        incident = self._open.get(window) if told.state == "drifted" else None
        return Outcome(window, first, stop, told, None if incident is None else incident.number)

    def _latched(self, told: Told, window: str, first: int, begin: int, end: int) -> Told:
        incident = self._open.get(window)
        if incident is not None and first - incident.start >= ADOPTED:
            self.kept_out[np.isin(self.table.hours, incident.hours)] = False
            del self._open[window]
            incident = None
        if told.state == "drifted":
            if incident is None:
                self._number += 1
                incident = self._open[window] = _Incident(self._number, first)
            incident.quiet = 0
            incident.hours += self.table.hours[begin:end].tolist()
            self.kept_out[begin:end] = True
            if first - incident.start >= PAGES:
                return Told("ticket", told.detectors, told.score)
        elif incident is not None and told.state in ("ok", "ticket"):
            incident.quiet += 1
            if incident.quiet >= QUIET[window]:
                del self._open[window]
        return told


def incidents(outcomes: Sequence[Outcome]) -> list[tuple[int, int]]:
    """Spans of hours [first, last stop) of the pages of one column; hours and the day around them are one.

    >>> def at(hour, number):
    ...     return Outcome("1h", hour, hour + 1, Told("drifted"), number)
    >>> incidents([at(5, 1), at(7, 1), at(90, 2)])
    [(5, 8), (90, 91)]
    """
    spans: dict[tuple[str, int | None], tuple[int, int]] = {}
    for one in outcomes:
        if one.told.state == "drifted":
            first, stop = spans.get((one.window, one.incident), (one.first, one.stop))
            spans[one.window, one.incident] = (min(first, one.first), max(stop, one.stop))
    return merged(list(spans.values()))


def merged(spans: Sequence[tuple[int, int]], apart: int = 1) -> list[tuple[int, int]]:
    """Spans that overlap, or lie no more than *apart* hours from each other, as one."""
    found: list[tuple[int, int]] = []
    for first, stop in sorted(spans):
        if found and first <= found[-1][1] + apart:
            found[-1] = (found[-1][0], max(found[-1][1], stop))
        else:
            found.append((first, stop))
    return found


def pages(of_columns: Mapping[str, Sequence[Outcome]]) -> int:
    """Pages of a stream: incidents over several columns count once."""
    return len(merged([span for outcomes in of_columns.values() for span in incidents(outcomes)]))
