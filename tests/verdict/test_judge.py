from __future__ import annotations

import numpy as np
import pytest

from exporter.baseline.calibration import RateCalibration
from exporter.statistics import jensen_shannon_distance, psi
from exporter.verdict import BASELINE_ROWS, UNCALIBRATED_ROWS, WINDOW_ROWS, judge
from tests.verdict.columns import QUIET, calibrated, categorical, numeric

RNG = np.random.default_rng(0)
TRAINED = RNG.normal(size=50_000)
PLAIN = numeric(TRAINED)
COLUMN = numeric(TRAINED, calibrated("1h") | calibrated("1d", tau2=0.005))


def counts(rows: int, shift: float = 0.0, seed: int = 1) -> np.ndarray:
    return COLUMN.bins.count(np.random.default_rng(seed).normal(shift, size=rows))  # type: ignore[arg-type]


def test_a_column_without_baseline_is_learning() -> None:
    judgement = judge(None, np.array([3, 4]), "1h")
    assert (judgement.state, judgement.rows, judgement.score, judgement.psi) == ("learning", 7, None, None)


def test_usual_traffic_is_ok_and_carries_the_declared_statistics() -> None:
    seen = counts(500)
    judgement = judge(COLUMN, seen, "1h")
    assert judgement.state == "ok"
    assert judgement.psi == psi(COLUMN.counts, seen)
    assert judgement.jensen_shannon == jensen_shannon_distance(COLUMN.counts, seen)
    assert judgement.rows == 500
    assert judgement.score is not None
    assert 0 < judgement.score < 1


def test_a_shift_is_drifted() -> None:
    judgement = judge(COLUMN, counts(500, shift=1.0), "1h")
    assert (judgement.state, judgement.detector) == ("drifted", "shape")
    assert judgement.reason.startswith("abnormal: PSI ")


def test_the_score_is_one_at_the_critical_psi() -> None:
    judgement = judge(COLUMN, counts(500, shift=0.3), "1h")
    assert judgement.score is not None
    assert judgement.psi is not None
    assert judgement.critical_psi is not None
    assert judgement.score == pytest.approx(judgement.psi / judgement.critical_psi)


def test_a_million_rows_of_a_tiny_shift_do_not_page() -> None:
    assert judge(COLUMN, counts(1_000_000, shift=0.05), "1h").state == "ok"
    assert judge(COLUMN, counts(1_000_000, shift=0.2), "1h").state == "drifted"


def test_natural_variance_of_the_day_is_borne_by_the_day_alone() -> None:
    seen = counts(20_000, shift=0.2)
    assert (judge(COLUMN, seen, "1h").state, judge(COLUMN, seen, "1d").state) == ("drifted", "ok")


def test_false_alarms_by_chance_alone_are_as_rare_as_asked_for() -> None:
    scores = [judge(COLUMN, counts(300, seed=seed), "1h").score or 0.0 for seed in range(2_000)]
    assert np.mean(np.array(scores) > 1) <= 0.001


def test_a_larger_alpha_alarms_earlier() -> None:
    seen = counts(300, shift=0.25)
    limits = [judge(COLUMN, seen, "1h", alpha).critical_psi or 0.0 for alpha in (1e-4, 1e-3, 1e-2)]
    assert limits == sorted(limits, reverse=True)
    assert judge(COLUMN, seen, "1h", 1e-9).critical_psi == judge(COLUMN, seen, "1h", 0.1 / 5000).critical_psi


@pytest.mark.parametrize(
    ("rows", "state"), [(0, "insufficient"), (WINDOW_ROWS - 1, "insufficient"), (WINDOW_ROWS, "ok")]
)
def test_too_few_rows_are_insufficient_and_not_ok(rows: int, state: str) -> None:
    judgement = judge(COLUMN, counts(rows), "1h")
    assert judgement.state == state
    assert (judgement.score is None) == (state == "insufficient")


def test_a_small_baseline_is_insufficient() -> None:
    small = numeric(TRAINED[: BASELINE_ROWS - 1])
    judgement = judge(small, small.counts * 100, "1h")
    assert (judgement.state, judgement.reason) == (
        "insufficient",
        "the baseline has 99 rows of it, 100 are needed",
    )


def test_counts_over_other_bins_are_refused() -> None:
    with pytest.raises(ValueError, match=r"x: expected counts of 18 bins, found \(17,\)"):
        judge(COLUMN, counts(100)[1:], "1h")


# Without calibration


@pytest.mark.parametrize(
    ("rows", "shift", "state"),
    [
        (UNCALIBRATED_ROWS - 1, 5.0, "insufficient"),
        (UNCALIBRATED_ROWS, 0.0, "ok"),
        (1_000, 0.0, "ok"),
        (1_000, 0.5, "ok"),
        (1_000, 1.2, "ticket"),
        (100_000, 0.5, "ok"),
        (100_000, 1.2, "ticket"),
    ],
)
def test_without_calibration_a_large_effect_is_a_ticket_and_never_a_page(
    rows: int, shift: float, state: str
) -> None:
    assert judge(PLAIN, counts(rows, shift), "1h").state == state


def test_a_window_length_that_is_not_calibrated_gives_tickets() -> None:
    hourly = numeric(TRAINED, calibrated("1h"))
    seen = counts(1_000, shift=1.2)
    assert (judge(hourly, seen, "1h").state, judge(hourly, seen, "1d").state) == ("drifted", "ticket")


def test_uncalibrated_windows_of_a_hundred_rows_do_not_reach_the_ticket_by_chance() -> None:
    states = {judge(PLAIN, counts(100, seed=seed), "1h").state for seed in range(1_000)}
    assert states == {"ok"}


# Missing and unseen


def test_a_surge_of_missing_entries_is_drifted() -> None:
    judgement = judge(COLUMN, counts(400), "1h", missing=180)
    assert (judgement.state, judgement.detector, judgement.rows) == ("drifted", "missing", 580)
    assert judgement.reason == "abnormal: 31.03% missing, 0.00% in the baseline"


def test_a_window_without_any_value_is_judged_by_what_is_missing() -> None:
    judgement = judge(COLUMN, counts(0), "1h", missing=100)
    assert (judgement.state, judgement.psi, judgement.critical_psi) == ("drifted", None, None)


def test_usual_missing_entries_do_not_make_few_values_enough() -> None:
    often = numeric(TRAINED, calibrated("1h"), missing=len(TRAINED) * 9)
    usual = RateCalibration(share=0.9, largest=1.0, tau2=0.0, tail=QUIET)
    from msgspec.structs import replace

    column = numeric(TRAINED, {"1h": replace(often.calibration["1h"], missing=usual)}, often.missing)
    judgement = judge(column, counts(10), "1h", missing=90)
    assert (judgement.state, judgement.reason) == (
        "insufficient",
        "10 of 100 rows have a value, 20 are needed",
    )


@pytest.mark.parametrize(("missing", "state"), [(0, "ok"), (60, "ok"), (150, "ticket")])
def test_ten_points_more_missing_are_a_ticket_without_calibration(missing: int, state: str) -> None:
    assert judge(PLAIN, counts(1_000 - missing), "1h", missing=missing).state == state


CATEGORIES = {"UA": 5_000, "AA": 3_000, "DL": 2_000}


def seen_categories(rows: int, unseen: int) -> np.ndarray:
    known = rows - unseen
    return np.array([known // 2, known * 3 // 10, known - known // 2 - known * 3 // 10, unseen])


@pytest.mark.parametrize(("unseen", "state"), [(0, "ok"), (10, "ok"), (60, "drifted")])
def test_a_surge_of_unseen_categories_is_drifted(unseen: int, state: str) -> None:
    rate = RateCalibration(share=0.0, largest=0.005, tau2=0.0, tail=QUIET)
    # Natural variance large enough for the shape to say nothing.
    column = categorical(CATEGORIES, calibrated("1h", tau2=0.2, unseen=rate))
    judgement = judge(column, seen_categories(1_000, unseen), "1h", unseen=unseen)
    assert judgement.state == state
    assert (judgement.detector == "unseen") == (unseen > 0)


def test_unseen_categories_say_nothing_where_the_dictionary_is_not_whole() -> None:
    column = categorical(CATEGORIES, calibrated("1h", tau2=0.2))
    assert judge(column, seen_categories(1_000, 100), "1h", unseen=100).state == "ok"
    truncated = categorical(CATEGORIES, complete=False)
    assert judge(truncated, seen_categories(1_000, 60), "1h", unseen=60).state == "ok"
    whole = categorical(CATEGORIES)
    assert judge(whole, seen_categories(1_000, 60), "1h", unseen=60).state == "ticket"
