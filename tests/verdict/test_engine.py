"""One implementation: a window alone and among thousands, whatever the order of bins and of the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.hourly import HourTable
from exporter.verdict import judge, judge_windows
from tests.verdict.columns import counted, fitted, followed, multinomial

SPLIT = 30 * 24


def shares_of(bins: int) -> np.ndarray:
    rng = np.random.default_rng(bins)
    shares = rng.gamma(2.0, 1.0, bins)
    return np.asarray(shares / shares.sum())


def stream(rows: int, bins: int, days: int, seed: int = 0) -> HourTable:
    return multinomial(shares_of(bins), rows, np.arange(days * 24), seed)


TABLE = stream(80, 12, 42)
COLUMN = fitted(TABLE.part(slice(0, SPLIT)))


def test_a_window_alone_has_the_score_it_has_among_all() -> None:
    rng = np.random.default_rng(5)
    bins = TABLE.bins.copy()
    bins[SPLIT + 30 : SPLIT + 60, 3] += rng.integers(0, 40, 30)
    table = counted(TABLE.hours, bins, missing=rng.binomial(3, 0.2, bins.shape[0]))
    kept_out = rng.random(table.hours.size) < 0.1
    for window, size, firsts in (
        ("1h", 1, np.arange(SPLIT, SPLIT + 100)),
        ("1d", 24, SPLIT + 24 * np.arange(9)),
    ):
        scores, states = judge_windows(COLUMN, table, window, firsts, firsts + size, kept_out=kept_out)
        for at, first in enumerate(firsts.tolist()):
            part = slice(first + size - 192, first + size)
            alone = judge(COLUMN, table.part(part), window, first, first + size, kept_out=kept_out[part])
            assert alone.state == states[at]
            found = [alone.scores[name] for name in scores.detectors]
            assert found == pytest.approx(scores.scores[at].tolist(), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("rows", "bins"), [(50, 10), (50, 50), (1_000, 10), (1_000, 50), (1_000, 1_000), (10**6, 10), (10**6, 50)]
)
def test_the_same_traffic_again_stays_within_alpha(rows: int, bins: int) -> None:
    column = fitted(stream(rows if rows < 10**6 else 2_000, bins, 21))
    live = stream(rows, bins, 35, seed=1)
    first = live.hours[192:]
    _, states = judge_windows(column, live, "1h", first, first + 1)
    days = np.arange(9, 35) * 24
    _, of_days = judge_windows(column, live, "1d", days, days + 24)
    # 5 tests at 1e-4 in 648 hours (0.3 expected) and at 5e-4 in 26 days (0.07): 3 happen in 0.1 % of runs.
    assert (states == "drifted").sum() + (of_days == "drifted").sum() <= 2


def test_one_file_serves_a_pod_and_a_fleet_with_natural_variance() -> None:
    rng = np.random.default_rng(2)
    hours = np.arange(60 * 24)
    moving = rng.dirichlet(shares_of(12) * 500, hours.size)
    baseline = fitted(multinomial(moving, 60, hours))
    again = rng.dirichlet(shares_of(12) * 500, hours.size)
    for rows in (40, 1_200, 50_000):
        live = multinomial(again, rows, hours, seed=3)
        first = live.hours[192:]
        _, states = judge_windows(baseline, live, "1h", first, first + 1)
        assert (states == "drifted").sum() <= 3


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(11)), st.integers(SPLIT + 1, 41 * 24))
def test_the_order_of_bins_does_not_matter(order: list[int], first: int) -> None:
    # The last bin is "other"; the order of those before it is the baseline's choice.
    order = [*order, 11]
    turned = counted(TABLE.hours, TABLE.bins[:, order])
    column = fitted(turned.part(slice(0, SPLIT)))
    one = judge(COLUMN, TABLE.part(slice(first - 191, first + 1)), "1h", first, first + 1)
    other = judge(column, turned.part(slice(first - 191, first + 1)), "1h", first, first + 1)
    for name, score in one.scores.items():
        # Files carry six digits of a share, and the smallest shares are of another bin now.
        assert other.scores[name] == pytest.approx(score, rel=1e-3, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_shards_add_up_to_the_same_verdict(shards: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    history = TABLE.part(slice(SPLIT - 150, SPLIT + 1))
    parts = [np.zeros_like(history.bins) for _ in range(shards)]
    left = history.bins.copy()
    for at in range(shards - 1):
        parts[at] = rng.binomial(left, 1 / (shards - at))
        left = left - parts[at]
    parts[-1] = left
    rng.shuffle(parts)
    whole = counted(history.hours, sum(parts[1:], parts[0]))
    window = ("1h", SPLIT, SPLIT + 1)
    assert judge(COLUMN, whole, *window) == judge(COLUMN, history, *window)


@settings(max_examples=15, deadline=None)
@given(st.sets(st.integers(0, 150), max_size=40))
def test_hours_without_rows_change_nothing(empty: set[int]) -> None:
    history = TABLE.part(slice(SPLIT - 150, SPLIT + 1))
    quiet = np.array(sorted(empty - {150}), dtype=np.intp)
    bins = history.bins.copy()
    bins[quiet] = 0
    kept = np.ones(bins.shape[0], np.bool_)
    kept[quiet] = False
    zeros = counted(history.hours, bins)
    window = ("1h", SPLIT, SPLIT + 1)
    with_zeros, without = judge(COLUMN, zeros, *window), judge(COLUMN, history.part(kept), *window)
    assert with_zeros.state == without.state
    for name, score in without.scores.items():
        assert with_zeros.scores[name] == pytest.approx(score, rel=1e-9, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 60), st.integers(1, 60))
def test_more_missing_entries_never_score_less(missing: int, more: int) -> None:
    history = TABLE.part(slice(SPLIT - 150, SPLIT + 1))
    found = []
    for count in (missing, missing + more):
        table = replace(history, missing=history.missing.copy(), rows=history.rows.copy())
        table.missing[-1] += count
        table.rows[-1] += count
        found.append(judge(COLUMN, table, "1h", SPLIT, SPLIT + 1).scores["missing"])
    assert found[1] >= found[0]


def test_a_faulted_day_beside_a_clean_past_is_judged_as_if_it_had_happened() -> None:
    day = TABLE.part(slice(SPLIT + 24, SPLIT + 48))
    bins = day.bins.copy()
    bins[:, 0] += 40
    now = counted(day.hours, bins)
    first = np.array([SPLIT + 24])
    beside, _ = judge_windows(COLUMN, TABLE, "1d", first, first + 24, now=now)
    happened = followed(TABLE.part(slice(0, SPLIT + 24)), now)
    inside, _ = judge_windows(COLUMN, happened, "1d", first, first + 24)
    assert beside.scores[0].tolist() == pytest.approx(inside.scores[0].tolist(), rel=1e-9)
    assert beside.scores.max() > 1


def test_an_empty_history_is_no_error() -> None:
    judgement = judge(COLUMN, HourTable.empty(bins=12), "1h", 5, 6)
    assert (judgement.state, judgement.rows) == ("insufficient", 0)


def test_one_value_alone_is_no_fault_where_chance_gives_it() -> None:
    """82 % of the entries in one category and 31 an hour: all of them are, in two hours of a thousand."""
    for share, stuck in ((0.82, False), (0.4, True)):
        shares = np.array([share, *([(1 - share) / 4] * 4)])
        table = multinomial(np.tile(shares, (24 * 40, 1)), 31, np.arange(24 * 40), 5)
        column = fitted(table)
        bins = table.bins.copy()
        bins[-1] = [31, 0, 0, 0, 0]
        now = replace(table, bins=bins)
        judgement = judge(column, now, "1h", 24 * 40 - 1, 24 * 40)
        assert ("stuck" in judgement.detectors) == stuck
