"""The recorder's share: it comes to rest at the budget, follows the load, and never exceeds the ceiling."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.pace import LEAST, Pace


def drive(
    pace: Pace, full: float, base: float, seconds: float, step: float = 1.0, noise: float = 0.0
) -> list[float]:
    """The processors used in each step, when recording all would take *full* beside *base*; one at most."""
    random = Random(1)
    used = []
    for _ in range(int(seconds / step)):
        now = min(base + full * pace.share * math.exp(random.gauss(0, noise)), 1.0)
        used.append(now)
        pace.update(now * step, step)
    return used


@settings(deadline=None)
@given(
    st.floats(0.05, 0.8),
    st.floats(0.001, 50.0),
    st.floats(0.0, 0.4),
    st.floats(0.05, 1.0),
    st.sampled_from((0.25, 1.0, 5.0)),
)
def test_under_constant_load_what_is_used_comes_to_rest_at_the_budget(
    budget: float, full: float, part: float, ceiling: float, step: float
) -> None:
    base = part * budget
    pace = Pace(budget, ceiling)
    used = drive(pace, full, base, 400, step)
    share = min(max((budget - base) / full, LEAST), ceiling)
    assert pace.share == pytest.approx(share, rel=0.12)
    last = used[-int(20 / step) :]
    assert max(last) - min(last) < 0.02 * max(last)


@settings(deadline=None)
@given(st.floats(0.1, 0.8), st.floats(1.0, 20.0), st.floats(1.0, 20.0))
def test_it_follows_a_step_of_the_load_up_and_down(budget: float, first: float, second: float) -> None:
    pace = Pace(budget, 1.0)
    drive(pace, first, 0.0, 60)
    assert pace.share == pytest.approx(min(budget / first, 1.0), rel=0.06)
    drive(pace, second, 0.0, 60)
    assert pace.share == pytest.approx(min(budget / second, 1.0), rel=0.06)


def test_a_load_that_grows_tenfold_exceeds_the_budget_for_seconds_only() -> None:
    pace = Pace(0.2, 1.0)
    drive(pace, 0.2, 0.0, 60)
    used = drive(pace, 2.0, 0.0, 30)
    assert [now > 0.2 * 1.1 for now in used[:1] + used[12:]] == [True] + [False] * 18


def test_noise_makes_no_oscillation() -> None:
    pace = Pace(0.2, 1.0)
    drive(pace, 2.0, 0.02, 100)
    shares = []
    for _ in range(200):
        drive(pace, 2.0, 0.02, 1, noise=0.1)
        shares.append(pace.share)
    assert max(shares) / min(shares) < 1.5


@settings(deadline=None)
@given(
    st.floats(0.001, 64),
    st.floats(0, 1),
    st.lists(st.tuples(st.floats(allow_nan=True), st.floats(allow_nan=True)), max_size=50),
)
def test_whatever_is_measured_the_share_stays_between_the_least_and_the_ceiling(
    budget: float, ceiling: float, measured: list[tuple[float, float]]
) -> None:
    pace = Pace(budget, ceiling)
    for cpu, wall in measured:
        share = pace.update(cpu, wall)
        assert min(LEAST, ceiling) <= share <= ceiling
        assert share == pace.share


def test_without_a_budget_there_is_no_pace() -> None:
    with pytest.raises(ValueError, match="more than 0"):
        Pace(0.0, 1.0)
