"""Class probabilities in a file: the baseline has the columns that the recorder will derive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.baseline import Baseline
from exporter.baseline.build import Plan, build
from exporter.profile.probabilities import measure
from exporter.schema import ColumnSpec, ModelSpec

PREDICTIONS = ("p[0]", "p[1]", "p[2]", "q[0]", "q[1]")


def table(rows: int = 400) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(3), rows).T.copy()
    shares[:, 7] = np.nan
    logits = rng.normal(size=(2, rows))
    return {
        "x": rng.normal(size=rows),
        **{f"p[{at}]": share for at, share in enumerate(shares)},
        **{f"q[{at}]": logit for at, logit in enumerate(logits)},
    }


def write(folder: Path, suffix: str, columns: dict[str, np.ndarray]) -> Path:
    path = folder / f"train.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.table(columns), path)
    else:
        rows = zip(*columns.values(), strict=True)
        lines = [
            ",".join(columns),
            *(",".join("" if v != v else repr(float(v)) for v in row) for row in rows),
        ]
        path.write_text("\n".join(lines) + "\n")
    return path


def built(path: Path, **more: object) -> Baseline:
    plan = Plan(path=path, model="m", created=0.0, predictions=PREDICTIONS, **more)  # type: ignore[arg-type]
    return build(plan).baseline


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_probabilities_of_a_file_have_confidence_and_entropy_and_logits_have_none(
    tmp_path: Path, suffix: str
) -> None:
    columns = table()
    baseline = built(write(tmp_path, suffix, columns))
    assert {name for role, name in baseline.columns if role == "prediction"} == {
        *PREDICTIONS,
        "p.confidence",
        "p.entropy",
    }
    expected = measure([columns[f"p[{at}]"] for at in range(3)])
    for name, values in (("p.confidence", expected.confidence), ("p.entropy", expected.entropy)):
        column = baseline.columns["prediction", name]
        present = values[~np.isnan(values)]
        assert (column.rows, column.missing, column.kind) == (400, 1, "numeric")
        assert column.counts.tolist() == column.bins.count(present).tolist()
        assert column.moments.mean == pytest.approx(present.mean())


def test_a_derived_column_that_is_not_monitored_or_not_declared_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, "parquet", table())
    unwanted = ModelSpec(name="m", predictions=(ColumnSpec(name="p.entropy", monitored=False),))
    declared = (*(ColumnSpec(name=name) for name in PREDICTIONS), ColumnSpec(name="p.entropy"))
    only = ModelSpec(name="m", predictions=declared, only_declared=True)
    found = [
        {name for _, name in built(path, spec=spec).columns if name.startswith("p.")}
        for spec in (unwanted, only)
    ]
    assert found == [{"p.confidence"}, {"p.entropy"}]


def test_a_column_of_the_file_is_never_replaced(tmp_path: Path) -> None:
    columns = table() | {"p.confidence": np.full(400, 0.5)}
    baseline = built(write(tmp_path, "parquet", columns), ignored=())
    assert baseline.columns["feature", "p.confidence"].moments.mean == 0.5
    assert not {("prediction", "p.confidence"), ("prediction", "p.entropy")} & set(baseline.columns)
