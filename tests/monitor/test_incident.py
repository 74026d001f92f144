"""Incidents: what is one, how long it pages, what it keeps out of the history."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from exporter.configuration import parse
from exporter.hourly import Integers
from exporter.monitor import Monitor, load_baselines
from exporter.monitor.incident import Habit, Incident, Incidents, IncidentState, KeptOut
from exporter.monitor.state import opaque, transparent
from exporter.rows import Role, Rows
from exporter.verdict.naming import Named
from exporter.verdict.picture import Picture
from exporter.views import VerdictView
from exporter.window import Calendar
from tests.monitor.baselines import build_baseline

HOUR = 3600.0
DAY = 24 * HOUR
START = 1_698_537_600.0  # 2023-10-29T00:00Z, where the baseline's four weeks end

Told = dict[tuple[str, str, float], VerdictView]
"""Column, window, hours since `START` → verdict."""


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_baseline(tmp_path_factory.mktemp("baseline"))


class Watched:
    """A monitor fed hour by hour with rows like the baseline's."""

    def __init__(self, baseline: Path) -> None:
        configuration = parse(f"models: [{{name: m, baseline: {baseline.name}}}]", "f")
        self.told: Told = {}
        baselines = load_baselines(configuration, baseline.parent)
        self.monitor = Monitor(configuration, baselines, 60.0, START, on_verdict=self._heard)
        self.hour = 0
        self._generator = np.random.default_rng(0)

    def _heard(self, model: str, version: str, role: Role, column: str, verdict: VerdictView) -> None:
        self.told[column, verdict.window, (verdict.start - START) / HOUR] = verdict

    def feed(self, hours: int, scale: float = 1.0, share: float = 0.5) -> None:
        for _ in range(hours):
            start = START + self.hour * HOUR
            x = self._generator.normal(100, 20, 60) * scale
            shares = [share, 0.8 - share, 0.2] if share <= 0.8 else [share, 0.0, 1 - share]
            carrier = self._generator.choice(["AA", "UA", "DL"], 60, p=shares).tolist()
            for slot in range(12):
                part = slice(slot * 5, slot * 5 + 5)
                values = {"x": x[part], "carrier": carrier[part]}
                self.monitor.record(Rows("m", "1", "feature", start + 300 * slot + 1, 5, values))
            self.hour += 1
            self.monitor.tick(START + self.hour * HOUR + 61)

    def states(self, column: str, window: str) -> list[str]:
        keys = sorted(key[2] for key in self.told if key[:2] == (column, window))
        return [self.told[column, window, key].state for key in keys]


def test_a_fault_pages_for_a_day_and_is_a_ticket_from_then_on(baseline: Path) -> None:
    watched = Watched(baseline)
    watched.feed(12)
    watched.feed(36, scale=1.609)
    assert watched.states("x", "1h") == ["ok"] * 12 + ["drifted"] * 24 + ["ticket"] * 12
    assert watched.states("x", "1d") == ["drifted", "drifted"]  # its first day began before the fault
    assert set(watched.states("carrier", "1h")) == {"ok"}
    ids = {verdict.incident for verdict in watched.told.values() if verdict.state in ("drifted", "ticket")}
    assert ids == {"2023-10-29T12:00:00Z"}
    faults = {verdict.fault for verdict in watched.told.values() if verdict.state in ("drifted", "ticket")}
    assert faults == {"scale"}


def test_after_a_week_what_lasts_is_normal(baseline: Path) -> None:
    watched = Watched(baseline)
    watched.feed(9 * 24, scale=1.3)
    after = [verdict for key, verdict in sorted(watched.told.items()) if key[0] == "x" and key[2] >= 8 * 24]
    assert {verdict.state for verdict in after if verdict.window == "1h"} <= {"ok", "ticket"}
    assert {verdict.incident for verdict in after if verdict.window == "1h"} == {""}
    day = watched.told["x", "1d", 8 * 24.0]
    assert day.state == "ticket"
    assert "unlike the baseline" in day.sentence
    assert (day.detectors, day.compared_with) == (("unlike the baseline",), "baseline")
    assert day.score is not None
    assert day.score > 1


def test_the_history_of_an_incident_is_not_what_later_windows_are_compared_with(baseline: Path) -> None:
    """A second day of the fault is as far from the last clean days as the first one was."""
    watched = Watched(baseline)
    watched.feed(24)
    watched.feed(48, scale=1.2)
    days = [watched.told["x", "1d", 24.0 * day] for day in range(3)]
    assert [day.state for day in days] == ["ok", "drifted", "drifted"]
    assert days[1].score is not None
    assert days[2].score is not None
    assert days[2].score > 0.6 * days[1].score


def test_a_fault_of_two_columns_is_one_incident(baseline: Path) -> None:
    watched = Watched(baseline)
    watched.feed(6)
    watched.feed(6, scale=1.609, share=0.95)
    watched.feed(54)
    watched.feed(3, share=0.95)
    ids = {
        column: sorted({v.incident for key, v in watched.told.items() if key[0] == column and v.incident})
        for column in ("x", "carrier")
    }
    assert ids["x"] == ["2023-10-29T06:00:00Z"]
    assert ids["carrier"] == ["2023-10-29T06:00:00Z", "2023-10-31T18:00:00Z"]


def test_an_incident_ends_when_every_window_that_fired_is_quiet() -> None:
    incident = Incident("i", 0.0, 0.0)
    incident._quiet = {"1h": 0, "1d": 0}
    over = []
    for window in ("1h", "1h", "1h", "1d"):
        incident.calm(window)
        over.append(incident.over)
    assert over == [False, False, False, True]


def test_a_day_that_is_found_after_its_hours_have_ended_is_of_their_incident(baseline: Path) -> None:
    watched = Watched(baseline)
    watched.feed(4)
    watched.feed(10, scale=1.609)
    watched.feed(58)
    assert watched.states("x", "1d") == ["drifted", "ok", "ok"]
    day = watched.told["x", "1d", 0.0]
    assert (day.incident, day.fault) == ("2023-10-29T04:00:00Z", "scale")
    column = next(one for one in watched.monitor.columns() if one.name == "x")
    assert column._incident is None


def test_a_fault_that_comes_back_after_half_a_day_pages_anew(baseline: Path) -> None:
    watched = Watched(baseline)
    watched.feed(4)
    watched.feed(4, scale=1.609)
    watched.feed(34)
    watched.feed(4, scale=1.609)
    assert watched.states("x", "1h")[42:] == ["drifted"] * 4


def test_hours_of_an_incident_stay_out_after_it_ended() -> None:
    kept_out = KeptOut()
    hours: Integers = np.arange(10)
    assert kept_out.mask(hours, None, Calendar()) is None
    kept_out.add(2, 4)
    mask = kept_out.mask(hours, Incident("i", 8 * HOUR, 7.5 * HOUR), Calendar())
    assert mask is not None
    assert hours[mask].tolist() == [2, 3, 7, 8, 9]


def test_an_incident_comes_back_from_a_checkpoint(baseline: Path) -> None:
    watched = Watched(baseline)
    watched.feed(6)
    watched.feed(2, scale=1.609)
    column = next(one for one in watched.monitor.columns() if one.name == "x")
    incident = column._incident
    assert incident is not None
    again = Incident.restored(transparent(opaque(incident.state()), IncidentState))
    assert again.state() == incident.state()
    assert (again.id, again.onset, again.over) == (incident.id, incident.onset, False)


def test_a_column_that_joins_later_has_the_open_incidents_name_and_after_it_a_new_one() -> None:
    incidents = Incidents()
    assert incidents.join(("feature", "a"), 0.0, HOUR) == "1970-01-01T00:00:00Z"
    assert incidents.join(("feature", "b"), 5 * HOUR, 6 * HOUR) == "1970-01-01T00:00:00Z"
    incidents.leave(("feature", "a"))
    incidents.leave(("feature", "b"))
    assert incidents.join(("feature", "b"), 6.5 * HOUR, 7 * HOUR) == "1970-01-01T00:00:00Z"
    incidents.leave(("feature", "b"))
    assert incidents.join(("feature", "b"), 9 * HOUR, 10 * HOUR) == "1970-01-01T09:00:00Z"


def test_what_comes_every_night_pages_twice_and_other_hours_still_page(baseline: Path) -> None:
    """A new nightly job: 17 pages in 25 days were counted before."""
    watched = Watched(baseline)
    for _ in range(4):
        watched.feed(3)
        watched.feed(2, scale=1.609)
        watched.feed(19)
    nights = [watched.states("x", "1h")[24 * night + 3 : 24 * night + 5] for night in range(4)]
    assert nights[0] == ["drifted"] * 2
    assert nights[2:] == [["ticket"] * 2] * 2
    assert "drifted" not in watched.states("x", "1d")[2:]
    assert watched.told["x", "1h", 24 * 3 + 3.0].sentence.startswith("as at these hours of days before: ")
    watched.feed(18)
    watched.feed(2, scale=1.609)
    assert watched.states("x", "1h")[-2:] == ["drifted"] * 2


def test_a_day_none_of_whose_hours_was_abnormal_is_abnormal_from_its_start(baseline: Path) -> None:
    """The slots of such a day do not tell: of 274 on real flights the median onset was 22 hours late."""
    watched = Watched(baseline)
    watched.feed(24)
    watched.feed(24, scale=1.08)
    assert watched.states("x", "1h") == ["ok"] * 48
    day = watched.told["x", "1d", 24.0]
    assert (day.state, day.incident_start) == ("drifted", START + DAY)


def test_a_column_is_never_taken_for_itself(baseline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of a fifth was told as "the values look like those of carrier", of the column carrier."""
    asked: list[set[str]] = []

    def name_fault(*pictures: Picture, others: Mapping[str, Picture], **_: object) -> Named:
        asked.append(set(others))
        return Named("shift", "")

    monkeypatch.setattr("exporter.monitor.column.name_fault", name_fault)
    watched = Watched(baseline)
    watched.feed(2, scale=1.609, share=0.95)
    assert {"carrier"} in asked
    assert {"x"} in asked
    assert not [names for names in asked if len(names) != 1]


def test_days_full_of_faults_are_no_habit() -> None:
    habit = Habit()
    found = [habit.add(48 * day + hour, "scale") for day in range(4) for hour in range(16)]
    assert not any(found)


def test_a_habit_knows_the_hour_before_and_after_and_forgets_in_a_week() -> None:
    habit = Habit()
    assert [habit.add(hour, "scale") for hour in (3, 27, 52, 76, 76 + 24 * 9)] == [
        False,
        False,
        True,
        True,
        False,
    ]
    again = Habit.restored(transparent(opaque(habit.state()), list[tuple[int, bool, str]]))
    assert again.state() == habit.state()


def test_a_fault_of_another_column_days_into_an_open_incident_is_a_new_one() -> None:
    incidents = Incidents()
    first = incidents.join(("feature", "a"), 0.0, HOUR)
    assert incidents.join(("feature", "a"), 3 * DAY, 3 * DAY + HOUR, first) == first
    second = incidents.join(("feature", "b"), 3 * DAY, 3 * DAY + HOUR)
    assert second != first
    assert incidents.join(("feature", "c"), 3 * DAY + HOUR, 3 * DAY + 2 * HOUR) == second
    assert incidents.join(("feature", "a"), 4 * DAY, 4 * DAY + HOUR, first) == first
