"""DaySketches: what eight local days held, as far as quantiles, distinct and frequent values tell.

Verdicts on days need a name for what happened, and names need sketches of before and now, which slots hold
for an hour only. So when an hour ends, what it held goes into its day: values as they are while the day has
few, else sketches of k = 128. Of a day with sketches the next few values are collected first, and sketched
together; of past days they are not kept apart for longer than until another day gets rows.

A day's sketch is of 24 merges, and stays within the bound of one: a rank within 2.1 % at 99 % confidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from exporter.profile import Batch, Few, Sketches
from exporter.window.frozen import freeze, thaw
from exporter.window.slots import SLOT_K, WINDOW_K, fitting
from exporter.window.state import DayState, few_state, restore_few

#: The day that runs and the seven before it.
DAYS: Final = 8


class DaySketches:
    """Sketches of one column by day.

    >>> from exporter.profile import Layout
    >>> days = DaySketches(numeric=True)
    >>> for day, value in ((1, 5.0), (2, 6.0), (2, 7.0)):
    ...     days.add(day, Layout("numeric").read([value])[1])
    >>> days.held, days.merged((1, 2)).quantiles.count
    ([1, 2], 3)
    """

    __slots__ = ("_few", "_many", "_numeric")

    def __init__(self, numeric: bool) -> None:
        self._numeric = numeric
        self._few: dict[int, Few] = {}
        self._many: dict[int, bytes] = {}
        """A day is in one of the two, or, as long as no other day gets rows, in both."""

    @property
    def nbytes(self) -> int:
        """Memory held now, about."""
        few = sum(100 + part.nbytes for part in self._few.values())
        return few + sum(100 + 33 + len(data) for data in self._many.values())

    @property
    def held(self) -> list[int]:
        """The days, ascending."""
        return sorted({*self._few, *self._many})

    def add(self, day: int, seen: Batch | Few | Sketches) -> None:
        """Adds what was *seen* of *day*, an hour of it or late rows; of too many days the oldest goes.

        Few values take 3 µs, and now and then 80; more take 60 to 100 µs.
        """
        if not self._make_room(day):
            return
        held = self._few.get(day)
        if isinstance(seen, Batch):
            seen = Few.of(seen) or seen
        if isinstance(seen, Few):
            together = seen if held is None else Few.joined((held, seen))
            if (few := fitting(together)) is not None:
                self._few[day] = few
                return
            seen, held = together.batch(), None
        sketches = self._sketches(day)
        if held is not None:
            sketches.update(held.batch())
        if isinstance(seen, Batch):
            sketches.update(seen)
        else:
            sketches.merge(seen)
        self._few.pop(day, None)
        self._many[day] = freeze(sketches)

    def _make_room(self, day: int) -> bool:
        """Whether *day* is held from now on."""
        if day in self._few or day in self._many:
            return True
        held = self.held
        if len(held) >= DAYS:
            if day < held[0]:
                return False
            self._few.pop(held[0], None)
            self._many.pop(held[0], None)
        for other in [one for one in self._few if one in self._many]:
            self._many[other] = freeze(self._whole(other))
            del self._few[other]
        return True

    def _sketches(self, day: int) -> Sketches:
        data = self._many.get(day)
        return thaw(data) if data is not None else Sketches(self._numeric, SLOT_K)

    def _whole(self, day: int) -> Sketches:
        sketches = self._sketches(day)
        if day in self._few:
            sketches.update(self._few[day].batch())
        return sketches

    def merged(self, days: Iterable[int]) -> Sketches | None:
        """Sketches of those *days* that are held, of the caller's own; None when none is."""
        wanted = [day for day in days if day in self._few or day in self._many]
        if not wanted:
            return None
        result = Sketches(self._numeric, WINDOW_K)
        few = [self._few[day] for day in wanted if day in self._few]
        if few:
            result.update(Few.joined(few).batch())
        for data in (self._many[day] for day in wanted if day in self._many):
            result.merge(thaw(data))
        return result

    def forget_after(self, day: int) -> None:
        """Drops every day later than *day*."""
        self._few = {held: few for held, few in self._few.items() if held <= day}
        self._many = {held: data for held, data in self._many.items() if held <= day}

    def state(self) -> dict[int, DayState]:
        """Every day."""
        return {
            day: DayState(few_state(self._few[day]) if day in self._few else None, self._many.get(day))
            for day in self.held
        }

    def restore(self, state: Mapping[int, DayState]) -> None:
        """Become what another one was. Raises ValueError for damage."""
        if len(state) > DAYS:
            raise ValueError(f"days: expected at most {DAYS}, found {len(state)}")
        for day in state.values():
            if day.many is not None and (thaw(day.many).quantiles is not None) != self._numeric:
                raise ValueError("days: expected quantiles where there are numbers, and nowhere else")
            if day.many is None and day.few is None:
                raise ValueError("days: expected values or sketches, found neither")
        self._few = {
            number: restore_few(day.few, self._numeric)
            for number, day in state.items()
            if day.few is not None
        }
        self._many = {number: day.many for number, day in state.items() if day.many is not None}
