"""ColumnWindows: one column through time: totals, five-minute slots, hours, sketches of days."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from exporter.hourly import HourTable
from exporter.profile import Batch, Few, Layout, PartReader, Parts, Pending, Sketches, Tally
from exporter.rows import Values
from exporter.sketch import Counts, Distinct, Frequent, Moments, Quantiles
from exporter.window.calendar import Calendar
from exporter.window.days import DaySketches
from exporter.window.hours import HISTORY, HOUR_SECONDS, HourRing
from exporter.window.ring import TallyRing
from exporter.window.slots import SketchSlots
from exporter.window.state import WindowsState, restore_tally, tally_state

SLOT_SECONDS: Final = 300
#: 26 hours: a day of 25 hours, when summer time ends, must still be whole an hour after its end.
SLOTS: Final = 26 * 12

_NEVER: Final = -(1 << 62)

Listener: TypeAlias = Callable[[float, Tally, Batch], None]
"""Hears of each reading: Unix seconds at which its slot begins, what was counted, and the batch."""


@dataclass(frozen=True, slots=True)
class WindowState:
    """What was seen of a column in [start, end), merged; of the reader's own, it changes no more."""

    start: float
    end: float
    """Unix seconds."""
    tally: Tally
    sketches: Sketches | None
    """None when the window reaches further back than sketches are held."""
    complete: bool
    """False when some of the window's slots are no longer held, or more than 5 % of its time went unrecorded,
    so that the tally lacks them: not to be judged."""

    @property
    def rows(self) -> int:
        """Entries, missing and mismatched ones included."""
        return self.tally.rows

    @property
    def missing(self) -> int:
        """None and NaN."""
        return self.tally.missing

    @property
    def bin_counts(self) -> Counts | None:
        """int64, shape (K,); None without bins."""
        return self.tally.bin_counts

    @property
    def moments(self) -> Moments | None:
        """Of finite numbers; None for kinds without numbers."""
        return self.tally.moments

    @property
    def mean(self) -> float | None:
        """Of finite numbers; None when there were none."""
        moments = self.tally.moments
        return moments.mean if moments is not None and moments.count else None

    @property
    def quantiles(self) -> Quantiles | None:
        """Of finite numbers; None for kinds without numbers and without sketches."""
        return self.sketches.quantiles if self.sketches is not None else None

    @property
    def distinct(self) -> Distinct | None:
        """Different values; None without sketches."""
        return self.sketches.distinct if self.sketches is not None else None

    @property
    def frequent(self) -> Frequent | None:
        """Most frequent values; None without sketches."""
        return self.sketches.frequent if self.sketches is not None else None


class ColumnWindows:
    """The values of one column by the time they were seen.

    >>> windows = ColumnWindows(Layout("numeric"))
    >>> windows.add(3590.0, [1.0, 2.0])
    >>> windows.add(7210.0, [6.0])
    >>> windows.window(7210.0).mean, windows.tumbling(0, 3600).mean, windows.total.rows
    (6.0, 1.5, 3)
    >>> windows.history().hours.tolist(), windows.history().moments[:, 0].tolist()
    ([0, 2], [1.5, 6.0])
    """

    __slots__ = (
        "_closed",
        "_days",
        "_dirty",
        "_heard",
        "_hours",
        "_late",
        "_reader",
        "_sketches",
        "_slots",
        "_total",
        "_waiting",
        "_waiting_slots",
        "_waiting_starts",
        "_waiting_until",
        "calendar",
        "layout",
    )

    def __init__(
        self, layout: Layout, calendar: Calendar | None = None, heard: Listener | None = None
    ) -> None:
        """*calendar* is shared by all columns; UTC when left out. *heard* hears of each reading."""
        self.layout = layout
        self.calendar = calendar if calendar is not None else Calendar()
        self._total = layout.tally()
        self._slots = TallyRing(SLOT_SECONDS, SLOTS, layout.size, layout.numeric)
        self._hours = HourRing(layout.size, layout.numeric, layout.numeric, self.calendar)
        self._sketches = SketchSlots(layout.numeric)
        self._days = DaySketches(layout.numeric)
        self._closed = _NEVER
        """The last hour whose sketches are in its day's; rows that come later are added there themselves."""
        self._dirty: set[int] = set()
        """Hours that have got rows since their most frequent numbers were noted."""
        # Values that wait to be read together are of ascending slots of one hour.
        self._waiting = Pending(layout.kind)
        self._waiting_slots: list[int] = []
        self._waiting_starts: list[int] = []
        """Where each slot's values begin."""
        self._waiting_until = 0
        """The slot that begins the next hour."""
        self._reader = PartReader(layout)
        self._late = 0
        self._heard = heard

    def add(self, time: float, values: Values) -> None:
        """Adds the entries of *values*, all seen at *time*. Never raises on content."""
        if not len(values):
            return
        slot = int(time // SLOT_SECONDS)
        slots = self._waiting_slots
        if slots and slot != slots[-1] and not self._may_wait_too(slot):
            self._settle()
            slots = self._waiting_slots
        start = len(self._waiting)
        if not self._waiting.offer(values):
            if slots and slots[0] != slot:
                self._settle()
            self._record(slot, values)
            return
        if not slots:
            self._waiting_until = self._slots_of(self._hour_of(slot))[1]
        if not slots or slot != slots[-1]:
            slots.append(slot)
            self._waiting_starts.append(start)
        if self._waiting.enough:
            self._settle()

    def _may_wait_too(self, slot: int) -> bool:
        """Whether values of *slot* may be read together with those that wait, which are of other slots."""
        return self._waiting_slots[-1] < slot < self._waiting_until and self._heard is None

    def _settle(self) -> None:
        slots, starts = self._waiting_slots, self._waiting_starts
        if not slots:
            return
        values = self._waiting.take()
        self._waiting_slots, self._waiting_starts = [], []
        if len(slots) == 1:
            self._record(slots[0], values)
            return
        parts = None
        if slots[0] >= self._sketches.newest and self._hour_of(slots[0]) > self._closed:
            parts = self._reader.read(values, starts)
        if parts is None or not self._record_parts(np.array(slots), parts):
            for slot, start, stop in zip(slots, starts, [*starts[1:], len(values)], strict=True):
                self._record(slot, values[start:stop])

    def _record_parts(self, slots: Counts, parts: Parts) -> bool:
        """As `_record` for several slots of one hour, none older than what is held; False when one is."""
        if not self._slots.add_all(slots, parts.counts, parts.moments):
            return False
        self._total.merge(parts.tally)
        hour, newest = self._hour_of(int(slots[0])), int(slots[-1])
        if self._hours.add(hour, parts.tally):
            self._dirty.add(hour)
        self._close_before(self._hour_of(newest - 1))
        for slot, few in zip(slots.tolist(), parts.few, strict=True):
            self._sketches.add(slot, few)
        return True

    def _record(self, slot: int, values: Values) -> None:
        tally, batch = self.layout.read(values)
        self._total.merge(tally)
        if not self._slots.add(slot, tally):
            self._late += len(values)
        hour = self._hour_of(slot)
        if self._hours.add(hour, tally):
            self._dirty.add(hour)
        # An hour is closed when the second slot after it begins: five minutes for late rows, and just before
        # its first slot makes room.
        self._close_before(self._hour_of(slot - 1))
        if hour <= self._closed:
            self._days.add(self.calendar.day(hour), batch)
        self._sketches.add(slot, batch)
        if self._heard is not None:
            self._heard(float(slot * SLOT_SECONDS), tally, batch)

    def settle(self) -> None:
        """Read what waits, so that whoever hears of readings has heard of every row."""
        self._settle()

    def _hour_of(self, slot: int) -> int:
        return (slot * SLOT_SECONDS - self.calendar.phase) // HOUR_SECONDS

    def _slots_of(self, hour: int) -> tuple[int, int]:
        first = (hour * HOUR_SECONDS + self.calendar.phase) // SLOT_SECONDS
        return first, first + HOUR_SECONDS // SLOT_SECONDS

    def _close_before(self, hour: int) -> None:
        """Put what every hour before *hour* held into its day: 30 µs an hour of few values, 300 of many."""
        if hour - 1 <= self._closed:
            return
        held = {self._hour_of(slot) for slot in self._sketches.held}
        for ended in sorted(number for number in held if self._closed < number < hour):
            seen = self._sketches.gathered(*self._slots_of(ended))
            self._days.add(self.calendar.day(ended), seen)
            if ended in self._dirty:
                self._dirty.discard(ended)
                self._set_tops(ended, seen)
        self._closed = hour - 1

    def _note_tops(self, stop: int) -> None:
        """Note the most frequent numbers of hours before *stop* that have changed since, if still held."""
        for hour in [number for number in self._dirty if number < stop]:
            self._dirty.discard(hour)
            first, end = self._slots_of(hour)
            if self._sketches.whole(first):
                self._set_tops(hour, self._sketches.gathered(first, end))

    def _set_tops(self, hour: int, seen: Few | Sketches) -> None:
        if self.layout.numeric:
            self._hours.set_tops(hour, seen.frequent() if isinstance(seen, Few) else seen.frequent)

    @property
    def total(self) -> Tally:
        """Everything since this object was made, late rows included. A view: it goes on counting."""
        self._settle()
        return self._total

    @property
    def late(self) -> int:
        """Rows that came when their slot had already made room for a later one; they are in `total` alone."""
        self._settle()
        return self._late

    @property
    def hours(self) -> TallyRing:
        """Hourly tallies of eight days. A view: read it, and let go."""
        self._settle()
        return self._hours.ring

    @property
    def nbytes(self) -> int:
        """Memory held now, about."""
        rings = self._slots.nbytes + self._hours.nbytes
        return rings + self._sketches.nbytes + self._days.nbytes + 8 * len(self._waiting)

    def window(self, now: float, seconds: int = HOUR_SECONDS) -> WindowState:
        """The slots that began after now - seconds, up to the one of *now*: 55 to 60 minutes of an hour.

        The reader's clock is believed: slots that begin more than one slot after *now* are forgotten. Raises
        ValueError unless *seconds* is a multiple of 300.
        """
        self._settle()
        self._forget_after(now)
        end = (int(now // SLOT_SECONDS) + 1) * SLOT_SECONDS
        return self._state(end - seconds, end, remember=True)

    def _forget_after(self, now: float) -> None:
        latest = int(now // SLOT_SECONDS) + 1  # clocks are trimmed by moments
        hour = self._hour_of(latest)
        self._slots.forget_after(latest)
        self._hours.forget_after(hour)
        self._sketches.forget_after(latest)
        if self._closed > hour:
            # What its days hold of the hours that the clock took back stays; of later days nothing does.
            self._closed = hour
            self._days.forget_after(self.calendar.day(hour))
            self._dirty = {number for number in self._dirty if number <= hour}

    def last_rows(self, now: float, count: int) -> WindowState:
        """The slots up to the one of *now* that hold the last *count* rows or a few more, within 26 hours.

        For columns of which an hour has too few to say anything.
        """
        self._settle()
        current = int(now // SLOT_SECONDS)
        first = self._slots.rows_back(current, count)
        return self._state(first * SLOT_SECONDS, (current + 1) * SLOT_SECONDS, remember=False)

    def earlier(self, now: float, days: int) -> WindowState:
        """What was seen *days* local days before *now*, at the same time by the clock on the wall.

        Yesterday it is the sliding hour of then, while its slots are held; earlier, up to seven days, it is
        the hour of the clock that the sliding hour had the most of.
        """
        self._settle()
        then = self.calendar.days_before(now, days)
        end = (int(then // SLOT_SECONDS) + 1) * SLOT_SECONDS
        if days == 1 and self._slots.complete(end - HOUR_SECONDS, end):
            return self._state(end - HOUR_SECONDS, end, remember=False)
        start = self.calendar.hour_start(self.calendar.hour(then - HOUR_SECONDS / 2))
        return self._hour_state(start, start + HOUR_SECONDS, None)

    def picture(self, start: float, end: float) -> WindowState:
        """The hours of [start, end), which is over and in the last eight days, with sketches if any are held.

        Those of an hour that has just ended are the hour's; of longer windows, those of each local day that
        lies in it whole (a name for a fault needs to know what a day was like, not where it ended). Raises
        ValueError unless both are hours of the calendar.
        """
        self._settle()
        slots = int(start // SLOT_SECONDS), int(end // SLOT_SECONDS)
        if end - start <= HOUR_SECONDS:
            return self._hour_state(start, end, self._sketches.merged(*slots))
        return self._hour_state(start, end, self.day_sketches(start, end))

    def day_sketches(self, start: float, end: float) -> Sketches | None:
        """Sketches of every local day that lies in [start, end) whole; None when no such day is held.

        [start, end) is over: the hours before *end* are put into their days. Of the caller's own.
        """
        self._settle()
        self._close_before(self.calendar.hour(end))
        bounds = {day: self.calendar.day_bounds(day) for day in self._days.held}
        return self._days.merged(
            day for day, (first, last) in bounds.items() if start <= first and last <= end
        )

    def _hour_state(self, start: float, end: float, sketches: Sketches | None) -> WindowState:
        ring = self._hours.ring
        complete = ring.complete(start, end) and self.calendar.whole(start, end)
        return WindowState(start, end, ring.sum(start, end), sketches, complete)

    def history(self, last_hours: int = HISTORY, *, before: float | None = None) -> HourTable:
        """The last hours, one row each: those seen here, and before them those of a baseline (`seed`).

        They end with the newest hour that has rows, which may still be filling, or, when *before* is given
        (Unix seconds), with the last hour that began before *before*'s own: the end of a window leaves out
        everything after it. Of an hour that is not over its most frequent numbers take 0.7 ms to find.
        """
        self._settle()
        stop = self.calendar.hour(before) if before is not None else 1 << 62
        self._note_tops(stop)
        return self._hours.history(last_hours, before)

    def seed(self, table: HourTable, now: float) -> None:
        """Let `history` begin with *table*, a baseline's last days, where they are of the eight before *now*.

        Its hours are numbered by the calendar (`Calendar.from_wall`). They are in no total, no window and no
        checkpoint. Raises ValueError when it has other bins.
        """
        self._hours.seed(table, now)

    def tumbling(self, start: float, end: float) -> WindowState:
        """The slots of [start, end). Raises ValueError unless both are multiples of 300.

        The hour just ended has sketches as long as the clock is less than five minutes past its end; the day
        just ended is complete for an hour, whatever the time zone's clock did meanwhile.
        """
        self._settle()
        return self._state(start, end, remember=False)

    def _state(self, start: float, end: float, remember: bool) -> WindowState:
        tally = self._slots.sum(start, end)
        sketches = self._sketches.merged(int(start // SLOT_SECONDS), int(end // SLOT_SECONDS), remember)
        complete = self._slots.complete(start, end) and self.calendar.whole(start, end)
        return WindowState(start, end, tally, sketches, complete)

    def series(self, start: float, end: float) -> Counts:
        """Bin counts of each slot of [start, end): int64, shape (slots, K), zeros where nothing was seen."""
        self._settle()
        return self._slots.series(start, end)

    def not_below(self, counts: Counts, scaled_sum: float, scaled_square: float) -> None:
        """Raise the totals to what had been shown of them, *counts* as in `Tally`, where it is more."""
        total = self.total
        if counts.shape != total.counts.shape:
            raise ValueError(f"totals: expected shape {total.counts.shape}, found {counts.shape}")
        np.maximum(total.counts, counts, out=total.counts)
        total.scaled_sum = max(total.scaled_sum, scaled_sum)
        total.scaled_square = max(total.scaled_square, scaled_square)

    def state(self) -> WindowsState:
        """Everything but seeded hours, for a checkpoint: 0.2 ms, most of it for the sketches of this slot."""
        self._settle()
        return WindowsState(
            layout=self.layout.id,
            phase=self.calendar.phase,
            total=tally_state(self._total),
            slots=self._slots.state(),
            hours=self._hours.state(),
            sketches=self._sketches.state(),
            days=self._days.state(),
            closed=self._closed,
            dirty=sorted(self._dirty),
            late=self._late,
        )

    def restore(self, state: WindowsState) -> None:
        """Become what another one was; this one has seen nothing yet.

        Raises ValueError when that was of another layout, its hours began at another minute, or it is
        damaged; this one is then not to be used.
        """
        if (state.layout, state.phase) != (self.layout.id, self.calendar.phase):
            raise ValueError(
                f"windows: expected layout {self.layout.id} and phase {self.calendar.phase}, "
                f"found {state.layout} and {state.phase}"
            )
        restore_tally(self._total, state.total)
        self._slots.restore(state.slots)
        self._hours.restore(state.hours)
        self._sketches.restore(state.sketches)
        self._days.restore(state.days)
        self._closed, self._dirty, self._late = state.closed, set(state.dirty), state.late
