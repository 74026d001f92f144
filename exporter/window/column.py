"""ColumnWindows: one column through time: totals, five-minute slots, hours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from exporter.profile import Layout, Pending, Sketches, Tally
from exporter.rows import Values
from exporter.sketch import Counts, Distinct, Frequent, Moments, Quantiles
from exporter.window.ring import TallyRing
from exporter.window.slots import SketchSlots

SLOT_SECONDS: Final = 300
HOUR_SECONDS: Final = 3600
#: 26 hours: a day of 25 hours, when summer time ends, must still be whole an hour after its end.
SLOTS: Final = 26 * 12
#: Eight days: the day that has just ended is judged against the seven before it.
HOURS: Final = 8 * 24


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
    """False when some of the window's slots are no longer held, so that the tally lacks them."""

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
    """

    __slots__ = ("_hours", "_late", "_pending", "_pending_slot", "_sketches", "_slots", "_total", "layout")

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._total = layout.tally()
        self._slots = TallyRing(SLOT_SECONDS, SLOTS, layout.size, layout.numeric)
        self._hours = TallyRing(HOUR_SECONDS, HOURS, layout.size, numeric=False)
        self._sketches = SketchSlots(layout.numeric)
        self._pending = Pending(layout.kind)
        self._pending_slot = 0
        self._late = 0

    def add(self, time: float, values: Values) -> None:
        """Adds the entries of *values*, all seen at *time*. Never raises on content."""
        slot = int(time // SLOT_SECONDS)
        if slot != self._pending_slot:
            self._settle()
            self._pending_slot = slot
        if not self._pending.offer(values):
            self._record(slot, values)
        elif self._pending.enough:
            self._settle()

    def _settle(self) -> None:
        if self._pending:
            self._record(self._pending_slot, self._pending.take())

    def _record(self, slot: int, values: Values) -> None:
        tally, batch = self.layout.read(values)
        self._total.merge(tally)
        if not self._slots.add(slot, tally):
            self._late += len(values)
        self._hours.add(slot // (HOUR_SECONDS // SLOT_SECONDS), tally)
        self._sketches.add(slot, batch)

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
        """Hourly tallies of eight days, without moments. A view: read it, and let go."""
        self._settle()
        return self._hours

    @property
    def nbytes(self) -> int:
        """Memory held now, about."""
        return self._slots.nbytes + self._hours.nbytes + self._sketches.nbytes + 8 * len(self._pending)

    def window(self, now: float, seconds: int = HOUR_SECONDS) -> WindowState:
        """The slots that began after now - seconds, up to the one of *now*: 55 to 60 minutes of an hour.

        The reader's clock is believed: slots that begin more than one slot after *now* are forgotten. Raises
        ValueError unless *seconds* is a multiple of 300.
        """
        self._settle()
        current = int(now // SLOT_SECONDS)
        self._slots.forget_after(current + 1)
        self._hours.forget_after(int(now // HOUR_SECONDS) + 1)
        self._sketches.forget_after(current + 1)
        end = (current + 1) * SLOT_SECONDS
        return self._state(end - seconds, end, remember=True)

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
        return WindowState(start, end, tally, sketches, self._slots.complete(start, end))

    def series(self, start: float, end: float) -> Counts:
        """Bin counts of each slot of [start, end): int64, shape (slots, K), zeros where nothing was seen."""
        self._settle()
        return self._slots.series(start, end)
