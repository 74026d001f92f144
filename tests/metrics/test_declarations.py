"""What holds for every declared metric, whoever collects it."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from exporter import metrics
from exporter.collectors import COLLECTORS
from exporter.metrics import METRICS, PROCESS, Metric
from exporter.rows import Role
from exporter.traffic import DURATION_BUCKETS, FAILURE_REASONS, UNKNOWN
from exporter.views import STATES

ROOT = Path(__file__).resolve().parents[2]
OURS = [metric for metric in METRICS if metric not in PROCESS]

#: The families of the design's section 5 that this release has; renaming one breaks somebody's dashboard.
PROMISED = {
    "requests_total", "request_failures_total", "request_duration_seconds", "request_bytes_total",
    "response_bytes_total", "requests_in_flight", "exchanges_seen_total", "exchanges_recorded_total",
    "exchanges_sampled_out_total", "exchanges_dropped_total", "exchanges_undecodable_total",
    "exchanges_unobservable_total", "exchanges_ignored_total", "exchanges_unsettled", "rows_recorded_total",
    "column_bin_observations_total", "column_missing_total", "column_type_mismatch_total",
    "column_out_of_range_total", "column_far_total", "column_grid_total", "column_unseen_category_total",
    "column_scaled_sum_total", "column_scaled_square_total", "column_psi",
    "column_jensen_shannon_distance", "column_kolmogorov_smirnov_distance", "column_wasserstein_distance",
    "column_window_rows", "column_value", "column_mean",
    "column_distinct_values", "column_baseline_bin_ratio", "column_baseline_rows", "baseline_info",
    "baseline_created_timestamp_seconds", "column_drift_score", "column_drift_critical_psi", "column_verdict",
    "column_incident_start_timestamp_seconds", "verdict_columns", "column_detector_fired", "column_fault_info", "column_detectable_strength", "upstream_up", "recorder_up", "recorder_restarts_total", "tap_restarts_total", "upstream_connection_failures_total",
    "recorder_queue_bytes", "recorder_lag_seconds", "series_dropped_total", "build_info", "config_info",
}  # fmt: skip


#: Abbreviated units and types, which promtool's lint refuses as part of a name.
BANNED = {
    "s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d",
    "counter", "gauge", "summary", "histogram",
}  # fmt: skip


def test_the_stable_names_are_those_that_the_design_promises() -> None:
    stable = {metric.name.removeprefix("modelmeter_") for metric in OURS if metric.stability == "stable"}
    assert stable == PROMISED


def test_no_name_is_declared_twice() -> None:
    names = [metric.name for metric in METRICS]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("metric", OURS, ids=str)
def test_names_follow_the_conventions_of_prometheus(metric: Metric) -> None:
    assert re.fullmatch(r"modelmeter_[a-z][a-z0-9_]*", metric.name)
    assert not set(metric.name.split("_")) & BANNED
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.name.endswith("_info") == (metric.kind == "info")
    assert not re.search(r"_(count|sum|bucket)$", metric.name)
    for unit in ("seconds", "bytes", "ratio"):
        assert (f"_{unit}" in metric.name) == (metric.unit == unit)
    if metric.unit:
        assert metric.name.removesuffix("_total").endswith(f"_{metric.unit}")
    assert metric.help.endswith(".")
    assert metric.source
    assert (metric.kind == "histogram") == bool(metric.buckets)


@pytest.mark.parametrize("metric", METRICS, ids=str)
def test_no_label_clashes_with_those_of_targets(metric: Metric) -> None:
    reserved = {
        "type", "job", "instance", "namespace", "pod", "container", "node", "cluster", "region", "zone", "env",
        "environment", "service", "stage", "le", "quantile",
    }  # fmt: skip
    assert not set(metric.label_names) & reserved
    assert len(set(metric.label_names)) == len(metric.label_names)
    assert all(re.fullmatch(r"[a-z][a-z_]*", name) for name in metric.label_names)


@pytest.mark.parametrize("metric", METRICS, ids=str)
def test_the_values_of_every_label_are_bounded(metric: Metric) -> None:
    assert all(label.help and bool(label.values) != bool(label.bound) for label in metric.labels)


def test_closed_sets_are_those_of_the_code_that_fills_them() -> None:
    assert metrics.FAILURE.values == FAILURE_REASONS
    assert metrics.VERDICT.values == STATES
    assert metrics.ROLE.values == get_args(Role)
    assert metrics.COLLECTOR.values == tuple(collector.name for collector in COLLECTORS)
    assert metrics.REQUEST_DURATION.buckets == DURATION_BUCKETS
    assert metrics.UNKNOWN == UNKNOWN


def test_the_documentation_is_what_the_declarations_print() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == metrics.table()


def test_every_section_of_the_documentation_begins_with_a_declared_metric() -> None:
    assert set(metrics.SECTIONS) <= set(METRICS)


def test_the_module_needs_nothing_but_the_standard_library() -> None:
    code = "import sys, exporter.metrics; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(loaded) - set(sys.stdlib_module_names) - {"__main__", "exporter"} == set()


def test_a_selector_names_the_metric_and_quotes_its_values() -> None:
    assert metrics.UPSTREAM_UP.select() == "modelmeter_upstream_up"
    assert metrics.COLUMN_PSI.select(column='a"b\\c', window="1h") == (
        r'modelmeter_column_psi{column="a\"b\\c", window="1h"}'
    )
    assert metrics.REQUEST_DURATION.select("bucket", le="0.1", model="m") == (
        'modelmeter_request_duration_seconds_bucket{le="0.1", model="m"}'
    )
    assert f"{metrics.COLUMN_PSI}" == "modelmeter_column_psi"


def test_a_selector_with_an_undeclared_label_raises() -> None:
    with pytest.raises(ValueError, match=r"modelmeter_column_psi: expected labels of .*, found colunm"):
        metrics.COLUMN_PSI.select(colunm="distance")
    with pytest.raises(ValueError, match="found le"):
        metrics.REQUEST_DURATION.select("sum", le="0.1")
    with pytest.raises(ValueError, match="expected a histogram"):
        metrics.COLUMN_PSI.select("bucket")


def test_a_sample_with_other_labels_than_declared_raises() -> None:
    with pytest.raises(ValueError, match="expected labels"):
        metrics.REQUESTS.family().add(1, "m", "1")
    with pytest.raises(ValueError, match="expected labels"):
        metrics.REQUEST_DURATION.family().add_histogram((0,) * 17, 0.0, "m", "1")
    with pytest.raises(ValueError, match="expected 17 buckets, found 2"):
        metrics.REQUEST_DURATION.family().add_histogram((0, 1), 0.0, "m", "1", "http")


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_number_that_is_not_known_has_no_sample(value: float | None) -> None:
    family = metrics.UPSTREAM_UP.family()
    family.add(value)
    assert family.samples == []
    assert family.series == 0


@pytest.mark.parametrize(
    "name",
    [
        "exporter.errors", "exporter.exposition", "exporter.metrics", "exporter.page.chart",
        "exporter.page.summary", "exporter.page.words", "exporter.web.config",
    ],
)  # fmt: skip
def test_the_examples_in_docstrings_run(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert (failed, tried > 0) == (0, True)
