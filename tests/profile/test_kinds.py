"""What each kind makes of each sort of entry, as the docstrings' tables say."""

from __future__ import annotations

import datetime
import decimal
import math
from typing import Any, NamedTuple

import numpy as np
import pytest

from exporter.profile import ColumnProfile, infer_kind
from exporter.schema import Kind
from exporter.sketch import CategoryBins, NumericBins

NUMERIC = NumericBins(np.array([0.0, 10.0]))
FLAGS = CategoryBins(("false", "true"))
HUGE = 10**400


class Case(NamedTuple):
    """Entries, and what is to be counted of them."""

    kind: Kind
    values: Any
    missing: int = 0
    mismatch: int = 0
    infinite: int = 0
    bins: tuple[int, ...] = (0, 0, 0)


CASES = {
    "numbers": Case("numeric", [-1, 0, 5.5, 10, 1e300], bins=(1, 2, 2)),
    "booleans are 0 and 1": Case("numeric", [True, False, True], bins=(0, 3, 0)),
    "infinities are in the outer bins": Case("numeric", [math.inf, -math.inf, 1], infinite=2, bins=(1, 1, 1)),
    "huge integers are infinite": Case("numeric", [HUGE, -HUGE, 5], infinite=2, bins=(1, 1, 1)),
    "large integers": Case("numeric", [2**63, -(2**63), 10**300], bins=(1, 0, 2)),
    "None and NaN": Case("numeric", [None, math.nan, 1], missing=2, bins=(0, 1, 0)),
    "text is never parsed": Case("numeric", ["1.5", b"2", "nan", "", 1], mismatch=4, bins=(0, 1, 0)),
    "lists, dicts, complex, dates": Case(
        "numeric",
        [[1], {}, 1j, datetime.date(2013, 1, 1), object(), None, 3],
        missing=1,
        mismatch=5,
        bins=(0, 1, 0),
    ),
    "numpy scalars and decimals": Case(
        "numeric", [np.float32(0.5), np.int8(-3), np.bool_(True), decimal.Decimal("10.5")], bins=(1, 2, 1)
    ),
    "all at once": Case("numeric", [None, "x", HUGE, math.nan, 1, True], 2, 1, 1, (0, 2, 1)),
    "all null": Case("numeric", [None] * 5, missing=5),
    "all NaN": Case("numeric", np.full(5, np.nan), missing=5),
    "empty": Case("numeric", []),
    "empty array": Case("numeric", np.empty(0)),
    "float array": Case("numeric", np.array([np.nan, -np.inf, np.inf, 1.0, -0.0]), 1, 0, 2, (1, 2, 1)),
    "boolean array": Case("numeric", np.array([True, False]), bins=(0, 2, 0)),
    "unsigned array": Case("numeric", np.array([2**64 - 1, 0], np.uint64), bins=(0, 1, 1)),
    "half precision": Case("numeric", np.array([0.5, np.nan, np.inf], np.float16), 1, 0, 1, (0, 1, 1)),
    "big-endian, strided, read-only": Case(
        "numeric",
        np.frombuffer(np.array([1.0, -1.0, 20.0, 20.0], ">f8").tobytes(), ">f8")[::2],
        bins=(0, 1, 1),
    ),
    "object array": Case("numeric", np.array([1, None, "x"], object), 1, 1, 0, (0, 1, 0)),
    "text array": Case("numeric", np.array(["1", "2"]), mismatch=2),
    "complex array": Case("numeric", np.array([1j]), mismatch=1),
    "date array": Case("numeric", np.array(["2013-01-01"], "M8[D]"), mismatch=1),
    "two dimensions": Case("numeric", np.ones((3, 2)), mismatch=3),
    "flags": Case("boolean", [True, False, 1, 0, 1.0, np.bool_(False)], bins=(3, 3, 0)),
    "flags that are none": Case(
        "boolean", [True, 2, 0.5, "true", None, math.nan, math.inf], 2, 4, 0, (0, 1, 0)
    ),
    "flag arrays": Case("boolean", np.array([True, True, False]), bins=(1, 2, 0)),
    "flags as floats": Case("boolean", np.array([0.0, 1.0, np.nan, 7.0]), 1, 1, 0, (1, 1, 0)),
    "norms": Case("embedding", [[3.0, 4.0], [30, 40], [0.0]], bins=(0, 2, 1)),
    "norms of an array": Case("embedding", np.array([[3, 4], [30, 40]], np.float32), bins=(0, 1, 1)),
    "embeddings with holes": Case(
        "embedding", [None, [], [1.0, math.nan], [None, 1.0], [1.0]], 4, 0, 0, (0, 1, 0)
    ),
    "array with holes": Case("embedding", np.array([[1.0, np.nan], [6.0, 8.0]]), 1, 0, 0, (0, 0, 1)),
    "no embeddings": Case("embedding", ["text", 1.5, {}, ["1"], [[1.0]], b"ab"], mismatch=6),
    "plain array is no embedding": Case("embedding", np.ones(4), mismatch=4),
    "rows without elements": Case("embedding", np.ones((4, 0)), missing=4),
    "a norm beyond float64": Case("embedding", [[1e308, 1e308], [HUGE]], infinite=2, bins=(0, 0, 2)),
    "lengths": Case("text", ["", "日本", "x" * 10, b"abc", None, ["x"]], 1, 1, 0, (0, 3, 1)),
    "lengths of scalars": Case("text", [True, 12345678901], bins=(0, 1, 1)),
}


@pytest.mark.parametrize("name", CASES)
def test_an_entry_means_what_the_table_says(name: str) -> None:
    case = CASES[name]
    profile = ColumnProfile(case.kind, FLAGS if case.kind == "boolean" else NUMERIC)
    profile.update(case.values)
    assert profile.bin_counts is not None
    found = (profile.missing, profile.type_mismatch, profile.infinite, tuple(profile.bin_counts.tolist()))
    assert found == (case.missing, case.mismatch, case.infinite, case.bins)
    assert profile.rows == len(case.values) == case.missing + case.mismatch + sum(case.bins)
    assert profile.tally.unseen == 0
    finite = sum(case.bins) - case.infinite
    if profile.moments is not None and profile.quantiles is not None:
        assert profile.moments.count == profile.quantiles.count == finite
        assert profile.quantiles.nan == 0
    assert profile.frequent.total == finite


CATEGORIES = {
    "text": (["UA", "AA", "UA", "日本", ""], {"UA": 2, "AA": 1, "日本": 1, "": 1}),
    "bytes": ([b"UA", "UA", b"caf\xc3\xa9", b"\xff\xfe"], {"UA": 2, "café": 1, "\\xff\\xfe": 1}),
    "a lone surrogate": (["\ud800", "a\udfffb"], {"\\ud800": 1, "a\\udfffb": 1}),
    "one, one, true": ([1, 1.0, True, "1", "true"], {"1": 3, "true": 2}),
    "integers": ([5, -5, 10**30, 5], {"5": 2, "-5": 1, str(10**30): 1}),
    "floats": ([0.1, 2.0, -0.0, 0.0, 1e16, math.inf], {"0.1": 1, "2": 1, "0": 2, "1e+16": 1, "inf": 1}),
    "narrow floats": (np.array([0.1, 3.0, np.nan], np.float32), {"0.1": 1, "3": 1}),
    "half floats": (np.array([0.1, 3.0], np.float16), {"0.1": 1, "3": 1}),
    "numpy scalars": (
        [np.float32(0.1), np.int64(4), np.str_("x"), np.bool_(True)],
        {"0.1": 1, "4": 1, "x": 1, "true": 1},
    ),
    "arrays of integers": (np.array([3, 3, 1], np.int8), {"3": 2, "1": 1}),
    "arrays of flags": (np.array([True, False, True]), {"true": 2, "false": 1}),
    "arrays of text": (np.array(["a", "b", "a"]), {"a": 2, "b": 1}),
    "arrays of bytes": (np.array([b"a", b"\xff"]), {"a": 1, "\\xff": 1}),
    "arrays of objects": (np.array(["a", 1, None, [1]], object), {"a": 1, "1": 1}),
    "missing": ([None, math.nan, np.float64("nan"), "a"], {"a": 1}),
    "no categories": ([[1], {"a": 1}, 1j, datetime.date(2013, 1, 1), decimal.Decimal(1), "a"], {"a": 1}),
    "arrays of dates": (np.array(["2013-01-01"], "M8[D]"), {}),
    "two dimensions": (np.ones((2, 2)), {}),
    "nothing": ([], {}),
}
MISSING = {"narrow floats": 1, "arrays of objects": 1, "missing": 3}
MISMATCH = {"arrays of objects": 1, "no categories": 5, "arrays of dates": 1, "two dimensions": 2}


@pytest.mark.parametrize("name", CATEGORIES)
def test_a_category_has_the_text_the_table_says(name: str) -> None:
    values, expected = CATEGORIES[name]
    profile = ColumnProfile("categorical", CategoryBins(("UA",), frozenset({"UA", "a"})))
    profile.update(values)
    assert {item: lower for item, lower, _ in profile.frequent.top()} == expected
    assert (profile.missing, profile.type_mismatch) == (MISSING.get(name, 0), MISMATCH.get(name, 0))
    assert profile.distinct.estimate() == len(expected)
    assert profile.bin_counts is not None
    ours = expected.get("UA", 0)
    assert profile.bin_counts.tolist() == [ours, sum(expected.values()) - ours]
    assert profile.unseen == sum(expected.values()) - ours - expected.get("a", 0)
    assert profile.rows == len(values) == profile.missing + profile.type_mismatch + sum(expected.values())
    assert (profile.moments, profile.quantiles) == (None, None)


def test_long_texts_are_cut_and_still_differ() -> None:
    profile = ColumnProfile("categorical")
    same = "x" * 100_000
    profile.update([same + "a", same + "b", same + "a", "é" * 200, "é" * 201])
    texts = {item: lower for item, lower, _ in profile.frequent.top()}
    assert sorted(texts.values()) == [1, 1, 1, 2]
    assert max(map(len, map(str, texts))) == 200
    assert profile.distinct.estimate() == 4


def test_a_text_is_measured_before_it_is_cut() -> None:
    profile = ColumnProfile("text", range=(0, 1000))
    profile.update(["x" * 5000, "x" * 5000, "short"])
    assert profile.moments is not None
    assert (profile.moments.maximum, profile.moments.mean, profile.out_of_range) == (5000, 10_005 / 3, 2)
    assert profile.distinct.estimate() == 2


def test_an_integer_too_long_to_write_in_decimal_has_a_text() -> None:
    profile = ColumnProfile("categorical")
    profile.update([10**5000, 10**5000])
    (only,) = profile.frequent.top()
    assert str(only.item).startswith("0x")
    assert only.lower == 2


KINDS: list[tuple[Any, Kind | None]] = [
    ([], None),
    ([None, math.nan], None),
    (np.array([]), None),
    (np.array([np.nan]), None),
    (np.array([], bool), None),
    (np.array([np.nan, 1.0]), "numeric"),
    (np.array([0, 1]), "numeric"),
    (np.array([True]), "boolean"),
    (np.ones((2, 3)), "embedding"),
    (np.array(["a"]), "categorical"),
    (np.array([None, 2], object), "numeric"),
    ([None, 1, 2.5, True], "numeric"),
    ([np.float32(1)], "numeric"),
    ([0, 1], "numeric"),
    ([True, None, False], "boolean"),
    (["UA", None], "categorical"),
    (["UA", 5], "categorical"),
    ([b"UA"], "categorical"),
    (["x" * 65, "y" * 64], "text"),
    (["x" * 64], "categorical"),
    ([[1.0, 2.0], None], "embedding"),
    ([np.ones(3)], "embedding"),
    ([{}], "categorical"),
]


@pytest.mark.parametrize(("values", "kind"), KINDS)
def test_the_kind_is_inferred(values: Any, kind: Kind | None) -> None:
    assert infer_kind(values) == kind
