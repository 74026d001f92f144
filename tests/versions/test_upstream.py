"""A shift of a feature that both versions see alike, judged by a baseline: the data, not the version."""

from __future__ import annotations

import numpy as np
import pytest

from exporter.baseline import Baseline
from exporter.monitor import Monitor
from exporter.rows import Rows
from exporter.schema import Configuration
from tests.monitor.baselines import build_baseline

START = 1_698_451_200.0  # 2023-10-28, the midnight after the baseline's last hour but some
HOUR = 3600.0


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Baseline:
    return Baseline.load(build_baseline(tmp_path_factory.mktemp("baseline")))


@pytest.mark.parametrize(("shift", "cause"), [(0.0, "none"), (40.0, "upstream_data")])
def test_a_shift_that_both_versions_see_is_upstream(baseline: Baseline, shift: float, cause: str) -> None:
    monitor = Monitor(Configuration(), {"m": baseline}, 0.0, START)
    rng = np.random.default_rng(0)
    for version, rows in (("1", 400), ("2", 200)):
        columns = {
            "x": rng.normal(100 + shift, 20, rows),
            "carrier": rng.choice(["AA", "UA", "DL"], rows, p=[0.5, 0.3, 0.2]).tolist(),
        }
        monitor.record(Rows("m", version, "feature", START + 60, rows, columns))
    monitor.tick(START + HOUR)
    (view,) = monitor.version_views()
    assert (view.cause, monitor.errors["judge"]) == (cause, 0)
