"""Class probabilities: what is taken for them, and what is derived."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import entropy

from exporter.profile.probabilities import ClassProbabilities, families, measure

NAN = float("nan")


@given(st.integers(2, 12).flatmap(lambda k: arrays.arrays(np.float64, (k, 5), elements=st.floats(0.001, 1))))
def test_confidence_and_entropy_are_those_of_scipy(scores: np.ndarray) -> None:
    shares = scores / scores.sum(axis=0)
    found = measure(list(shares))
    np.testing.assert_allclose(found.confidence, shares.max(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.entropy, entropy(shares, axis=0) / np.log(len(shares)), atol=1e-9)
    assert (found.complete, found.fitting) == (5, 5)


@given(arrays.arrays(np.float64, (3, 7), elements=st.floats(width=64)))
def test_whatever_the_entries_are_both_stay_within_0_and_1(scores: np.ndarray) -> None:
    found = measure(list(scores))
    for values in (found.confidence, found.entropy):
        present = values[~np.isnan(values)]
        assert ((present >= 0) & (present <= 1)).all()
        assert present.size == found.fitting


def test_a_row_with_a_missing_entry_or_that_does_not_sum_to_1_is_missing() -> None:
    found = measure([np.array([1.0, 0.2, NAN, 2.0]), np.array([0.0, 0.2, 0.5, -1.0])])
    assert np.isnan(found.confidence).tolist() == [False, True, True, True]
    assert np.isnan(found.entropy).tolist() == [False, True, True, True]
    assert (found.complete, found.fitting) == (3, 1)


def test_a_row_may_sum_to_1_as_nearly_as_half_precision_does() -> None:
    thousand = [np.full(1, 1 / 1000, np.float16) for _ in range(1000)]
    assert measure(thousand).are_probabilities


def test_a_family_has_at_least_two_elements_and_none_left_out() -> None:
    names = ["p[0]", "p[1]", "p[2]", "q[0]", "r[0]", "r[2]", "s", "t[1]", "t[0]", "u[00]", "u[1]"]
    assert families(names) == {"p": ["p[0]", "p[1]", "p[2]"], "t": ["t[0]", "t[1]"]}


def test_probabilities_get_two_more_columns() -> None:
    columns = {"p[0]": np.array([0.5, 1.0]), "p[1]": np.array([0.5, 0.0]), "label": ["a", "b"]}
    found = ClassProbabilities().extended(columns)
    assert {name: list(values) for name, values in found.items() if name not in columns} == {
        "p.confidence": [0.5, 1.0],
        "p.entropy": [1.0, 0.0],
    }


def test_logits_scores_of_one_class_texts_and_embeddings_get_none() -> None:
    for columns in (
        {"p[0]": np.array([3.0]), "p[1]": np.array([-2.0])},
        {"p[0]": np.array([1.0])},
        {"p[0]": ["a"], "p[1]": ["b"]},
        {"p[0]": np.ones((1, 3)), "p[1]": np.ones((1, 3))},
    ):
        assert ClassProbabilities().extended(columns) is columns


def test_lists_with_none_are_read_as_arrays() -> None:
    found = ClassProbabilities().extended({"p[0]": [0.25, None], "p[1]": [0.75, 0.5]})
    np.testing.assert_array_equal(found["p.confidence"], [0.75, NAN])


def test_what_was_not_taken_for_probabilities_is_never_taken_for_them_later() -> None:
    classes = ClassProbabilities()
    classes.extended({"p[0]": np.array([3.0]), "p[1]": np.array([-2.0])})
    columns = {"p[0]": np.array([0.5]), "p[1]": np.array([0.5])}
    assert classes.extended(columns) is columns


def test_probabilities_that_become_logits_are_missing() -> None:
    logits = {"p[0]": np.array([3.0]), "p[1]": np.array([-2.0])}
    seen = ClassProbabilities()
    seen.extended({"p[0]": np.array([0.5]), "p[1]": np.array([0.5])})
    for classes in (seen, ClassProbabilities(["p[0]", "p[1]", "p.confidence", "p.entropy"])):
        found = classes.extended(logits)
        assert {name for name in found if np.isnan(found[name]).all()} == {"p.confidence", "p.entropy"}


def test_a_batch_without_a_complete_row_decides_nothing() -> None:
    classes = ClassProbabilities()
    classes.extended({"p[0]": np.array([NAN]), "p[1]": np.array([NAN])})
    assert "p.entropy" in classes.extended({"p[0]": np.array([0.5]), "p[1]": np.array([0.5])})


def test_a_column_that_the_model_gives_itself_or_that_is_not_wanted_is_not_derived() -> None:
    own = {"p[0]": np.array([0.5]), "p[1]": np.array([0.5]), "p.confidence": np.array([0.9])}
    found = ClassProbabilities(wanted=lambda name: name != "p.entropy").extended(own)
    assert found == own
