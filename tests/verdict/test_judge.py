from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exporter.baseline import BaselineColumn
from exporter.baseline.fit import fit
from exporter.hourly import HourTable
from exporter.statistics import psi
from exporter.verdict import BASELINE_ROWS, UNCALIBRATED_ROWS, WINDOW_ROWS, judge
from exporter.verdict.matching import matches
from tests.verdict.columns import categorical, counted, fitted, followed, multinomial, numeric, table_of

RNG = np.random.default_rng(0)
TRAINED = RNG.normal(size=50_000)
PLAIN = numeric(TRAINED)
DAYS = 30
HOURS = np.repeat(np.arange(DAYS * 24), 60)
FIRST = DAYS * 24


def column_of(values: np.ndarray, hours: np.ndarray) -> BaselineColumn:
    column = numeric(values[~np.isnan(values)], missing=int(np.isnan(values).sum()))
    table = table_of(column, hours, values)
    recent = table.part(table.hours > table.hours[-1] - 192)
    return replace(column, calibration=fit(table, numeric=True, grid=False), recent=recent)


COLUMN = column_of(np.random.default_rng(3).normal(size=HOURS.size), HOURS)


def live(values: object, hour: int = FIRST, column: BaselineColumn = COLUMN) -> HourTable:
    """The baseline's last days, and an hour of *values*."""
    values = np.asarray(values, dtype=np.float64)
    assert column.recent is not None
    return followed(column.recent, table_of(column, np.full(values.size, hour), values))


def hour(values: object, column: BaselineColumn = COLUMN):  # type: ignore[no-untyped-def]
    return judge(column, live(values, column=column), "1h", FIRST, FIRST + 1)


def normal(rows: int, shift: float = 0.0, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, size=rows)


def test_a_column_without_baseline_is_learning() -> None:
    judgement = judge(None, multinomial([0.5, 0.5], 7, [5]), "1h", 5, 6)
    assert (judgement.state, judgement.rows, judgement.score, judgement.psi) == ("learning", 7, None, None)


def test_usual_traffic_is_ok_and_carries_the_declared_statistic() -> None:
    seen = normal(500)
    judgement = hour(seen)
    assert judgement.state == "ok"
    assert judgement.psi == psi(COLUMN.counts, COLUMN.bins.count(seen))  # type: ignore[arg-type]
    assert judgement.rows == 500
    assert judgement.score is not None
    assert 0 < judgement.score < 1
    assert (judgement.detectors, judgement.moved) == ((), ())


def test_a_shift_is_drifted_and_names_the_bins_that_moved() -> None:
    judgement = hour(normal(500, 1.0))
    assert (judgement.state, judgement.detectors[0]) == ("drifted", "shape")
    assert judgement.compared_with in ("baseline", "blend", "last 7 days")
    assert judgement.score == max(judgement.scores.values())
    assert set(judgement.detectors) == {name for name, score in judgement.scores.items() if score > 1}
    assert len(judgement.moved) == 5
    assert judgement.reasons[0].startswith("PSI ")
    assert judgement.psi is not None
    assert judgement.critical_psi is not None
    assert judgement.psi > judgement.critical_psi


def test_a_million_rows_of_a_tiny_shift_do_not_page() -> None:
    assert hour(normal(1_000_000, 0.05)).state == "ok"


@pytest.mark.parametrize("rows", [0, 1, WINDOW_ROWS - 1])
def test_few_rows_are_insufficient_and_say_so(rows: int) -> None:
    judgement = hour(normal(rows))
    assert (judgement.state, judgement.score) == ("insufficient", None)
    assert judgement.reason == f"{rows} rows, {WINDOW_ROWS} are needed"


def test_a_baseline_of_few_rows_is_insufficient() -> None:
    tiny = numeric(np.arange(BASELINE_ROWS - 1.0))
    judgement = judge(tiny, table_of(tiny, np.full(500, 3), np.zeros(500)), "1h", 3, 4)
    assert judgement.reason == f"the baseline has {BASELINE_ROWS - 1} rows of it, {BASELINE_ROWS} are needed"


def test_counts_over_other_bins_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected counts of .* bins, found 3"):
        judge(COLUMN, multinomial([0.2, 0.3, 0.5], 50, [5]), "1h", 5, 6)


def test_hours_of_an_incident_are_no_reference() -> None:
    # Three days of a shift: kept out, the fourth day is as abnormal as the first; else it is half usual.
    days = [
        table_of(
            COLUMN, np.repeat(np.arange(FIRST + 24 * d, FIRST + 24 * d + 24), 60), normal(24 * 60, 1.0, d)
        )
        for d in range(6)
    ]
    assert COLUMN.recent is not None
    history = followed(COLUMN.recent, *days)
    history = history.part(history.hours >= FIRST + 144 - 192)
    kept_out = (history.hours >= FIRST) & (history.hours < FIRST + 120)
    window = ("1d", FIRST + 120, FIRST + 144)
    latched = judge(COLUMN, history, *window, kept_out=kept_out)
    adopted = judge(COLUMN, history, *window)
    assert latched.state == "drifted"
    assert latched.score is not None
    assert adopted.score is not None
    assert adopted.score < 0.5 * latched.score
    assert adopted.against_baseline is not None
    assert adopted.against_baseline > 1


def test_without_a_past_the_shape_is_a_ticket_and_what_is_unmistakable_pages() -> None:
    alone = table_of(COLUMN, np.full(500, FIRST), normal(500, 1.0))
    assert judge(COLUMN, alone, "1h", FIRST, FIRST + 1).state == "ticket"
    emptied = normal(500)
    emptied[:100] = np.nan
    for values in (emptied, np.full(500, 1.25), np.where(np.arange(500) % 10, normal(500), 1e6)):
        alone = table_of(COLUMN, np.full(500, FIRST), values)
        assert judge(COLUMN, alone, "1h", FIRST, FIRST + 1).state == "drifted"


@pytest.mark.parametrize(
    ("values", "detector"),
    [
        (np.full(100, 0.5), "stuck"),
        (np.where(np.arange(200) % 20, normal(200), np.nan), "missing"),
        (np.where(np.arange(200) % 8, normal(200), 40.0), "far"),
        (np.where(np.arange(200) % 5, normal(200), 0.123), "spike"),
        (normal(200) * 0.05, "spread"),
    ],
)
def test_each_kind_of_fault_has_its_detector(values: np.ndarray, detector: str) -> None:
    judgement = hour(values)
    assert judgement.state == "drifted"
    assert detector in judgement.detectors
    assert len(judgement.reasons) == len(judgement.detectors)


def test_the_hour_of_yesterday_sent_again_is_replayed_and_a_repeated_one_frozen() -> None:
    assert COLUMN.recent is not None
    last = COLUMN.recent
    again = replace(last.part(slice(-24, -23)), hours=np.array([FIRST]), cells=last.cells[-24:-23])
    assert judge(COLUMN, followed(last, again), "1h", FIRST, FIRST + 1).detectors == ("replayed",)
    hours = [replace(last.part(slice(-1, None)), hours=np.array([FIRST + at])) for at in range(4)]
    frozen = judge(COLUMN, followed(last, *hours), "1h", FIRST + 3, FIRST + 4)
    assert "frozen" in frozen.detectors


def test_a_wrong_day_of_a_strong_cycle_is_silent_and_its_night_sent_at_noon_is_not() -> None:
    at = np.arange(10 * 7 * 24)
    wave = np.sin(at % 24 / 24 * 2 * np.pi)[:, np.newaxis] * np.linspace(-0.09, 0.09, 10)
    load = (60 + 50 * np.sin(at % 24 / 24 * 2 * np.pi)).astype(int) + 20
    rng = np.random.default_rng(0)
    table = counted(at, rng.multinomial(load, 0.1 + wave))
    split = 6 * 7 * 24
    column = fitted(table.part(slice(0, split)))
    states = [
        judge(column, table.part(slice(max(0, hour - 192), hour + 1)), "1h", hour, hour + 1).state
        for hour in range(split, at.size)
    ]
    assert set(states) == {"ok"}
    days = [
        judge(column, table.part(slice(day - 168, day + 24)), "1d", day, day + 24).state
        for day in range(split, at.size, 24)
    ]
    assert set(days) == {"ok"}
    found = []
    for hour in range(split, at.size):
        history = table.part(slice(hour - 192, hour + 1))
        bins = history.bins.copy()
        bins[-1] = table.bins[hour - 12]  # as many rows as at midnight, and what they were like
        history = replace(history, bins=bins, rows=bins.sum(axis=1))
        found.append(judge(column, history, "1h", hour, hour + 1).state == "drifted")
    # At dawn and dusk the hour twelve hours before is like the one of now.
    assert np.mean(found) > 0.5


# The baseline and the traffic


def test_a_baseline_sampled_otherwise_does_not_match_its_first_day() -> None:
    balanced = fitted(multinomial([0.5, 0.5, 0.0], 100, np.arange(20 * 24)))
    for shares, answer in (([0.5, 0.5, 0.0], True), ([0.8, 0.2, 0.0], False)):
        day = multinomial(shares, 100, np.arange(1000, 1024), seed=1)
        assert matches(balanced, day, 1000) is answer
    assert matches(balanced, day.part(slice(0, 5)), 1000) is None
    assert matches(PLAIN, table_of(PLAIN, np.full(500, 1000), normal(500)), 1000) is None


# Without calibration


@pytest.mark.parametrize(
    ("rows", "shift", "state"),
    [
        (UNCALIBRATED_ROWS - 1, 0.5, "insufficient"),
        (UNCALIBRATED_ROWS, 0.0, "ok"),
        (1_000, 0.0, "ok"),
        (1_000, 0.5, "ok"),
        (1_000, 1.2, "ticket"),
        (100_000, 0.5, "ok"),
        (100_000, 1.2, "ticket"),
    ],
)
def test_without_calibration_a_large_effect_is_a_ticket(rows: int, shift: float, state: str) -> None:
    table = table_of(PLAIN, np.full(rows, 7), normal(rows, shift))
    assert judge(PLAIN, table, "1h", 7, 8).state == state


@pytest.mark.parametrize(
    ("values", "state"),
    [
        (np.where(np.arange(1000) % 25, normal(1000), np.nan), "ok"),
        (np.where(np.arange(1000) % 6, normal(1000), np.nan), "drifted"),
        (np.where(np.arange(1000) % 50, normal(1000), 1e9), "ok"),
        (np.where(np.arange(1000) % 10, normal(1000), 1e9), "drifted"),
        (np.full(1000, 0.77), "drifted"),
        (np.where(np.arange(1000) % 4, normal(1000), 0.123), "drifted"),
        (np.where(np.arange(1000) % 6, normal(1000), 0.123), "ok"),
    ],
)
def test_without_calibration_unmistakable_forms_page(values: np.ndarray, state: str) -> None:
    assert judge(PLAIN, table_of(PLAIN, np.full(1000, 7), values), "1h", 7, 8).state == state


def test_a_number_that_the_baseline_is_full_of_is_no_spike_without_calibration() -> None:
    values = np.where(np.arange(1000) % 4, normal(1000), 0.0)
    known = replace(numeric(np.where(RNG.random(50_000) < 0.25, 0.0, TRAINED)), top=((0.0, 0.25),))
    assert judge(known, table_of(known, np.full(1000, 7), values), "1h", 7, 8).state == "ok"


def test_one_number_an_hour_is_neither_spike_nor_stuck_once_an_hour_had_another() -> None:
    hours = np.repeat(np.arange(5, 8), 500)
    weather = np.repeat([0.5, 0.75, 0.25], 500)
    states = [judge(PLAIN, table_of(PLAIN, hours, weather), "1h", hour, hour + 1).state for hour in (5, 7)]
    assert states[0] == "drifted"
    assert states[1] in ("ok", "ticket")
    stuck = judge(PLAIN, table_of(PLAIN, hours, np.full(1500, 0.5)), "1h", 7, 8)
    assert stuck.state == "drifted"
    assert {"stuck", "spike"} <= set(stuck.detectors)


def test_a_constant_column_without_timestamps_is_not_stuck() -> None:
    column = replace(numeric(np.full(1000, 3.0)), top=((3.0, 1.0),))
    assert judge(column, table_of(column, np.full(500, 7), np.full(500, 3.0)), "1h", 7, 8).state == "ok"


def test_uncalibrated_windows_of_a_hundred_rows_do_not_reach_the_ticket_by_chance() -> None:
    found = {
        judge(PLAIN, table_of(PLAIN, np.full(100, 7), normal(100, seed=seed)), "1h", 7, 8).state
        for seed in range(500)
    }
    assert found == {"ok"}


CATEGORIES = {"UA": 5_000, "AA": 3_000, "DL": 2_000}


def test_unseen_categories_say_nothing_where_the_dictionary_is_not_whole() -> None:
    hour = counted([7], [[470, 282, 188, 60]], unseen=[60])
    states = [
        judge(categorical(CATEGORIES, complete=complete), hour, "1h", 7, 8).state
        for complete in (True, False)
    ]
    assert states == ["drifted", "ok"]
