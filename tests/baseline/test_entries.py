from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from exporter.baseline import entries
from exporter.profile import ColumnProfile
from exporter.schema import Kind
from exporter.sketch.bins import Bins, CategoryBins, NumericBins

INF = float("inf")
NUMBERS = NumericBins(np.array([0.0, 1.0, 2.5, 100.0]))
TEXTS = CategoryBins(("true", "1", "UA"), frozenset({"true", "1", "UA"}))
TRUTH = CategoryBins(("false", "true"), frozenset({"false", "true"}))


@pytest.mark.parametrize(
    ("values", "kind", "bins"),
    [
        ([1, None, -5, 2**62, 7], "numeric", NUMBERS),
        ([0.5, None, float("nan"), INF, -INF, 2.5], "numeric", NUMBERS),
        ([True, None, False], "numeric", NUMBERS),
        (["UA", None, "AA", "", "é"], "categorical", TEXTS),
        ([1, 2, None], "categorical", TEXTS),
        ([1.0, 2.5, None, float("nan"), -0.0], "categorical", TEXTS),
        ([True, False, None], "categorical", TEXTS),
        ([b"UA", b"\xff", None], "categorical", TEXTS),
        ([True, None, False, True], "boolean", TRUTH),
        ([1, 0, 7, None], "boolean", TRUTH),
        (["a", "abc", None, "ééé", ""], "text", NUMBERS),
        ([[3.0, 4.0], None, [0.0, 0.5], [1.0, None], [], [1e200, 1e200]], "embedding", NUMBERS),
    ],
)
def test_a_file_counts_what_a_live_profile_counts(values: list[Any], kind: Kind, bins: Bins) -> None:
    live = ColumnProfile(kind, bins)
    live.update(values)
    array = pa.array(values)
    if isinstance(bins, NumericBins):
        numbers = entries.numbers(array, kind)
        present = numbers.values[~np.isnan(numbers.values)]
        counts, mismatched = bins.count(present), int(numbers.mismatched.sum())
        missing = len(values) - present.size - mismatched
    else:
        read = entries.categories(array, kind, canonical=False)
        names = [read.names[code] for code in read.codes if code >= 0]
        counts, mismatched = bins.count(names)[0], int(read.mismatched.sum())
        missing = len(values) - len(names) - mismatched
    assert live.bin_counts is not None
    assert counts.tolist() == live.bin_counts.tolist()
    assert (missing, mismatched) == (live.missing, live.type_mismatch)


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (pa.array([1, 2]), "numeric"),
        (pa.array([0, 1]), "numeric"),
        (pa.array([1.5]), "numeric"),
        (pa.array([Decimal("1.5")]), "numeric"),
        (pa.array([True]), "boolean"),
        (pa.array(["a"]).dictionary_encode(), "categorical"),
        (pa.array([b"\xff"]), "categorical"),
        (pa.array([[1.0, 2.0]]), "embedding"),
        (pa.array([["a"]]), "it holds lists of string"),
        (pa.array([{"a": 1}]), "it holds values of type struct<a: int64>"),
        (pa.array([dt.date(2013, 1, 1)]), "it holds times"),
        (pa.array(["2013-01-01", "2013-01-01T05:00:00Z"]), "it holds times"),
        (pa.array([None, None]), None),
        (pa.array([None], pa.string()), None),
        (pa.array([], pa.string()), None),
    ],
)
def test_kinds_are_inferred(array: pa.Array, kind: str | None) -> None:
    assert entries.infer(array, from_csv=False) == kind


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1", "-2.5e3", "inf"], "numeric"),
        (["0", "1"], "numeric"),
        (["00501", "10001"], "categorical"),
        (["0.5", "0"], "numeric"),
        (["True", "false", " TRUE"], "boolean"),
        (["1"] * 19 + ["x"], "numeric"),
        (["1"] * 18 + ["x"], "categorical"),
        (["1,5"], "categorical"),
        (["0x10"], "categorical"),
        (["1_000"], "categorical"),
        (["2013-01-01"], "it holds times"),
        (["2013-01-01", "later"], "categorical"),
    ],
)
def test_kinds_of_csv_texts_are_inferred(texts: list[str], kind: str) -> None:
    assert entries.infer(pa.array(texts), from_csv=True) == kind


def test_texts_that_are_no_numbers_are_mismatches_and_not_missing() -> None:
    read = entries.numbers(pa.array(["1", "x", None, " 2 ", "٣"]), "numeric")
    assert read.values.tolist()[:1] + read.values.tolist()[3:4] == [1.0, 2.0]
    assert np.isnan(read.values).tolist() == [False, True, True, False, True]
    assert read.mismatched.tolist() == [False, True, False, False, True]


def test_a_number_that_no_float_holds_is_infinite() -> None:
    read = entries.numbers(pa.array(["1" + "0" * 400, "-1" + "0" * 400]), "numeric")
    assert read.values.tolist() == [INF, -INF]


def test_numbers_that_csv_wrote_with_a_point_are_the_live_categories() -> None:
    read = entries.categories(pa.array(["3.0", "3", "4", None, "x"]), "categorical", canonical=True)
    assert read.names == ["3", "4", "x"]
    assert read.codes.tolist() == [0, 0, 1, -1, 2]


def test_truth_is_read_from_words_and_digits() -> None:
    read = entries.categories(
        pa.array(["TRUE", "0", "1.0", "False", "maybe", None]), "boolean", canonical=True
    )
    assert [read.names[code] if code >= 0 else None for code in read.codes] == [
        "true",
        "false",
        "true",
        "false",
        None,
        None,
    ]
    assert read.mismatched.tolist() == [False, False, False, False, True, False]


def test_vectors_of_a_fixed_length_have_norms_too() -> None:
    vectors = pa.array([[3.0, 4.0], None, [0.0, 1.0]], pa.list_(pa.float32(), 2))
    for array, expected in ((vectors, [5.0, np.nan, 1.0]), (vectors.slice(1), [np.nan, 1.0])):
        assert np.array_equal(entries.numbers(array, "embedding").values, expected, equal_nan=True)
    assert entries.numbers(pa.array(["1", None]), "embedding").mismatched.tolist() == [True, False]


def test_structures_are_no_categories() -> None:
    read = entries.categories(pa.array([{"a": 1}, None]), "categorical", canonical=False)
    assert (read.names, read.mismatched.tolist()) == ([], [True, False])
