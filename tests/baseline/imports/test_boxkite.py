"""boxkite: histograms and counters in Prometheus' text format become a baseline, counts exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exporter.baseline import BaselineError
from exporter.baseline.imports import Imported, import_baseline

TEXT = """\
# HELP feature_0_value_baseline Baseline values for feature: distance
# TYPE feature_0_value_baseline histogram
feature_0_value_baseline_bucket{le="0.5"} 1.0
feature_0_value_baseline_bucket{le="2.5"} 41.0
feature_0_value_baseline_bucket{le="4.5"} 91.0
feature_0_value_baseline_bucket{le="8.5"} 100.0
feature_0_value_baseline_bucket{le="+Inf"} 104.0
feature_0_value_baseline_sum 310.0
# HELP feature_1_value_baseline_total Baseline values for feature: seats
# TYPE feature_1_value_baseline_total counter
feature_1_value_baseline_total{bin="2.0"} 30.0
feature_1_value_baseline_total{bin="4.0"} 70.0
feature_1_value_baseline_total{bin="nan"} 4.0
# HELP inference_value_baseline_total Baseline inference values for test set
# TYPE inference_value_baseline_total counter
inference_value_baseline_total{bin="late"} 20.0
inference_value_baseline_total{bin="on time"} 84.0
"""


def imported(tmp_path: Path, text: str = TEXT) -> Imported:
    path = tmp_path / "histogram.prom"
    path.write_text(text, encoding="utf-8")
    return import_baseline(path, model="m", created=0.0)


def test_columns_have_names_roles_kinds_and_counts(tmp_path: Path) -> None:
    columns = imported(tmp_path).baseline.columns
    assert {key: (one.kind, one.rows, one.missing, one.counts.tolist()) for key, one in columns.items()} == {
        ("feature", "distance"): ("numeric", 104, 4, [1, 40, 50, 9, 0]),
        ("feature", "seats"): ("numeric", 104, 4, [0, 30, 70, 0]),
        ("prediction", "prediction"): ("categorical", 104, 0, [84, 20, 0]),
    }


def test_its_buckets_stay_closed_above(tmp_path: Path) -> None:
    bins = imported(tmp_path).baseline.columns["feature", "distance"].bins
    at = bins.index(np.array([0.5, 0.6, 2.5, np.nextafter(2.5, 3), 8.5, 8.6]))  # type: ignore[union-attr]
    assert at.tolist() == [0, 1, 1, 2, 3, 4]


def test_moments_come_from_its_sum_and_its_buckets(tmp_path: Path) -> None:
    moments = imported(tmp_path).baseline.columns["feature", "distance"].moments
    assert moments is not None
    assert (moments.count, moments.mean, moments.minimum, moments.maximum) == (100, 3.1, 0.5, 8.5)
    assert 1 < moments.standard_deviation < 2


def test_live_values_of_the_training_rows_fall_into_the_same_bins(tmp_path: Path) -> None:
    """As boxkite makes it: edges from numpy, counts of what is not above each."""
    values = np.random.default_rng(1).normal(5, 2, 400)
    edges = np.histogram_bin_edges(values, bins="auto")
    lines = ["# HELP feature_0_value_baseline Baseline values for feature: x"]
    lines.append("# TYPE feature_0_value_baseline histogram")
    lines += [
        f'feature_0_value_baseline_bucket{{le="{edge}"}} {float((values <= edge).sum())}'
        for edge in edges.tolist()
    ]
    lines.append('feature_0_value_baseline_bucket{le="+Inf"} 400.0')
    column = imported(tmp_path, "\n".join(lines) + "\n").baseline.columns["feature", "x"]
    assert column.bins.count(values).tolist() == column.counts.tolist()  # type: ignore[union-attr]


def test_notes_tell_of_missing_entries_and_of_no_calibration(tmp_path: Path) -> None:
    notes = imported(tmp_path).notes
    assert [note.split(":")[0] for note in notes] == ["distance", "uncalibrated"]


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ('le="2.5"', 'le="0.1"', "feature_0_value_baseline_bucket{le}"),
        ('le="2.5"', 'le="lots"', "feature_0_value_baseline_bucket"),
        ('{le="4.5"} 91.0', '{le="4.5"} 12.0', "feature_0_value_baseline"),
        ('{bin="2.0"} 30.0', '{bin="2.0"} -3', "feature_1_value_baseline_total"),
        ('{bin="2.0"}', '{box="2.0"}', "feature_1_value_baseline_total"),
        ("feature: seats", "feature: distance", "feature_1_value_baseline"),
    ],
)
def test_what_is_wrong_is_named(before: str, after: str, key: str, tmp_path: Path) -> None:
    assert before in TEXT
    with pytest.raises(BaselineError) as caught:
        imported(tmp_path, TEXT.replace(before, after))
    assert caught.value.file.endswith("histogram.prom")
    assert caught.value.key == key


def test_another_text_of_prometheus_is_refused(tmp_path: Path) -> None:
    text = "# TYPE up_value_baseline gauge\nup_value_baseline 1\n"
    with pytest.raises(BaselineError, match="feature_0_value_baseline"):
        imported(tmp_path, text)
