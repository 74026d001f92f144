"""Distances of the sliding window as the monitor gives them: near chance while nothing changes, far after it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exporter.monitor import Monitor, load_baselines
from exporter.rows import Rows
from exporter.schema import Configuration, ModelSpec
from exporter.statistics import BY_NAME, Points
from exporter.views import ColumnView
from tests.monitor.baselines import build_baseline

START = 1_698_537_600.0  # where the baseline's four weeks end: x is normal (100, 20)


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_baseline(tmp_path_factory.mktemp("baseline"))


def seen(baseline: Path, x: np.ndarray) -> dict[str, ColumnView]:
    configuration = Configuration(models=[ModelSpec(name="m", baseline=baseline.name)])
    watched = Monitor(configuration, load_baselines(configuration, baseline.parent), 60.0, START)
    carrier = np.random.default_rng(2).choice(["AA", "UA", "DL"], len(x), p=[0.5, 0.3, 0.2]).tolist()
    watched.record(Rows("m", "1", "feature", START + 10, len(x), {"x": x, "carrier": carrier}))
    # The baseline's own columns stand there too, under the version that is not known yet or this one.
    return {view.column: view for view in watched.views(START + 20)[0] if view.rows}


def test_a_window_like_the_baseline_is_as_far_as_chance_takes_it(baseline: Path) -> None:
    view = seen(baseline, np.random.default_rng(1).normal(100, 20, 2_000))["x"]
    window, known = view.windows[0], view.baseline
    assert known is not None
    assert known.points is not None
    for name, found in (
        ("kolmogorov_smirnov_distance", window.kolmogorov_smirnov),
        ("normed_wasserstein_distance", window.wasserstein),
    ):
        chance = BY_NAME[name].chance(Points(*known.points), 2_000, known.rows, window.rank_error)
        assert found is not None
        assert 0.2 * chance < found < 2 * chance


def test_a_shift_by_half_a_standard_deviation_is_half_of_one_in_wasserstein(baseline: Path) -> None:
    view = seen(baseline, np.random.default_rng(1).normal(110, 20, 2_000))["x"]
    assert view.windows[0].wasserstein == pytest.approx(0.5, abs=0.08)
    # The largest difference of two normal distributions half a deviation apart is 2 Φ(1/4) - 1.
    assert view.windows[0].kolmogorov_smirnov == pytest.approx(0.197, abs=0.04)


def test_categories_have_no_distance_of_values_and_few_rows_have_none_at_all(baseline: Path) -> None:
    window = seen(baseline, np.random.default_rng(1).normal(100, 20, 2_000))["carrier"].windows[0]
    assert window.psi is not None
    assert (window.kolmogorov_smirnov, window.wasserstein) == (None, None)
    few = seen(baseline, np.array([100.0, 110.0]))["x"].windows[0]
    assert (few.rows, few.psi, few.kolmogorov_smirnov, few.wasserstein) == (2, None, None, None)
