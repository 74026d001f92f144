"""Incident: a column that has drifted, from its onset until it has been quiet for a while.

* Its windows page (``drifted``) for a day from the first; later ones are tickets: a page that nobody ended
  in a day is work for the day, and a lasting real change does not ring for a week.
* Its hours are no part of the history that later windows are compared with, for seven days: then they are
  what is normal, and the incident is over.
* It ends when every window length that had fired has been quiet long enough. What is abnormal within half a
  day after that is the same incident come back; after half a day in between it pages anew.
* What comes at the same hour day by day, by the same name (a new nightly job), pages twice; from the third
  day of seven on it is a ticket (`Habit`).

One fault shows in many columns, in hours and in days: that is one incident, with one name (`Incidents`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np

from exporter.hourly import Integers
from exporter.monitor.pictures import picture
from exporter.profile import Sketches, Tally
from exporter.rows import Role
from exporter.schema import Kind
from exporter.sketch import Bins
from exporter.verdict.naming import Named
from exporter.verdict.picture import Picture
from exporter.window import Calendar, WindowState

Flags: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"

QUIET_WINDOWS: Final = {"1h": 3, "1d": 1}
"""How many windows that are not abnormal, with enough rows, end an incident. A fault that is found in four
hours of five (kilometres for miles on 60 flights an hour: 79 %) is then one incident and not several."""

PAGING_SECONDS: Final = 86_400.0
"""An incident pages that long; then it is a ticket."""

ADOPTED_SECONDS: Final = 7 * 86_400.0
"""And then it is what is normal."""

NEAR_SECONDS: Final = 3_600.0
"""Windows of two columns that lie no further apart are of one incident."""

APART_SECONDS: Final = 43_200.0
"""Half a day without an abnormal window parts two faults."""

HABIT_DAYS: Final = 2
"""Earlier days of the last seven with a fault at the same hour, from which on it pages no more."""

HABIT_HOURS: Final = 8
"""Abnormal hours of such a day, at most: faults that fill days are told apart by other means."""

_GROWN: Final = 1.25
"""A name is looked for again when there are so many times the rows that it was found by: it takes 10 ms."""

_SPANS: Final = 16
"""Spans of hours that stay out of the history, of one column."""


class SeenState(msgspec.Struct, array_like=True, frozen=True):
    """A `Seen` in a checkpoint."""

    counts: bytes
    sketches: bytes


class Seen:
    """All that was seen of a column in the abnormal windows of one length.

    The longer it lasts the more rows tell what has happened: an hour of 60 rows knows a factor of 1.61 to
    within a tenth, a day to within a hundredth.
    """

    __slots__ = ("_sketches", "_tally")

    def __init__(self) -> None:
        self._tally: Tally | None = None
        self._sketches: Sketches | None = None

    def add(self, state: WindowState) -> None:
        """Add another abnormal window."""
        if self._tally is None:
            self._tally = state.tally.copy()
        else:
            self._tally.merge(state.tally)
        if state.sketches is None:
            return
        if self._sketches is None:
            self._sketches = Sketches(state.sketches.quantiles is not None)
        self._sketches.merge(state.sketches)

    def picture(self, kind: Kind, bins: Bins) -> Picture | None:
        """What it looked like; None when nothing was added."""
        return None if self._tally is None else picture(kind, bins, self._tally, self._sketches)

    def state(self) -> SeenState:
        """For a checkpoint: the counts and the sketches; moments begin anew."""
        counts = b"" if self._tally is None else self._tally.counts.astype("<i8").tobytes()
        return SeenState(counts, b"" if self._sketches is None else self._sketches.to_bytes())

    @classmethod
    def restored(cls, state: SeenState) -> Seen:
        """What `state` told of. Raises ValueError for damage."""
        seen = cls()
        if state.sketches:
            seen._sketches = Sketches.from_bytes(state.sketches)
        if state.counts:
            counts = np.frombuffer(state.counts, "<i8")
            numeric = seen._sketches is not None and seen._sketches.quantiles is not None
            seen._tally = Tally(counts.size - Tally(0, False).counts.size, numeric)
            seen._tally.counts += counts
        return seen


class IncidentState(msgspec.Struct, array_like=True, frozen=True):
    """An `Incident` in a checkpoint."""

    id: str
    start: float
    onset: float
    end: float
    quiet: dict[str, int]
    seen: dict[str, SeenState]


class Incident:
    """One column's part in an incident."""

    __slots__ = ("_named", "_named_rows", "_quiet", "_seen", "end", "id", "onset", "start")

    def __init__(self, id: str, start: float, onset: float) -> None:
        self.id = id
        """The same for all columns of the incident."""
        self.start = start
        """Of its first abnormal window, or the first after half a day without one, Unix seconds."""
        self.onset = onset
        """Estimated, Unix seconds."""
        self.end = start
        """Of its last abnormal window."""
        self._quiet: dict[str, int] = {}
        self._seen: dict[str, Seen] = {}
        self._named: Named | None = None
        self._named_rows = 0

    def add(self, window: str, start: float, end: float, state: WindowState) -> None:
        """Another abnormal window [start, end)."""
        if start - self.end >= APART_SECONDS:
            self.start = start
        self._quiet[window] = 0
        self._seen.setdefault(window, Seen()).add(state)
        self.end = max(self.end, end)

    def pages(self, start: float) -> bool:
        """Whether a window that begins at *start* still pages."""
        return start - self.start < PAGING_SECONDS

    def adopted(self, start: float) -> bool:
        """Whether by a window that begins at *start* it has become what is normal."""
        return start - self.start >= ADOPTED_SECONDS

    def fired(self, window: str) -> bool:
        """Whether a window of that length was abnormal."""
        return window in self._quiet

    def calm(self, window: str) -> None:
        """Another window with enough rows that is not abnormal."""
        if window in self._quiet:
            self._quiet[window] += 1

    @property
    def over(self) -> bool:
        """Whether every window length that fired has been quiet long enough."""
        return all(quiet >= QUIET_WINDOWS[window] for window, quiet in self._quiet.items())

    def near(self, start: float) -> bool:
        """Whether an abnormal window that begins at *start* is the same incident, though it had ended."""
        return start - self.end < APART_SECONDS

    def picture(self, window: str, kind: Kind, bins: Bins) -> Picture | None:
        """What was seen in its abnormal windows of that length: of the hours, where they fired."""
        seen = self._seen.get("1h") or self._seen.get(window)
        return None if seen is None else seen.picture(kind, bins)

    def named(self, seen: Picture | None, find: Callable[[Picture], Named]) -> Named | None:
        """What happened by all rows so far, *seen*; *find* is asked when they have become many more."""
        if seen is not None and (self._named is None or seen.rows >= _GROWN * self._named_rows):
            self._named, self._named_rows = find(seen), seen.rows
        return self._named

    def state(self) -> IncidentState:
        """Everything but the name, for a checkpoint."""
        seen = {window: one.state() for window, one in self._seen.items()}
        return IncidentState(self.id, self.start, self.onset, self.end, dict(self._quiet), seen)

    @classmethod
    def restored(cls, state: IncidentState) -> Incident:
        """What `state` told of. Raises ValueError for damage."""
        incident = cls(state.id, state.start, state.onset)
        incident.end = state.end
        incident._quiet = {window: quiet for window, quiet in state.quiet.items() if window in QUIET_WINDOWS}
        incident._seen = {window: Seen.restored(one) for window, one in state.seen.items()}
        return incident


class KeptOut:
    """The hours of a column that are no part of its history."""

    __slots__ = ("_spans",)

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []

    def add(self, first: int, stop: int) -> None:
        """Keep the hours [*first*, *stop*) out for as long as they are held."""
        self._spans = [*self._spans, (first, stop)][-_SPANS:]

    def mask(self, hours: Integers, incident: Incident | None, calendar: Calendar) -> Flags | None:
        """Which of *hours* are kept out, shape (H,), those of an open *incident* too; None when none is."""
        spans = list(self._spans)
        if incident is not None:
            spans.append((calendar.hour(incident.onset), 1 << 62))
        if not spans:
            return None
        mask = np.zeros(hours.shape, np.bool_)
        for first, stop in spans:
            mask |= (hours >= first) & (hours < stop)
        return mask

    @property
    def spans(self) -> list[tuple[int, int]]:
        """For a checkpoint."""
        return list(self._spans)


class Habit:
    """The hours in which a column was abnormal in the last week, and by what: what comes every night is one.

    >>> habit = Habit()
    >>> [habit.add(24 * day + 3, "shift") for day in range(4)]
    [False, False, True, True]
    >>> habit.add(24 * 4 + 3, "stuck"), habit.known(24 * 3, 24 * 4), habit.known(24 * 4, 24 * 5)
    (False, True, False)
    """

    __slots__ = ("_hours",)

    def __init__(self) -> None:
        self._hours: list[tuple[int, bool, str]] = []

    def add(self, hour: int, fault: str) -> bool:
        """The *hour* (number) was abnormal, by that *fault*; returns whether it was so on days before."""
        self._hours = [one for one in self._hours if hour - one[0] <= 8 * 24]
        days: dict[int, list[tuple[int, str]]] = {}
        for past, _, name in self._hours:
            # A clock that changed in between makes it an hour more or less.
            days.setdefault(round((hour - past) / 24), []).append((past, name))
        alike = [
            day
            for day, hours in days.items()
            if 1 <= day <= 7
            and len(hours) <= HABIT_HOURS
            and any(abs(hour - 24 * day - past) <= 1 and name == fault for past, name in hours)
        ]
        known = len(alike) >= HABIT_DAYS
        self._hours.append((hour, known, fault))
        return known

    def known(self, first: int, stop: int) -> bool:
        """Whether there are abnormal hours in [*first*, *stop*), and all were so on days before."""
        inside = [known for hour, known, _ in self._hours if first <= hour < stop]
        return bool(inside) and all(inside)

    def state(self) -> list[tuple[int, bool, str]]:
        """For a checkpoint."""
        return list(self._hours)

    @classmethod
    def restored(cls, state: list[tuple[int, bool, str]]) -> Habit:
        """What `state` told of."""
        habit = cls()
        habit._hours = list(state)
        return habit


@dataclass(slots=True)
class _Open:
    """One incident of many columns."""

    start: float
    end: float
    members: set[tuple[Role, str]]


class Incidents:
    """The incidents of one model version: which columns' ones are one.

    A column joins the newest incident that began less than a day before and is open, or has just ended: what
    breaks two days later is another fault, though the first one lasts.

    >>> incidents = Incidents()
    >>> first = incidents.join(("feature", "distance"), 3600.0, 7200.0)
    >>> incidents.join(("feature", "air_time"), 7200.0, 10800.0) == first, first
    (True, '1970-01-01T01:00:00Z')
    >>> incidents.join(("feature", "carrier"), 172800.0, 176400.0) == first
    False
    >>> for column in "distance", "air_time", "carrier":
    ...     incidents.leave(("feature", column))
    >>> incidents.join(("feature", "air_time"), 864000.0, 867600.0) == first
    False
    """

    __slots__ = ("_incidents",)

    def __init__(self) -> None:
        self._incidents: dict[str, _Open] = {}

    def join(self, column: tuple[Role, str], start: float, end: float, id: str = "") -> str:
        """A window [start, end) of *column* is abnormal; returns the incident's name.

        It is the one called *id*, the column's own, if it has one; else the newest that is near; else a new
        one, called by its start.
        """
        id = id or self._near(start) or datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        incident = self._incidents.setdefault(id, _Open(start, end, set()))
        incident.members.add(column)
        incident.end = max(incident.end, end)
        self._incidents = {
            id: one
            for id, one in self._incidents.items()
            if one.members or one.end > end - 2 * PAGING_SECONDS
        }
        return id

    def _near(self, start: float) -> str:
        near = [
            (one.start, id)
            for id, one in self._incidents.items()
            if start - one.start < PAGING_SECONDS and (one.members or start <= one.end + NEAR_SECONDS)
        ]
        return max(near)[1] if near else ""

    def leave(self, column: tuple[Role, str]) -> None:
        """The incident is over for *column*."""
        for incident in self._incidents.values():
            incident.members.discard(column)
