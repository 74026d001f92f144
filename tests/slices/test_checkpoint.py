"""A recorder that goes on from a checkpoint still has the hours of its slices; their counters begin at 0."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

import numpy as np
import pytest

from exporter.checkpoint import Store
from exporter.monitor import Monitor, restore, save
from exporter.rows import Rows
from exporter.schema import ColumnSpec, Configuration, ModelSpec

START = 1_700_006_400.0
HOUR = 3600.0
COLUMNS = (ColumnSpec(name="carrier", kind="categorical"),)
PREDICTIONS = (ColumnSpec(name="late", kind="boolean", categories=("false", "true")),)


def monitor(**spec: object) -> Monitor:
    model = ModelSpec(
        name="m", slices=("carrier",), columns=COLUMNS, predictions=PREDICTIONS, **spec  # type: ignore[arg-type]
    )  # fmt: skip
    return Monitor(Configuration(models=(model,)), {}, 0.0, START)


def feed(watched: Monitor, hours: range, late: float = 0.3) -> dict[tuple[str, str], str]:
    rng = np.random.default_rng(0)
    for hour in hours:
        carrier = rng.choice(["b", "a"], 200, p=[0.6, 0.4]).tolist()
        time = START + hour * HOUR
        watched.record(Rows("m", "1", "feature", time, 200, {"carrier": carrier}))
        answers = {"late": rng.random(200) < late}
        watched.record(Rows("m", "1", "prediction", time, 200, answers, 1, {"carrier": carrier}))
        watched.tick(time + HOUR)
    assert watched.errors == {"record": 0, "judge": 0, "view": 0}
    return {
        (view.value, verdict.window): verdict.state
        for view in watched.slice_views()
        for verdict in view.verdicts
    }


def kept(folder: Path, before: Monitor, after: Monitor, now: float) -> Monitor:
    store = Store(folder)
    save(store, before, lambda: now, Lock())
    found = restore(store, after, now)
    store.close()
    assert found is not None
    assert found.left_out == 0
    return after


@pytest.fixture
def before() -> Monitor:
    watched = monitor()
    feed(watched, range(24 * 6))
    return watched


def test_the_hours_go_on_and_are_judged_by_those_before(before: Monitor, tmp_path: Path) -> None:
    now = START + 6 * 24 * HOUR
    after = kept(tmp_path, before, monitor(), now)
    assert {view.value: view.rows for view in after.slice_views()} == {"b": 0, "a": 0, "other": 0}
    states = feed(after, range(24 * 6, 24 * 7), late=0.6)
    assert states["b", "1d"] == states["a", "1d"] == "ticket"
    assert feed(monitor(), range(24), late=0.6)["b", "1d"] == "learning"


def test_values_that_are_not_followed_any_more_are_left_out(before: Monitor, tmp_path: Path) -> None:
    now = START + 6 * 24 * HOUR
    after = kept(tmp_path, before, monitor(slice_values=1), now)
    assert [view.value for view in after.slice_views()] == ["b", "other"]
