from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sketch.quantile import Quantiles
from exporter.verdict import describe
from exporter.verdict.describe import describe_bins, describe_quantiles, number, one_bin_grew, percent
from tests.verdict.columns import categorical, numeric

RNG = np.random.default_rng(0)
# Fewer than the sketches hold, so that their answers are exact.
TRAINED = RNG.gamma(4.0, 250.0, 4_000)
COLUMN = numeric(TRAINED, missing=8)

Floats = Any


def told(values: Floats) -> str:
    sketch = Quantiles(k=4096)
    sketch.update(np.asarray(values, dtype=np.float64))
    return describe(COLUMN, sketch, COLUMN.bins.count(np.asarray(values, dtype=np.float64)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (lambda x: x * 1.609344, "median 1.61 × that of the baseline, as miles sent as kilometres would be"),
        (lambda x: x / 1.609344, "median 0.621 × that of the baseline, as kilometres sent as miles would be"),
        (
            lambda x: x * 1000,
            "median 1,000 × that of the baseline, as a unit a thousand times smaller would be",
        ),
        (lambda x: x * 1.25, "median 1.25 × that of the baseline"),
        (lambda x: x + 400, "median +400"),
        (lambda x: x - 300, "median -300"),
        (lambda x: 920 + (x - 920) * 0.2, "spread 0.2 × that of the baseline"),
        (lambda x: np.full_like(x, 1234.5), "nearly all values are 1,234"),
        (lambda x: np.where(np.arange(x.size) % 5 == 0, 0.0, x), "share of values < 100.515 0 % → 20 %"),
        (lambda x: np.where(np.arange(x.size) % 5 == 0, 1e6, x), "share of values >= 3381.68 0 % → 20 %"),
        (lambda x: x, "share of values "),
    ],
)
def test_a_fault_is_described_by_what_accounts_for_it(
    fault: Callable[[Floats], Floats], sentence: str
) -> None:
    assert told(fault(TRAINED)).startswith(sentence)


def test_values_are_named_when_their_median_moved_by_another_factor() -> None:
    live = np.random.default_rng(1).gamma(4.0, 250.0, 500) * 1.609344
    sentence = told(live)
    assert float(sentence.split()[1]) == pytest.approx(1.609344, rel=0.04)
    assert sentence.endswith(" × those of the baseline, as miles sent as kilometres would be")


def test_degrees_are_recognised_by_their_line() -> None:
    celsius = np.linspace(-5, 30, 19)
    assert describe_quantiles(celsius, celsius * 1.8 + 32).endswith(
        "as degrees Celsius sent as Fahrenheit would be"
    )
    fahrenheit = celsius * 1.8 + 32
    assert describe_quantiles(fahrenheit, celsius).endswith("as degrees Fahrenheit sent as Celsius would be")


def test_missing_and_unseen_are_told_where_they_decided() -> None:
    counts = COLUMN.bins.count(TRAINED)  # type: ignore[arg-type]
    sentence = describe(COLUMN, None, counts, detector="missing", missing=4_000)
    assert sentence == "missing 0.2 % → 50 %"
    assert describe(COLUMN, None, counts * 0, missing=7) == "missing 0.2 % → 100 %"
    column = categorical({"UA": 10, "AA": 90})
    assert describe(column, None, np.array([1, 7, 2]), detector="unseen", unseen=2) == (
        "categories unseen in the baseline 20 %"
    )


def test_a_category_is_told_by_its_share() -> None:
    column = categorical({"UA": 12, "AA": 60, "DL": 28})
    counts = dict(zip(column.bins.labels, [0, 0, 0, 0], strict=True))
    counts |= {"00 AA": 40, "01 DL": 19, "02 UA": 41}
    assert describe(column, None, np.array(list(counts.values()))) == 'share of "UA" 12 % → 41 %'


def test_other_categories_have_a_name() -> None:
    column = categorical({"UA": 50, "AA": 50})
    assert describe(column, None, np.array([30, 30, 40])) == "share of other categories 0 % → 40 %"


def test_nothing_is_described_as_no_rows() -> None:
    assert describe(COLUMN, None, COLUMN.counts * 0) == "no rows"


def test_without_a_sketch_the_bin_that_moved_most_is_told() -> None:
    counts = COLUMN.counts.copy()
    counts[1] += counts.sum()
    assert describe(COLUMN, None, counts).startswith("share of values [")
    assert describe(COLUMN, Quantiles(), counts).startswith("share of values [")


def test_one_bin_that_grew_by_chance_is_no_flood() -> None:
    before = np.full(10, 0.1)
    assert not one_bin_grew(before, np.array([14, *[10] * 9]))
    assert one_bin_grew(before, np.array([40, *[10] * 9]))
    assert not one_bin_grew(before, np.array([40, 0, 0, 0, *[15] * 6]))
    assert not one_bin_grew(before, np.array([40, *[0] * 9]))


def test_of_two_equal_changes_the_gain_is_told() -> None:
    bins = categorical({"UA": 5, "AA": 5}).bins
    assert describe_bins(bins, np.array([0.5, 0.5, 0.0]), np.array([0.7, 0.3, 0.0])) == (
        'share of "AA" 50 % → 70 %'
    )


quantiles = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=19, max_size=19).map(
    lambda values: np.sort(np.array(values))
)


@given(quantiles, quantiles)
def test_any_quantiles_are_described_without_a_warning(before: Floats, now: Floats) -> None:
    sentence = describe_quantiles(before, now)
    assert "nan" not in sentence
    assert "inf" not in sentence


def test_infinite_quantiles_are_left_to_the_bins() -> None:
    before = np.arange(19.0)
    assert describe_quantiles(before, np.append(before[:-1], np.inf)) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (12.34, "12.3"), (999.9, "1e+03"), (1000.4, "1,000"), (1e15, "1e+15"), (-0.5, "-0.5")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "100 %"), (0.0999, "10 %"), (0.00012, "0.012 %"), (1e-7, "1e-05 %")]
)
def test_shares_are_percentages(share: float, text: str) -> None:
    assert percent(share) == text
