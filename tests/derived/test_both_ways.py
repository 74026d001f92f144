"""A baseline of a file and a monitor that saw the same rows have the same derived columns, count by count."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.baseline import Baseline
from exporter.baseline.build import Plan, build
from exporter.derived import derived_names
from exporter.monitor import Monitor
from exporter.rows import Rows, Values
from exporter.schema import Configuration, ModelSpec
from tests.derived.made import texts, vectors

ROWS = 3_000
DERIVED = {*derived_names("t", "text"), *derived_names("e", "embedding")}
NAMES = {"t", "e", *DERIVED}


def entries() -> tuple[list[Any], list[Any]]:
    """Texts and vectors, some missing, some empty or odd."""
    rng = np.random.default_rng(1)
    words: list[Any] = texts(ROWS, rng, 0.1)
    rows: list[Any] = [row.tolist() for row in vectors(ROWS, rng)]
    for at in range(0, ROWS, 50):
        words[at] = None
        words[at + 1] = ""
        rows[at] = None
        rows[at + 1] = rows[at + 1][:-1]
        rows[at + 2] = []
        rows[at + 3] = [*rows[at + 3][:-1], None]
        rows[at + 4] = [*rows[at + 4][:-1], float("inf")]
    return words, rows


def built(folder: Path, words: Sequence[Any], rows: Sequence[Any], **plan: Any) -> Baseline:
    path = folder / "train.parquet"
    pq.write_table(pa.table({"t": words, "e": pa.array(rows, pa.list_(pa.float32()))}), path)
    built_ = build(Plan(path=path, model="m", created=0.0, **plan)).baseline
    built_.write(folder / "baseline.json")
    return Baseline.load(folder / "baseline.json")


def monitor_of(baseline: Baseline | None, *models: ModelSpec, **limits: int) -> Monitor:
    configuration = Configuration(models=models)
    return Monitor(configuration, {} if baseline is None else {"m": baseline}, 0.0, 0.0)


def live(monitor: Monitor, columns: dict[str, Values], count: int, batches: int = 7) -> dict[str, Any]:
    """The views of what *monitor* has after *columns* came in so many batches."""
    for at in np.array_split(np.arange(count), batches):
        part = {name: values[at[0] : at[-1] + 1] for name, values in columns.items()}
        monitor.record(Rows("m", "", "feature", 10.0, at.size, part))
    assert monitor.errors == {"record": 0, "judge": 0, "view": 0}
    return {view.column: view for view in monitor.views(20.0)[0]}


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Baseline:
    return built(tmp_path_factory.mktemp("both"), *entries())


@pytest.mark.parametrize("batches", [1, 7, 1_500])
def test_one_table_has_the_same_counts_built_and_live(baseline: Baseline, batches: int) -> None:
    words, rows = entries()
    views = live(monitor_of(baseline), {"t": words, "e": rows}, ROWS, batches)
    assert set(views) == {name for _, name in baseline.columns} == NAMES
    for (_, name), column in baseline.columns.items():
        view = views[name]
        assert view.kind == column.kind
        assert view.bin_counts is not None
        assert (name, view.bin_counts.tolist()) == (name, column.counts.tolist())
        assert (view.rows, view.missing, view.type_mismatch) == (
            column.rows,
            column.missing,
            column.mismatched,
        )


def test_an_entry_without_a_value_is_missing_in_every_derived_column(baseline: Baseline) -> None:
    odd = ROWS // 50
    missing = {name: column.missing for (_, name), column in baseline.columns.items()}
    shares = {
        "t.ascii": 2 * odd,
        "t.digits": 2 * odd,
        "t.punctuation": 2 * odd,
    }  # an empty text has no characters
    texts_of = dict.fromkeys(derived_names("t", "text"), odd) | shares
    assert missing == {
        "t": odd, "e": 3 * odd, **texts_of, **dict.fromkeys(derived_names("e", "embedding"), 5 * odd),
    }  # fmt: skip
