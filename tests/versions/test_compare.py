"""Is it the data or the new version: three scripted incidents, and two versions that are one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from exporter.monitor import Monitor
from exporter.rows import Rows
from exporter.schema import ColumnSpec, Configuration, ModelSpec
from exporter.versions import CAUSES, Compared, compare_versions, sentence
from exporter.views import VersionView
from tests.verdict.tables import counted

START = 1_700_006_400.0  # 2023-11-15, midnight in UTC
HOUR = 3600.0


def model(shift: float = 0.0) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: 1 / (1 + np.exp(-(x - 100) / 20 - shift))


@dataclass
class Traffic:
    """What two versions were sent, hour by hour, and what they answered."""

    rows: tuple[int, int] = (900, 150)
    features: tuple[float, float] = (0.0, 0.0)
    answers: tuple[float, float] = (0.0, 0.0)

    def hour(self, monitor: Monitor, rng: np.random.Generator, time: float) -> None:
        for version, rows, moved, shift in zip("12", self.rows, self.features, self.answers, strict=True):
            if not rows:
                continue
            x = rng.normal(100 + moved, 20, rows)
            carrier = rng.choice(["AA", "UA", "DL"], rows, p=[0.5, 0.3, 0.2]).tolist()
            feature = {"x": x, "carrier": carrier, "fee": rng.normal(5, 1, rows)}
            monitor.record(Rows("m", version, "feature", time, rows, feature))
            monitor.record(Rows("m", version, "prediction", time, rows, {"late": model(shift)(x)}))


def watch(traffic: Traffic, hours: int = 1, seed: int = 0) -> tuple[VersionView, ...]:
    """The last view of *hours* hours, without any baseline."""
    categories = ColumnSpec(name="carrier", kind="categorical", categories=("AA", "UA", "DL"))
    configuration = Configuration(models=(ModelSpec(name="m", columns=(categories,)),))
    monitor = Monitor(configuration, {}, 0.0, START)
    rng = np.random.default_rng(seed)
    for hour in range(hours):
        traffic.hour(monitor, rng, START + hour * HOUR + 60)
        monitor.tick(START + (hour + 1) * HOUR)
    assert monitor.errors == {"record": 0, "judge": 0, "view": 0}
    return monitor.version_views()


def test_the_same_data_and_other_answers_are_the_new_version() -> None:
    (view,) = watch(Traffic(answers=(0.0, 0.8)))
    assert (view.version, view.other, view.cause) == ("2", "1", "new_version")
    assert view.sentence == "the same features, other answers of 2 than of 1: late"
    assert {column.column for column in view.columns if column.score > 1} == {"late"}


def test_other_features_are_routing_whatever_is_answered() -> None:
    (view,) = watch(Traffic(features=(0.0, 15.0)))
    assert view.cause == "routing"
    assert view.sentence == "2 and 1 get different traffic: x"
    assert {column.column for column in view.columns if column.score > 1} == {"x", "late"}


@pytest.mark.parametrize("rows", [(900, 150), (200, 200), (20_000, 500)])
def test_two_versions_that_are_one_never_differ_in_three_days(rows: tuple[int, int]) -> None:
    traffic, seen = Traffic(rows=rows), []
    for seed in range(3):
        seen += watch(traffic, 24, seed)
    assert {(view.window, view.cause) for view in seen} == {("1h", "none"), ("1d", "none")}
    assert {view.sentence for view in seen} == {""}
    assert max(column.score for view in seen for column in view.columns) < 1


def test_a_version_that_had_no_rows_in_the_window_is_not_compared() -> None:
    assert watch(Traffic(rows=(900, 0))) == ()


def test_every_version_is_compared_with_the_busiest() -> None:
    configuration = Configuration(models=(ModelSpec(name="m"),))
    monitor = Monitor(configuration, {}, 0.0, START)
    for version, rows in (("a", 300), ("b", 500), ("c", 200)):
        values = {"x": np.random.default_rng(0).normal(size=rows)}
        monitor.record(Rows("m", version, "feature", START, rows, values))
    monitor.tick(START + HOUR)
    assert [(view.version, view.other, view.rows, view.other_rows) for view in monitor.version_views()] == [
        ("a", "b", 300, 500),
        ("c", "b", 200, 500),
    ]


@cache
def tables() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.multinomial(500, [0.2, 0.3, 0.5], 24), rng.multinomial(500, [0.2, 0.3, 0.5], 24)


def test_features_that_moved_in_both_alike_are_the_data() -> None:
    one, other = ({("feature", "x"): counted(bins), ("prediction", "y"): counted(bins)} for bins in tables())
    moved = [("feature", "x"), ("feature", "elsewhere"), ("prediction", "y")]
    found = compare_versions(one, other, moved=moved)
    assert (found.cause, found.moved) == ("upstream_data", (("feature", "x"), ("prediction", "y")))
    assert sentence(found, "2", "1") == "the data moved for 2 and 1 alike: x"
    assert compare_versions(one, other, moved=[("prediction", "y")]).cause == "none"


def test_columns_of_other_bins_or_of_one_version_alone_are_left_out() -> None:
    one, _ = tables()
    mine = {("feature", "x"): counted(one), ("feature", "y"): counted(one)}
    its = {("feature", "x"): counted(one[:, :2]), ("feature", "z"): counted(one)}
    assert compare_versions(mine, its) is None


def test_causes_are_a_closed_set_and_only_those_with_one_have_a_sentence() -> None:
    told = {cause for cause in CAUSES if sentence(Compared(cause), "2", "1")}
    assert told == {"new_version", "upstream_data", "routing"}
