"""What norms and lengths do not show is found by a backtest: a rotation, another language."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.backtest.made import DAY, HOUR, LIVE, MONDAY, REFERENCE_DAYS, backtest, iso, modelmeter, write
from tests.derived.made import ROTATION, texts, vectors

ROWS_AN_HOUR = 40
LIVE_DAYS = 3
CHANGE = LIVE + DAY + 12 * HOUR
"""Then vectors are rotated and half of the texts are Spanish."""


def table(start: float, days: float, seed: int, change: float | None = None) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    count = int(days * 24 * ROWS_AN_HOUR)
    times = start + np.arange(count) * HOUR / ROWS_AN_HOUR
    before = count if change is None else int(np.searchsorted(times, change))
    after = count - before
    rows = vectors(count, rng)
    rows[before:] = (rows[before:] @ ROTATION).astype(np.float32)
    return {
        "time": [iso(time) for time in times],
        "e": pa.array(list(rows), pa.list_(pa.float32())),
        "t": texts(before, rng) + texts(after, rng, 0.5),
    }


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("replayed")
    reference = write(folder / "reference.parquet", table(MONDAY, REFERENCE_DAYS, 1))
    baseline = folder / "baseline.json"
    made = modelmeter("baseline", "build", reference, "--timestamp", "time", "-o", baseline)
    assert made.exit_code == 0, made.output
    live = write(folder / "live.parquet", table(LIVE, LIVE_DAYS, 2, CHANGE))
    return backtest(live, baseline).lines


def paging(lines: list[dict[str, Any]], *, after: bool) -> set[str]:
    """Columns that page before the change, or within a day of it."""
    start, end = (iso(CHANGE), iso(CHANGE + DAY)) if after else ("", iso(CHANGE))
    return {
        line["column"]
        for line in lines
        if line["verdict"] == "drifted" and (start <= line["start"] < end if after else line["end"] <= end)
    }


def test_nothing_pages_before_the_change(lines: list[dict[str, Any]]) -> None:
    assert paging(lines, after=False) == set()


def test_a_rotation_that_keeps_every_norm_is_found_in_cosine_and_projections(
    lines: list[dict[str, Any]],
) -> None:
    found = {name for name in paging(lines, after=True) if name.startswith("e")}
    assert "e.cosine" in found
    assert {name.rpartition("_")[0] for name in found - {"e.cosine"}} == {"e.projection"}


def test_another_language_is_found_and_named(lines: list[dict[str, Any]]) -> None:
    assert "t.language" in paging(lines, after=True)
    moved = next(line for line in lines if (line["column"], line["verdict"]) == ("t.language", "drifted"))
    assert moved["onset"] >= iso(CHANGE - HOUR)
    assert moved["fault"] == "unseen_category"


def test_no_derived_column_is_taken_for_another(lines: list[dict[str, Any]]) -> None:
    named = {line["fault"] for line in lines if "." in line["column"] and line["fault"]}
    assert named
    assert "swapped" not in named


def test_every_line_is_of_a_column_of_the_baseline(lines: list[dict[str, Any]]) -> None:
    judged = {line["column"] for line in lines if line["verdict"] not in ("insufficient", "learning")}
    assert judged == {
        *("e", "e.cosine", "e.projection_0", "e.projection_1", "e.projection_2", "e.projection_3"),
        *("t", "t.tokens", "t.ascii", "t.digits", "t.punctuation", "t.script", "t.language"),
    }
