from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.baseline import Baseline
from exporter.baseline.compare import Change, compare, rebin
from tests.baseline.made import built, parquet_file

RNG = np.random.default_rng(5)
AMOUNT = RNG.gamma(2.0, 50.0, 20_000)
CARRIER = RNG.choice(["UA", "AA", "DL"], 20_000, p=[0.12, 0.48, 0.4]).tolist()


def of(directory: Path, name: str, columns: dict[str, Any]) -> Baseline:
    return built(parquet_file(directory, columns, f"{name}.parquet")).baseline


def only(a: Baseline, b: Baseline) -> Change:
    changes = compare(a, b)
    assert len(changes) == 1
    return changes[0]


def test_a_baseline_has_not_moved_from_itself(tmp_path: Path) -> None:
    a = of(tmp_path, "a", {"amount": AMOUNT, "carrier": CARRIER})
    assert {(change.name, change.status, change.psi, change.sentence) for change in compare(a, a)} == {
        ("amount", "same", 0.0, "no more than chance"),
        ("carrier", "same", 0.0, "no more than chance"),
    }


def test_another_sample_of_the_same_has_not_moved(tmp_path: Path) -> None:
    other = np.random.default_rng(6)
    a = of(tmp_path, "a", {"amount": AMOUNT})
    change = only(a, of(tmp_path, "b", {"amount": other.gamma(2.0, 50.0, 20_000)}))
    assert (change.status, change.rebinned) == ("same", True)


def test_what_moved_is_told_in_a_sentence_furthest_first(tmp_path: Path) -> None:
    a = of(tmp_path, "a", {"near": AMOUNT, "far": AMOUNT, "still": AMOUNT, "gone": AMOUNT})
    b = of(
        tmp_path,
        "b",
        {"still": AMOUNT, "near": AMOUNT + 12.0, "far": AMOUNT * 1.609344, "fresh": AMOUNT},
    )
    changes = compare(a, b)
    assert [(change.name, change.status, change.sentence) for change in changes] == [
        ("gone", "vanished", "is in the first alone"),
        ("fresh", "new", "is in the second alone, numeric"),
        (
            "far",
            "moved",
            "median 1.61 × that of the baseline, as miles sent as kilometres would be",
        ),
        ("near", "moved", "median +12"),
        ("still", "same", "no more than chance"),
    ]
    assert changes[2].psi is not None
    assert changes[3].psi is not None
    assert changes[2].psi > changes[3].psi > 0.01


def test_missing_entries_are_told(tmp_path: Path) -> None:
    emptied = AMOUNT.copy()
    emptied[: 20_000 * 31 // 100] = np.nan
    change = only(of(tmp_path, "a", {"x": AMOUNT}), of(tmp_path, "b", {"x": emptied}))
    assert (change.missing_before, change.missing_now) == (0.0, 0.31)
    assert change.sentence == "missing 0 % → 31 %"


def test_categories_come_and_go_and_change_their_shares(tmp_path: Path) -> None:
    now = ["UA" if at % 2 else "AA" for at in range(19_000)] + [f"new{at % 4}" for at in range(1_000)]
    change = only(of(tmp_path, "a", {"c": CARRIER}), of(tmp_path, "b", {"c": now}))
    assert change.new_categories == ("new0", "new1", "new2", "new3")
    assert change.vanished_categories == ("DL",)
    assert change.sentence.startswith('share of "DL" 40 % → 0 %; 4 new categories: "new0", "new1", "new2", …')
    assert change.sentence.endswith('; 1 vanished category: "DL"')


def test_a_column_of_another_kind_is_told(tmp_path: Path) -> None:
    change = only(of(tmp_path, "a", {"c": CARRIER}), of(tmp_path, "b", {"c": AMOUNT}))
    assert (change.status, change.psi, change.sentence) == ("retyped", None, "was categorical, is numeric")


def test_rebinned_counts_are_near_the_true_ones(tmp_path: Path) -> None:
    a = of(tmp_path, "a", {"x": AMOUNT}).columns["feature", "x"]
    other = np.random.default_rng(8).gamma(3.0, 40.0, 50_000)
    b = of(tmp_path, "b", {"x": other}).columns["feature", "x"]
    counts = rebin(b, a)
    assert counts is not None
    true = a.bins.count(other)  # type: ignore[arg-type]
    assert counts / counts.sum() == pytest.approx(true / true.sum(), abs=0.006)


def test_rebinning_keeps_heavy_values_apart(tmp_path: Path) -> None:
    few = np.repeat([0.0, 1.0, 2.0], [600, 300, 100])
    a = of(tmp_path, "a", {"x": few}).columns["feature", "x"]
    b = of(tmp_path, "b", {"x": np.repeat([0.0, 1.0, 3.0], [500, 400, 100])}).columns["feature", "x"]
    counts = rebin(b, a)
    assert counts is not None
    assert dict(zip(a.bins.labels, counts.tolist(), strict=True)) == {
        "00 < 0": 0,
        "01 [0, 1)": 500,
        "02 [1, 2)": 400,
        "03 = 2": 0,
        "04 > 2": 100,
    }
