"""Injected faults are what the vocabulary says they are."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.faults import FAULTS, ColumnFacts, fault, inject, parse_strength
from exporter.faults.inject import tilted

RNG = np.random.default_rng(4)
NUMBERS = np.round(RNG.gamma(4.0, 250.0, 20_000))
NUMBERS[::10] = np.nan
FACTS = ColumnFacts.of(NUMBERS)
PRESENT = ~np.isnan(NUMBERS)
TEXTS: list[str | None] = [
    None if at % 10 == 0 else "ABCDE"[k] for at, k in enumerate(RNG.binomial(4, 0.3, 20_000))
]
TEXT_FACTS = ColumnFacts.of(TEXTS)
N = int(PRESENT.sum())

NUMERIC = {
    *("shift", "scale", "swapped", "stuck", "flood", "clipping", "precision", "null_surge", "type_change"),
    *("population_change", "frozen", "replayed", "collapse"),
}
CATEGORICAL = {
    *("swapped", "stuck", "flood", "null_surge", "type_change", "unseen_category", "category_merge"),
    *("category_split", "population_change", "frozen", "replayed", "collapse"),
}
#: Faults whose values are those of elsewhere, what is missing included.
ELSEWHERE = {"swapped", "replayed"}


def numbers(name: str, strength: str | None = None, values: Any = NUMBERS, **more: Any) -> Any:
    return inject(values, name, strength, rng=np.random.default_rng(1), facts=FACTS, **more)


def texts(name: str, strength: str | None = None, values: Any = TEXTS, **more: Any) -> list[Any]:
    made: list[Any] = inject(
        values, name, strength, rng=np.random.default_rng(1), facts=TEXT_FACTS, **more
    ).tolist()
    return made


def strength_of(name: str) -> str | None:
    return "other" if name == "swapped" else None


def test_each_kind_has_its_faults() -> None:
    refused: list[str] = []
    found: dict[str, set[str]] = {"numeric": set(), "categorical": set()}
    for entry in FAULTS:
        for values, facts in ((NUMBERS, FACTS), (TEXTS, TEXT_FACTS)):
            try:
                inject(
                    values,
                    entry.name,
                    strength_of(entry.name),
                    rng=np.random.default_rng(0),
                    facts=facts,
                    other=values,
                    earlier=values,
                )
            except ValueError as error:
                refused.append(str(error))
            else:
                found[facts.kind].add(entry.name)
    assert all(text.endswith("can not have this fault") for text in refused)
    assert found == {"numeric": NUMERIC, "categorical": CATEGORICAL}
    assert {entry.name for entry in FAULTS} == NUMERIC | CATEGORICAL


def test_a_shift_is_in_standard_deviations() -> None:
    moved = numbers("shift", "-0.5") - NUMBERS
    np.testing.assert_allclose(moved[PRESENT], -0.5 * NUMBERS[PRESENT].std(), rtol=1e-9)


@pytest.mark.parametrize(
    ("strength", "expected"),
    [
        ("1.609", NUMBERS * 1.609),
        ("1000", NUMBERS * 1000),
        ("celsius_to_fahrenheit", NUMBERS * 1.8 + 32),
        ("fahrenheit_to_celsius", (NUMBERS - 32) / 1.8),
        ("log1p", np.log1p(NUMBERS)),
        ("log", np.log(NUMBERS)),
        ("log10", np.log10(NUMBERS)),
    ],
)
def test_a_scale_is_a_factor_or_a_conversion(strength: str, expected: Any) -> None:
    np.testing.assert_array_equal(numbers("scale", strength), expected)


def test_a_logarithm_of_numbers_that_have_none_is_refused() -> None:
    facts = ColumnFacts.of(np.arange(-50.0, 50.0))
    with pytest.raises(ValueError, match="log is not defined for 51% of the column"):
        inject(np.ones(3), "scale", "log", rng=RNG, facts=facts)


def test_a_flood_replaces_its_share() -> None:
    made = numbers("flood", "0.3@-1")
    touched = made == -1.0
    assert touched.sum() / N == pytest.approx(0.3, abs=0.02)
    np.testing.assert_array_equal(made[~touched], NUMBERS[~touched])
    assert numbers("flood", "1@median")[PRESENT].tolist() == [FACTS.median] * N
    assert Counter(texts("flood", "1")) == {TEXT_FACTS.categories[0][0]: N, None: 2_000}
    assert texts("flood", "0.2@D").count("D") > TEXTS.count("D") + 0.15 * N


def test_clipping_holds_its_share_at_the_limit() -> None:
    top, bottom = numbers("clipping", "0.2"), numbers("clipping", "-0.1")
    assert (top == np.nanmax(top)).sum() / N == pytest.approx(0.2, abs=0.01)
    assert (bottom == np.nanmin(bottom)).sum() / N == pytest.approx(0.1, abs=0.01)
    below = np.nanmax(top) > NUMBERS
    np.testing.assert_array_equal(top[below], NUMBERS[below])


def test_precision_is_ten_times_the_columns_own_step() -> None:
    made = numbers("precision")
    assert FACTS.step == 1.0
    np.testing.assert_array_equal(made, np.round(NUMBERS / 10) * 10)
    np.testing.assert_array_equal(np.unique(numbers("precision", "250")[PRESENT]) % 250, 0)
    continuous = RNG.uniform(0, 1, 500)
    rounded = inject(continuous, "precision", rng=RNG, facts=ColumnFacts.of(continuous))
    assert rounded.tolist() == [round(value, 2) for value in continuous.tolist()]
    with pytest.raises(ValueError, match="expected a column that varies by more than its steps"):
        inject(np.arange(5.0), "precision", rng=RNG, facts=ColumnFacts.of(np.arange(5.0)))


def test_a_null_surge_and_a_type_change_touch_their_share() -> None:
    nulls = numbers("null_surge", "0.25")
    assert (np.isnan(nulls).sum() - 2_000) / N == pytest.approx(0.25, abs=0.02)
    made = numbers("type_change", "0.5").tolist()
    words = [value for value in made if isinstance(value, str)]
    assert len(words) / N == pytest.approx(0.5, abs=0.02)
    assert {float(word) for word in words} <= set(NUMBERS[PRESENT].tolist())
    assert all(type(value) is list for value in texts("type_change") if value is not None)


def test_stuck_and_collapse_end_the_variation() -> None:
    assert set(numbers("stuck", "12.5")[PRESENT].tolist()) == {12.5}
    assert np.nanstd(numbers("collapse", "0.1")) == pytest.approx(0.1 * FACTS.deviation)
    assert texts("collapse").count(TEXT_FACTS.categories[0][0]) / N > 0.97
    with pytest.raises(ValueError, match="stuck: expected a number or median, found 'x'"):
        numbers("stuck", "x")


def test_categories_are_merged_split_and_new() -> None:
    names = [name for name, _ in TEXT_FACTS.categories]
    counts = Counter(TEXTS)
    merged = Counter(texts("category_merge", "3"))
    assert merged == {
        names[0]: sum(counts[name] for name in names[:3]),
        **{name: counts[name] for name in [*names[3:], None]},
    }
    split = Counter(texts("category_split", "0.4"))
    fresh = set(split) - set(counts)
    assert len(fresh) == 1
    assert split[fresh.pop()] / counts[names[0]] == pytest.approx(0.4, abs=0.03)
    unseen = Counter(texts("unseen_category", "0.2"))
    assert sum(unseen[name] for name in set(unseen) - set(counts)) / N == pytest.approx(0.2, abs=0.02)
    with pytest.raises(ValueError, match="expected more than 5 categories, found 5"):
        texts("category_merge", "5")


@pytest.mark.parametrize("strength", [-1.5, -1.0, -0.2, 0.2, 1.0, 1.5])
def test_a_population_moves_its_mean_rank(strength: float) -> None:
    ranks = tilted(np.random.default_rng(3).random(200_000), strength)
    assert float(ranks.min()) >= 0
    assert float(ranks.max()) <= 1
    assert (ranks.mean() - 0.5) * 12**0.5 == pytest.approx(strength, abs=0.02)
    made = numbers("population_change", str(strength))[PRESENT]
    assert set(made.tolist()) <= set(FACTS.ordered.tolist())
    assert (made.mean() > FACTS.mean) == (strength > 0)


def test_frozen_and_replayed_send_again_what_was() -> None:
    assert numbers("frozen", "3", earlier=np.array([1.0, 2.0, 3.0, np.nan, 4.0]))[PRESENT][:6].tolist() == [
        *(2.0, 3.0, 4.0),
        *(2.0, 3.0, 4.0),
    ]
    assert np.unique(numbers("frozen", "7")[PRESENT]).size <= 7
    assert numbers("replayed", values=np.zeros(4), earlier=[1.0, None]).tolist()[:2] == [1.0, 1.0]
    assert texts("replayed", values=["A", "B"], earlier=["C", "D", "E", "A"]) == ["C", "E"]
    with pytest.raises(ValueError, match="replayed: expected the entries of an earlier time"):
        numbers("replayed")


def test_swapped_takes_the_other_columns_entries() -> None:
    other = NUMBERS[::-1].copy()
    np.testing.assert_array_equal(numbers("swapped", "b", other=other), other)
    assert texts("swapped", "b", values=["A", "B"], other=[1.0, None]) == [1.0, None]
    assert numbers("swapped", "b", values=np.ones(2), other=["x", None]).tolist() == ["x", None]
    with pytest.raises(ValueError, match="swapped: expected the 20000 entries of the other column"):
        numbers("swapped", "b")


def test_numbers_with_texts_among_them_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a column of numbers, found other entries"):
        numbers("shift", values=[1.0, "x"])
    with pytest.raises(ValueError, match="facts of a column: expected values, found none"):
        ColumnFacts.of([None, None])
    with pytest.raises(ValueError, match="expected finite values, found none"):
        ColumnFacts.of(np.array([np.nan, np.inf]))


entries = st.lists(st.one_of(st.none(), st.integers(0, 3_000).map(float)), max_size=40)


@settings(max_examples=60, deadline=None)
@given(values=entries, name=st.sampled_from(sorted(NUMERIC)), seed=st.integers(0, 9))
def test_missing_numbers_stay_missing_and_the_same_draws_give_the_same_values(
    values: list[float | None], name: str, seed: int
) -> None:
    array = np.array([np.nan if value is None else value for value in values])
    kept = array.copy()
    made = [
        inject(
            array,
            name,
            strength_of(name),
            rng=np.random.default_rng(seed),
            facts=FACTS,
            other=array,
            earlier=array if array.size else np.ones(1),
        ).tolist()
        for _ in range(2)
    ]
    assert repr(made[0]) == repr(made[1])
    assert len(made[0]) == len(values)
    np.testing.assert_array_equal(array, kept)
    if name not in ELSEWHERE:
        assert all(
            after is None or after != after
            for after, value in zip(made[0], values, strict=True)
            if value is None
        )


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.sampled_from([None, *"ABCDEZ"]), max_size=40),
    name=st.sampled_from(sorted(CATEGORICAL - {"replayed"})),
)
def test_missing_texts_stay_missing(values: list[str | None], name: str) -> None:
    made = texts(name, strength_of(name), values=values, other=values)
    assert [value is None for value, was in zip(made, values, strict=True) if was is None] == [
        True
    ] * values.count(None)
    assert len(made) == len(values)


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(["flood", "null_surge", "type_change"]),
    share=st.floats(0.01, 0.99),
)
def test_what_a_share_does_not_touch_stays(name: str, share: float) -> None:
    made = numbers(name, str(share), values=NUMBERS[:300]).tolist()
    value = {
        "flood": lambda v: v == 0.0,
        "null_surge": lambda v: v != v,
        "type_change": lambda v: isinstance(v, str),
    }[name]
    for after, was in zip(made, NUMBERS[:300].tolist(), strict=True):
        assert after == was or was != was or value(after)


@pytest.mark.parametrize("entry", FAULTS, ids=lambda entry: entry.name)
def test_every_default_is_understood(entry: Any) -> None:
    if entry.default:
        parse_strength(entry)
    else:
        with pytest.raises(ValueError, match=f"strength of {entry.name}: expected a text"):
            parse_strength(entry)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("shift", "0"),
        ("shift", "far"),
        ("shift", "nan"),
        ("scale", "1"),
        ("scale", "parsecs"),
        ("flood", "1.5"),
        ("flood", "0.1@"),
        ("clipping", "1"),
        ("precision", "-1"),
        ("null_surge", "0"),
        ("category_merge", "1"),
        ("category_merge", "2.5"),
        ("category_split", "1"),
        ("population_change", "2"),
        ("frozen", "0"),
        ("replayed", "-24"),
        ("collapse", "2"),
    ],
)
def test_a_strength_that_means_nothing_is_refused_with_what_was_found(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"^strength of {name}: expected .* found '{text}'$"):
        parse_strength(fault(name), text)
