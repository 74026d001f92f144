"""Small shifts that last add up; chance, single days and seasons do not."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.baseline.calibration import Evidence
from exporter.verdict import judge_windows
from exporter.verdict.accumulate import BEYOND, Sum, add, lasting, sums
from tests.verdict.columns import fitted, multinomial

USUAL = Evidence(mean=-1.0, deviation=0.5, limit=4.0)
SHARES = np.array([0.3, 0.25, 0.2, 0.15, 0.1])
SPLIT = 60
NUMBERS = st.floats(-1e6, 1e6)


def days_of(shift: float, seed: int) -> list[bool]:
    """Whether each of 30 days is lasting, of which the last 10 have *shift* moved between two bins."""
    moved = SHARES + np.array([shift, 0, 0, 0, -shift])
    rng = np.random.default_rng(seed)
    natural = rng.dirichlet(SHARES * 3_000, SPLIT + 30)
    natural[-10:] = rng.dirichlet(moved * 3_000, 10)
    table = multinomial(np.repeat(natural, 24, axis=0), 100, np.arange((SPLIT + 30) * 24), seed)
    column = fitted(table.part(slice(0, SPLIT * 24)))
    assert column.calibration is not None
    usual = column.calibration.windows["1d"].evidence
    assert usual is not None
    first = np.arange(SPLIT, SPLIT + 30) * 24
    scores, states = judge_windows(column, table, "1d", first, first + 24)
    assert (states == "drifted").sum() <= 3  # too small a shift for most days
    return [lasting(one, usual) for one in sums(scores.evidence.tolist(), usual)]


def test_a_lasting_shift_is_told_after_some_days_and_clean_days_are_silent() -> None:
    found = [days_of(0.055, seed) for seed in range(8)]
    assert not any(any(days[:20]) for days in found)
    assert sum(any(days[20:]) for days in found) >= 5
    assert not any(days[20] for days in found)
    assert not any(any(days_of(0.0, seed)) for seed in range(8))


def test_one_day_however_wild_is_not_lasting() -> None:
    now = add(Sum(), 1e9, USUAL)
    assert now.sum == pytest.approx(1.0)
    assert not lasting(now, USUAL)


def test_a_season_raises_the_level_and_is_not_lasting_for_ever() -> None:
    found = [lasting(one, USUAL) for one in sums([-0.2] * 400, USUAL)]
    assert any(found)
    assert not any(found[200:])


def test_a_shift_that_is_over_is_soon_forgotten() -> None:
    found = [lasting(one, USUAL) for one in sums([0.5] * 30 + [-1.0] * 5, USUAL)]
    assert found[29]
    assert not found[34]


@given(st.lists(NUMBERS, max_size=40), st.integers(0, 40))
def test_a_state_is_bounded_and_going_on_from_it_is_as_if_never_stopped(
    series: list[float], stop: int
) -> None:
    whole = list(sums(series, USUAL))
    now = Sum()
    for at, evidence in enumerate(series):
        if at == stop:
            now = Sum.restored(msgspec.json.decode(msgspec.json.encode(now.state())))
        now = add(now, evidence, USUAL)
        assert now == whole[at]
        assert 0 <= now.sum <= USUAL.limit + BEYOND
        assert 0 <= now.level <= 2


@given(st.lists(NUMBERS, min_size=1, max_size=20), st.floats(0, 10))
def test_more_evidence_never_adds_less(series: list[float], more: float) -> None:
    before = replace(Sum(), sum=1.0)
    for evidence in series:
        assert add(before, evidence + more, USUAL).sum >= add(before, evidence, USUAL).sum


@pytest.mark.parametrize("state", [[], [1.0, 2.0], [1.0, -1.0, 0.0], [float("nan"), 0.0, 0.0]])
def test_what_is_no_state_is_refused(state: list[float]) -> None:
    with pytest.raises(ValueError, match="expected three numbers"):
        Sum.restored(state)
