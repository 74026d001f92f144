"""Bins: every value has one, labels sort in bin order, and equal bins have equal names."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sketch import CategoryBins, NumericBins, bins_from_json

BIG = float(np.finfo(np.float64).max)


def atom(value: float) -> list[float]:
    return [value, math.nextafter(value, math.inf)]


def test_each_value_falls_between_its_edges() -> None:
    bins = NumericBins(np.array([-1.0, 0.0, 5.0]))
    values = np.array([-np.inf, -1.0000001, -1.0, -0.0, 0.0, 4.999, 5.0, np.inf])
    assert bins.index(values).tolist() == [0, 0, 1, 2, 2, 2, 3, 3]
    assert bins.count(values).tolist() == [2, 1, 3, 2]
    assert bins.size == 4


def test_an_atom_holds_one_value_alone() -> None:
    bins = NumericBins(np.array(atom(250.0)))
    below, above = math.nextafter(250.0, 0.0), math.nextafter(250.0, 300.0)
    assert bins.count(np.array([below, 250.0, 250.0, above])).tolist() == [1, 2, 1]
    assert NumericBins(np.array(atom(0.0))).count(np.array([0.0, -0.0, 5e-324])).tolist() == [0, 2, 1]


edges = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=120, unique=True).map(
    sorted
)


@given(edges=edges, values=st.lists(st.floats(allow_nan=False), max_size=50))
def test_counting_is_what_the_definition_says(edges: list[float], values: list[float]) -> None:
    edges = sorted({edge + 0.0 for edge in edges})  # 0.0 and -0.0 are one edge
    bins = NumericBins(np.array(edges))
    bounds = [-math.inf, *edges, math.inf]
    expected = [sum(low <= v < high for v in values) for low, high in pairwise(bounds)]
    expected[-1] += values.count(math.inf)
    array = np.array(values, dtype=np.float64)
    assert bins.count(array).tolist() == expected
    assert bins.count_sorted(np.sort(array)).tolist() == expected


@given(edges=edges)
def test_labels_sort_in_bin_order_and_differ(edges: list[float]) -> None:
    labels = NumericBins(np.array(sorted({edge + 0.0 for edge in edges}))).labels
    assert list(labels) == sorted(set(labels))


@given(edges=edges)
def test_json_reads_back_to_the_last_digit(edges: list[float]) -> None:
    bins = NumericBins(np.array(sorted({edge + 0.0 for edge in edges})))
    again = bins_from_json(json.loads(json.dumps(bins.to_json())))
    assert again == bins
    assert (again.id, hash(again), again.labels) == (bins.id, hash(bins), bins.labels)


LABELS = [
    ([80.0, 4984.0], ("00 < 80", "01 [80, 4984)", "02 >= 4984")),
    ([-0.0], ("00 < 0", "01 >= 0")),
    ([*atom(250.0)], ("00 < 250", "01 = 250", "02 > 250")),
    ([80.0, *atom(250.0), 300.0], ("00 < 80", "01 [80, 250)", "02 = 250", "03 (250, 300)", "04 >= 300")),
    ([*atom(0.0), *atom(1.0)], ("00 < 0", "01 = 0", "02 (0, 1)", "03 = 1", "04 > 1")),
    ([0.1, 0.30000000000000004], ("00 < 0.1", "01 [0.1, 0.3)", "02 >= 0.3")),
    ([1.00000001, 1.00000002], ("00 < 1.00000001", "01 [1.00000001, 1.00000002)", "02 >= 1.00000002")),
    ([1234567.0, 1e300], ("00 < 1234567", "01 [1234567, 1e+300)", "02 >= 1e+300")),
]


@pytest.mark.parametrize(("edges", "labels"), LABELS)
def test_labels_read_as_intervals(edges: list[float], labels: tuple[str, ...]) -> None:
    assert NumericBins(np.array(edges)).labels == labels


def test_labels_of_more_than_a_hundred_bins_still_sort() -> None:
    labels = NumericBins(np.arange(120.0)).labels
    assert (labels[0], labels[7], labels[120]) == ("000 < 0", "007 [6, 7)", "120 >= 119")


def test_the_id_names_the_edges() -> None:
    # In every fleet's counters: it must not change between releases.
    assert NumericBins(np.array([0.0, 1.0])).id == NumericBins(np.array([-0.0, 1.0])).id == "4d5ba9c7"
    assert CategoryBins(("AA", "é")).id == "392fffef"
    assert NumericBins(np.array([0.0, math.nextafter(1.0, 2.0)])).id != NumericBins(np.array([0.0, 1.0])).id
    assert CategoryBins(("é", "AA")).id != CategoryBins(("AA", "é")).id
    assert CategoryBins(("AA", "é"), frozenset({"B"})).id == CategoryBins(("AA", "é")).id


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([], "at least one"),
        ([[1.0]], r"found shape \(1, 1\)"),
        ([1.0, math.nan], "finite numbers, found nan"),
        ([1.0, math.inf], "finite numbers, found inf"),
        ([1.0, 1.0], "ascending numbers, found 1.0 before 1.0"),
        ([2.0, 1.0], "ascending numbers, found 2.0 before 1.0"),
        ([-0.0, 0.0], "ascending"),
    ],
)
def test_edges_that_make_no_bins_are_refused(edges: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NumericBins(np.array(edges))


def test_edges_are_the_bins_own() -> None:
    mine = np.array([1.0, 2.0])
    bins = NumericBins(mine)
    mine[0] = 9.0
    assert bins.edges.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        bins.edges[0] = 3.0


def test_the_largest_float_has_a_bin() -> None:
    bins = NumericBins(np.array([-BIG, BIG]))
    assert bins.count(np.array([-math.inf, -BIG, 0.0, BIG, math.inf])).tolist() == [1, 2, 2]


def test_categories_are_counted_and_the_unknown_told_apart() -> None:
    bins = CategoryBins(("UA", "AA"), frozenset({"HA"}))
    counts, unseen = bins.count(["AA", "UA", "AA", "HA", "??", ""])
    assert (counts.tolist(), unseen) == ([1, 2, 3], 2)
    counts, unseen = bins.count(["AA", "??"], [5, 7])
    assert (counts.tolist(), unseen) == ([0, 5, 7], 7)
    counts, unseen = bins.count([], [])
    assert (counts.tolist(), counts.dtype, unseen) == ([0, 0, 0], np.int64, 0)


def test_category_labels_are_one_line_and_bounded() -> None:
    bins = CategoryBins(("other", "a\nb", "x" * 100, "日本"))
    assert bins.labels == ("00 other", "01 a\\nb", "02 " + "x" * 79 + "…", "03 日本", "04 other")


def test_categories_read_back_and_repeat_not() -> None:
    bins = CategoryBins(("UA", "AA"), frozenset({"HA", "UA"}))
    again = bins_from_json(json.loads(json.dumps(bins.to_json())))
    assert again == bins
    assert bins.known == {"UA", "AA", "HA"}
    assert bins != CategoryBins(("UA", "AA"))
    with pytest.raises(ValueError, match="'UA' twice"):
        CategoryBins(("UA", "AA", "UA"))


def test_a_document_of_neither_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"found \['bins'\]"):
        bins_from_json({"bins": []})
