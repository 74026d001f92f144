"""A slice without a baseline of its own is judged by its last seven days: a ticket, never a page."""

from __future__ import annotations

import numpy as np
import pytest

from exporter.profile import Layout
from exporter.sketch import NumericBins
from exporter.slices import Series
from exporter.verdict import Judgement
from exporter.window import Calendar

HOUR = 3600.0
DAY = 24 * HOUR
START = 1_700_006_400.0  # midnight in UTC
LAYOUT = Layout("numeric", NumericBins(np.linspace(-2, 2, 9)))


class Watched:
    """A series whose hours are drawn, around a mean that follows the time of day."""

    def __init__(self, rows: int = 120, wander: float = 0.0) -> None:
        self.series = Series(LAYOUT, Calendar(), None, None, START)
        self._rng = np.random.default_rng(0)
        self._rows = rows
        self._wander = wander

    def day(self, number: int, shift: float = 0.0) -> Judgement:
        off = shift + self._wander * self._rng.normal()
        for hour in range(24):
            mean = off + np.sin(hour / 24 * 2 * np.pi)
            values = self._rng.normal(mean, 1, self._rows)
            self.series.add(START + number * DAY + hour * HOUR, values)
        return self.series.judge("1d", START + number * DAY, START + (number + 1) * DAY, 1e-4)


def test_a_strong_daily_cycle_is_silent_and_a_shift_is_a_ticket() -> None:
    watched = Watched()
    states = [watched.day(number).state for number in range(14)]
    assert (set(states[:4]), set(states[4:])) == ({"learning"}, {"ok"})
    found = watched.day(14, shift=0.5)
    assert (found.state, found.detectors, found.compared_with) == ("ticket", ("shape",), "last 7 days")
    assert {label for label, _, _ in found.moved} <= set(LAYOUT.bins.labels)


def test_days_that_differ_by_themselves_are_no_drift() -> None:
    watched = Watched(wander=0.3)
    states = [watched.day(number).state for number in range(21)]
    assert states.count("ticket") <= 1


def test_what_drifted_is_no_reference_for_a_week() -> None:
    watched = Watched()
    for number in range(8):
        watched.day(number)
    assert [watched.day(number, shift=0.5).state for number in range(8, 14)] == ["ticket"] * 6


def test_an_hour_is_compared_with_the_same_hours() -> None:
    watched = Watched()
    for number in range(7):
        watched.day(number)
    noon = START + 7 * DAY + 6 * HOUR
    rng = np.random.default_rng(1)
    watched.series.add(noon, rng.normal(1, 1, 300))  # as usual at six, unusual at midnight
    assert watched.series.judge("1h", noon, noon + HOUR, 1e-4).state == "ok"
    watched.series.add(noon + 12 * HOUR, rng.normal(1, 1, 300))
    found = watched.series.judge("1h", noon + 12 * HOUR, noon + 13 * HOUR, 1e-4)
    assert found.state == "ticket"


@pytest.mark.parametrize("rows", [0, 40])
def test_few_rows_are_insufficient(rows: int) -> None:
    watched = Watched()
    for number in range(7):
        watched.day(number)
    watched.series.add(START + 7 * DAY, np.zeros(rows))
    found = watched.series.judge("1h", START + 7 * DAY, START + 7 * DAY + HOUR, 1e-4)
    assert (found.state, found.rows) == ("insufficient", rows)


def test_an_hour_that_was_not_recorded_whole_is_not_judged() -> None:
    watched = Watched()
    for number in range(7):
        watched.day(number)
    calendar = Calendar()
    calendar.note_outage(START, START + 600)
    series = Series(LAYOUT, calendar, None, None, START)
    series.add(START, np.zeros(500))
    assert series.judge("1h", START, START + HOUR, 1e-4).state == "insufficient"
