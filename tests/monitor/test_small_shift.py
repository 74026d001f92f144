from __future__ import annotations

import numpy as np

from exporter.monitor.column import ColumnMonitor
from exporter.rows import Role
from exporter.verdict.accumulate import SMALL_SHIFT
from exporter.views import VerdictView
from tests.verdict.columns import fitted, multinomial

SHARES = np.array([0.3, 0.25, 0.2, 0.15, 0.1])
BEFORE, DAYS, QUIET = 60, 18, 10
DAY = 86_400.0


def stream(seed: int) -> np.ndarray:
    """Shares by day; the last days have 4.5 % of the rows in another category."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(SHARES * 3_000, BEFORE + DAYS)
    moved = SHARES + np.array([0.045, 0, 0, 0, -0.045])
    shares[BEFORE + QUIET :] = rng.dirichlet(moved * 3_000, DAYS - QUIET)
    return np.asarray(shares)


def run(restart: bool) -> list[VerdictView]:
    table = multinomial(np.repeat(stream(2), 24, axis=0), 100, np.arange((BEFORE + DAYS) * 24), 3)
    split = BEFORE * 24
    baseline = fitted(table.part(slice(0, split)))

    def made() -> ColumnMonitor:
        return ColumnMonitor("m", "1", "feature", "c", None, baseline)

    monitor = made()
    found = []
    names = [*(f"c{at:04}" for at in range(4)), "rest"]
    for day in range(BEFORE - 8, BEFORE + DAYS):
        for hour in range(day * 24, day * 24 + 24):
            values = [
                name
                for name, count in zip(names, table.bins[hour].tolist(), strict=True)
                for _ in range(count)
            ]
            monitor.add(hour * 3600.0, values)
        if day < BEFORE:
            continue
        if restart and day % 4 == 0:
            state = monitor.state()
            monitor = made()
            monitor.restore(state)
        found.append(monitor.judge("1d", day * DAY, day * DAY + DAY, 1e-5))
    return found


def test_a_small_shift_that_lasts_is_a_ticket_after_some_days_with_or_without_restarts() -> None:
    found = run(restart=False)
    small = [day for day, one in enumerate(found) if SMALL_SHIFT in one.detectors]
    assert not [one.state for one in found if one.state == "drifted"]
    assert {one.state for one in found[:QUIET]} == {"ok"}
    assert small
    assert min(small) > QUIET
    for day in small:
        assert found[day].state == "ticket"
        assert found[day].sentence.startswith("a small lasting shift: for ")
        score = found[day].score
        assert score is not None
        assert score > 1
    assert [(one.state, one.detectors) for one in run(restart=True)] == [
        (one.state, one.detectors) for one in found
    ]


def test_a_librarys_detectors_hear_predictions_alone_and_go_on_after_a_restart() -> None:
    table = multinomial(np.repeat(stream(2), 24, axis=0), 100, np.arange((BEFORE + DAYS) * 24), 3)
    baseline = fitted(table.part(slice(0, BEFORE * 24)))
    both = ("ADWIN", "Page-Hinkley")
    told: dict[Role, list[tuple[str, ...]]] = {}
    heard: dict[Role, int] = {}
    roles: tuple[Role, ...] = ("prediction", "feature")
    for role in roles:
        monitor = ColumnMonitor("m", "1", role, "c", None, baseline, change_detectors=both)
        names = [*(f"c{at:04}" for at in range(4)), "rest"]
        for hour in range((BEFORE - 8) * 24, (BEFORE + DAYS) * 24):
            counts = table.bins[hour].tolist()
            values = [name for name, count in zip(names, counts, strict=True) for _ in range(count)]
            monitor.add(hour * 3600.0, values)
            if hour >= BEFORE * 24:
                monitor.judge("1h", hour * 3600.0, hour * 3600.0 + 3600.0, 1e-5)
            if hour >= BEFORE * 24 and hour % 24 == 23:
                view = monitor.judge("1d", (hour - 23) * 3600.0, (hour + 1) * 3600.0, 1e-5)
                told.setdefault(role, []).append(view.detectors)
        again = ColumnMonitor("m", "1", role, "c", None, baseline, change_detectors=both)
        again.restore(monitor.state())
        assert again._hourly == monitor._hourly
        heard[role] = len(monitor._hourly)
    assert heard["prediction"] > 300
    assert heard["feature"] == 0
    assert not any(set(both) & set(detectors) for detectors in told["feature"])
