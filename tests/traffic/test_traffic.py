"""Traffic: clients can not make series, and failures find their model."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from exporter.traffic import DURATION_BUCKETS, FAILURE_REASONS, Traffic


def counted(traffic: Traffic) -> dict[tuple[str, str], int]:
    return {(view.model, view.version): view.requests for view in traffic.views()}


def add(
    traffic: Traffic, model: str, version: str, failure: str | None = None, seconds: float = 0.01
) -> None:
    traffic.add(model, version, "http", seconds, 100, 50, failure)  # type: ignore[arg-type]


def test_a_model_that_never_answered_is_unknown() -> None:
    traffic = Traffic(limit=10)
    for number in range(1000):
        add(traffic, f"guess-{number}", "", "client_error")
    assert counted(traffic) == {("unknown", "unknown"): 1000}


def test_a_failure_that_names_no_version_counts_with_the_one_that_answered_last() -> None:
    traffic = Traffic(limit=10)
    add(traffic, "m", "1")
    add(traffic, "m", "", "server_error")
    add(traffic, "m", "2")
    add(traffic, "m", "", "server_error")
    add(traffic, "m", "1")
    add(traffic, "m", "")
    assert counted(traffic) == {("m", "1"): 4, ("m", "2"): 2}


def test_a_model_without_versions_is_one_series() -> None:
    traffic = Traffic(limit=10)
    add(traffic, "m", "")
    add(traffic, "m", "")
    assert counted(traffic) == {("m", "unknown"): 2}


def test_above_the_limit_model_versions_are_other_and_counted_as_refused() -> None:
    traffic = Traffic(limit=2)
    for version in "1234":
        add(traffic, "m", version)
    assert counted(traffic) == {("m", "1"): 1, ("m", "2"): 1, ("other", "other"): 2}
    assert traffic.refused == 2


def test_every_failure_reason_stands_at_zero_from_the_start() -> None:
    traffic = Traffic(limit=2)
    add(traffic, "m", "1")
    assert dict(traffic.views()[0].failures) == dict.fromkeys(FAILURE_REASONS, 0)


@given(st.lists(st.floats(0, 1000, allow_nan=False), max_size=50))
def test_buckets_are_cumulative_and_count_what_is_at_most_their_bound(durations: list[float]) -> None:
    traffic = Traffic(limit=1)
    add(traffic, "m", "1", seconds=0.0)
    for seconds in durations:
        add(traffic, "m", "1", seconds=seconds)
    (view,) = traffic.views()
    assert view.duration_buckets[:-1] == tuple(
        sum(seconds <= bound for seconds in [0.0, *durations]) for bound in DURATION_BUCKETS
    )
    assert view.duration_buckets[-1] == view.requests == len(durations) + 1
    assert all(low <= high for low, high in pairwise(view.duration_buckets))


def test_tokens_are_counted_with_the_series_of_their_answer() -> None:
    traffic = Traffic(limit=1)
    for model, version in (("m", "1"), ("m", ""), ("other-model", "1")):
        add(traffic, model, version)
        traffic.add_tokens(model, version, "http", (26, 10))
    assert {(view.model, view.version): (view.requests, dict(view.tokens)) for view in traffic.views()} == {
        ("m", "1"): (2, {"prompt": 52, "completion": 20}),
        ("other", "other"): (1, {"prompt": 26, "completion": 10}),
    }
