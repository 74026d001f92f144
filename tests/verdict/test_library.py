from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

from exporter.verdict import library


@pytest.fixture(autouse=True)
def forget() -> None:
    library.installed.cache_clear()


def series(hours: int, level: float = 0.0, of_them: int = 0) -> list[float]:
    values = np.random.default_rng(0).normal(-0.2, 0.8, hours)
    if of_them:
        values[-of_them:] += level
    return np.clip(values, -3, 2).tolist()


class Detector:
    """As river's: tells of each value above 1."""

    def __init__(self, **settings: object) -> None:
        self.estimation = 0.0
        self.drift_detected = False
        self.seen: list[float] = []

    def update(self, value: float) -> None:
        self.seen.append(value)
        self.drift_detected = value > 1
        self.estimation = value


def installed(monkeypatch: pytest.MonkeyPatch, there: bool) -> list[Detector]:
    made: list[Detector] = []

    def make(**settings: object) -> Detector:
        made.append(Detector(**settings))
        return made[-1]

    module = ModuleType("river.drift")
    module.ADWIN = module.PageHinkley = make  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "river.drift", module)
    monkeypatch.setattr(library, "installed", lambda: there)
    return made


def test_without_river_nothing_is_told_and_nothing_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    made = installed(monkeypatch, there=False)
    assert library.changed([2.0] * 100) == ()
    assert made == []


def test_changes_of_the_last_hours_alone_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, there=True)
    assert library.changed([0.0] * 40 + [2.0] + [0.0] * 24) == ()
    assert library.changed([0.0] * 40 + [2.0] + [0.0] * 23) == ("ADWIN", "Page-Hinkley")


def test_no_more_than_thirty_days_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    made = installed(monkeypatch, there=True)
    library.changed([2.0] + [0.0] * 2_000)
    assert [len(one.seen) for one in made] == [library.HOURS] * 2


def test_river_itself_tells_of_a_lasting_change_and_not_of_a_clean_month() -> None:
    pytest.importorskip("river")
    assert library.changed(series(720)) == ()
    told = {name for day in range(1, 8) for name in library.changed(series(720, 1.0, 24 * day))}
    assert told == {"ADWIN", "Page-Hinkley"}
