"""The series budget sheds slices, and columns of versions beside each other, before anything else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter import metrics
from exporter.collectors.budget import admit
from tests.metrics.test_budget import collected, total
from tests.page import example_view

VIEW = replace(
    example_view.view(),
    slices=example_view.slices(),
    versions=example_view.versions(),
    learning=(example_view.learning(),),
    matches=(example_view.match(),),
)
FAMILIES = {
    *("modelmeter_slice_rows_total", "modelmeter_slice_entries_total", "modelmeter_slice_missing_total"),
    *("modelmeter_slice_column_bin_observations_total", "modelmeter_slice_drift_score"),
    *("modelmeter_slice_verdict", "modelmeter_version_column_score", "modelmeter_version_difference_info"),
}


def test_slices_are_shed_whole_and_first() -> None:
    seen = []
    for budget in range(2_000, 0, -1):
        shown = admit(VIEW, budget)
        state = (shown.slices, shown.secondary_distances, shown.quantiles, len(shown.columns) == 11)
        if not seen or seen[-1] != state:
            seen.append(state)
    assert seen[:2] == [(True, True, True, True), (False, True, True, True)]
    assert all(not slices for slices, *_ in seen[1:])


TOO_LITTLE = max(budget for budget in range(2_000) if not admit(VIEW, budget).slices)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [(10_000, FAMILIES), (TOO_LITTLE + 1, FAMILIES), (TOO_LITTLE, {"modelmeter_version_difference_info"})],
)
def test_all_families_of_slices_have_samples_or_none_but_the_cause(budget: int, expected: set[str]) -> None:
    assert {
        family.metric.name
        for family in collected(VIEW, budget)
        if family.samples and family.metric.name.startswith(("modelmeter_slice_", "modelmeter_version_"))
    } == expected


def test_what_slices_cost_is_what_they_are_said_to() -> None:
    without = replace(VIEW, slices=(), versions=())
    given = total(collected(VIEW, 10_000)) - total(collected(without, 10_000))
    shed = admit(VIEW, 100).shed["slices"]
    shed += len(VIEW.versions)  # what makes them differ is never shed
    assert given <= shed <= given + 2  # a score of a slice that has none yet


def test_a_slice_has_one_verdict_at_1_and_a_pair_of_versions_one_cause() -> None:
    families = {family.metric: family for family in collected(VIEW, 10_000)}
    verdicts = [
        (labels[3:], value) for labels, value in families[metrics.SLICE_VERDICT].samples if value == 1
    ]
    assert verdicts == [
        (("UA", "1h", "pod", "drifted"), 1),
        (("UA", "1d", "pod", "learning"), 1),
        (("other", "1h", "pod", "ok"), 1),
        (("other", "1d", "pod", "learning"), 1),
    ]
    assert families[metrics.VERSION_DIFFERENCE_INFO].samples == [
        (("late_arrival", "4", "3", "1h", "pod", "new_version"), 1)
    ]
