"""What a baseline keeps of an embedding, and how far the last hour's vectors are from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from exporter.baseline import Baseline, BaselineError
from exporter.baseline import document as files
from exporter.baseline.build import Plan, build
from exporter.baseline.vectors import SAMPLE, VectorSurvey
from exporter.embedding import Projections, Reference
from exporter.monitor import Monitor
from exporter.monitor.vectors import VectorWindow
from exporter.rows import Rows, Values
from exporter.schema import ColumnSpec, Configuration, ModelSpec
from tests.backtest.made import MONDAY, iso, write
from tests.derived.made import DIMENSION, ROTATION, texts, vectors

HOURS = 48
ROWS_AN_HOUR = 100


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vectors")
    rng = np.random.default_rng(1)
    count = HOURS * ROWS_AN_HOUR
    columns = {
        "time": [iso(MONDAY + at * 3600 / ROWS_AN_HOUR) for at in range(count)],
        "e": pa.array(list(vectors(count, rng)), pa.list_(pa.float32())),
        "answer": texts(count, rng),
        "place": rng.choice(["a", "b"], count).tolist(),
    }
    path = write(folder / "train.parquet", columns)
    spec = ModelSpec(
        name="m",
        predictions=(ColumnSpec(name="answer", kind="text"), ColumnSpec(name="e")),
        slices=("place",),
    )
    plan = Plan(path=path, model="m", created=0.0, timestamp="time", spec=spec)
    build(plan).baseline.write(folder / "baseline.json")
    return folder / "baseline.json"


@pytest.fixture(scope="module")
def reference(file: Path) -> Reference:
    found = Baseline.load(file).columns["prediction", "e"].embedding
    assert found is not None
    return found


def test_a_frame_reads_back_as_it_was_written(reference: Reference) -> None:
    again = files.decode_embedding(files.encode_embedding(reference))
    assert again.frame.centroid.tolist() == reference.frame.centroid.tolist()
    assert (again.frame.bandwidth, again.spread, again.natural) == (
        reference.frame.bandwidth,
        reference.spread,
        reference.natural,
    )
    assert again.sums.to_bytes() == reference.sums.to_bytes()
    assert reference.sums.count == HOURS * ROWS_AN_HOUR
    assert reference.frame.dimension == DIMENSION
    assert reference.natural < 0.1 * reference.spread.total / ROWS_AN_HOUR  # its hours differ by chance alone


def test_slices_have_the_derived_columns_and_no_frame_of_their_own(file: Path) -> None:
    baseline = Baseline.load(file)
    parts = baseline.slices["place", "a"], baseline.slices["place", "b"]
    assert {"answer", "answer.language", "e", "e.cosine"} <= set(parts[0])
    assert {part["e"].embedding for part in parts} == {None}
    whole = baseline.columns["prediction", "e.cosine"].counts
    assert sum(part["e.cosine"].counts for part in parts).tolist() == whole.tolist()


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.update(bandwidth=0.0),
        lambda e: e.update(centroid="AAA="),
        lambda e: e.update(centroid=""),
        lambda e: e.update(centroid=files.encode_bytes(np.full(2, np.nan, "<f4").tobytes())),
        lambda e: e.update(sums="AAAA"),
        lambda e: e.update(sums="?"),
    ],
    ids=["no bandwidth", "half a number", "no centroid", "no number", "other bytes", "no base64"],
)
def test_a_damaged_frame_is_refused(
    file: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    plain = json.loads(file.read_text())
    at = next(at for at, column in enumerate(plain["columns"]) if column["name"] == "e")
    change(plain["columns"][at]["embedding"])
    plain["sha256"] = files.digest(plain)
    damaged = tmp_path / "baseline.json"
    damaged.write_text(json.dumps(plain))
    with pytest.raises(BaselineError) as error:
        Baseline.load(damaged)
    assert error.value.key == f"columns[{at}].embedding"


@pytest.mark.parametrize("sizes", [(10_000,), (1, 4_095, 1, 3, 9_000), (700,) * 20])
def test_a_sample_is_evenly_spread_and_bounded_however_the_batches_fall(sizes: tuple[int, ...]) -> None:
    survey = VectorSurvey()
    start = 0
    for size in sizes:
        survey.add(pa.array([[float(at), 1.0] for at in range(start, start + size)]))
        start += size
    step = 1
    while -(-start // step) > SAMPLE:
        step *= 2
    assert survey.sample()[:, 0].tolist() == list(range(0, start, step))
    frame = survey.frame()
    assert frame is not None
    assert frame.centroid.tolist() == [np.float32((start - 1) / 2), 1.0]


@pytest.mark.parametrize(
    "entries",
    [[None, []], [[1e300, 1e300], [-1e300, 1e300]], [[float("nan")], [float("inf")]], [["a"], ["b"]]],
    ids=["none", "too large to add", "no numbers", "texts"],
)
def test_without_vectors_there_is_no_frame(entries: list[Any]) -> None:
    survey = VectorSurvey()
    survey.add(pa.array(entries))
    assert survey.frame() is None


def test_the_last_hour_is_what_its_slots_hold(reference: Reference) -> None:
    window = VectorWindow(reference)
    rng = np.random.default_rng(3)
    start = 1_000_000_200.0
    for slot in range(30):
        window.add(start + 300 * slot, vectors(50, rng).astype(float))
    window.add(start, vectors(50, rng).astype(float))  # two hours late
    now = start + 300 * 29 + 10
    quiet = window.drift(now)
    assert quiet is not None
    assert quiet.mmd_squared < 3 * quiet.chance
    assert quiet.p_value > 0.001
    assert window.drift(now + 3600) is None
    window.add(now, (vectors(600, rng) @ ROTATION).astype(float))
    rotated = window.drift(now)
    assert rotated is not None
    assert rotated.mmd_squared > 20 * rotated.chance
    assert rotated.p_value < 1e-6
    assert window.drift(now - 86_400) is None  # the clock is believed


def test_a_rotation_shows_in_the_view(file: Path) -> None:
    monitor = Monitor(Configuration(), {"m": Baseline.load(file)}, 0.0, 0.0)
    rng = np.random.default_rng(4)
    found = []
    for rows in (vectors(200, rng), vectors(200, rng) @ ROTATION):
        now = 1_000_000_200.0 + 7200 * len(found)
        columns: dict[str, Values] = {"e": rows, "answer": texts(200, rng)}
        monitor.record(Rows("m", "", "prediction", now, 200, columns))
        view = next(view for view in monitor.views(now)[0] if view.column == "e").windows[0]
        assert view.mmd is not None
        found.append(view.mmd / view.mmd_chance)
    assert found[0] < 3 < 10 < found[1]
    assert monitor.errors == {"record": 0, "judge": 0, "view": 0}


def test_sums_over_hours_are_those_of_all_rows(reference: Reference) -> None:
    whole = Projections()
    rng = np.random.default_rng(1)
    whole.update(reference.frame, vectors(HOURS * ROWS_AN_HOUR, rng).astype(float))
    assert abs(whole.mean - reference.sums.mean).max() < 1e-9
