"""The series budget: never exceeded, whole things, in the stated order, and without flicker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter import metrics
from exporter.collectors import COLLECTORS, Scrape, gather
from exporter.collectors.budget import admit, cost, fixed, order
from exporter.expose import Exposition
from exporter.metrics import Family
from exporter.views import ColumnView, View
from tests.page import example_view
from tests.page.example_view import Source

VIEW = example_view.view()
NOTHING = dict.fromkeys(metrics.STAGE.values, 0)


def collected(view: View, budget: int) -> tuple[Family, ...]:
    return gather(Scrape(view, admit(view, budget), NOTHING, {})).families


def total(families: Sequence[Family]) -> int:
    return sum(family.series for family in families)


def columns_of(families: Sequence[Family], metric: metrics.Metric) -> set[str]:
    at = metric.label_names.index("column")
    return {labels[at] for family in families if family.metric is metric for labels, _ in family.samples}


def without_statistics(column: ColumnView) -> ColumnView:
    """*column* at its start: no rows in any window yet."""
    return replace(
        column,
        windows=tuple(
            replace(
                w,
                psi=None,
                jensen_shannon=None,
                kolmogorov_smirnov=None,
                wasserstein=None,
                mean=None,
                distinct=None,
                quantiles={},
            )
            for w in column.windows
        ),
        verdicts=(),
    )


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2_000))
def test_a_scrape_never_has_more_series_than_the_budget(budget: int) -> None:
    families = collected(VIEW, budget)
    least = total(collected(VIEW, 0))
    assert total(families) <= max(budget, least)


def test_a_columns_cost_covers_all_it_gives() -> None:
    for column in VIEW.columns:
        families = [
            family
            for collector in COLLECTORS
            for family in collector.collect(Scrape(VIEW, admit(VIEW, 10**6), NOTHING, {}))
        ]
        given_ = sum(
            labels[family.metric.label_names.index("column")] == column.column
            for family in families
            if "column" in family.metric.label_names
            for labels, _ in family.samples
        )
        entry = cost(column)
        assert given_ <= entry.core + entry.secondary_distances + entry.quantiles


def test_each_strength_that_can_be_detected_is_paid_for() -> None:
    column = next(column for column in VIEW.columns if column.baseline is not None)
    assert column.baseline is not None
    blind = replace(column, baseline=replace(column.baseline, blind_below={}))
    assert cost(column).core - cost(blind).core == len(column.baseline.blind_below) > 0


def test_what_is_fixed_is_not_underrated() -> None:
    for view in (VIEW, example_view.early()):
        assert total(collected(replace(view, columns=()), 10_000)) <= fixed(view)


def test_everything_is_shown_while_it_fits() -> None:
    shown = admit(VIEW, 10_000)
    assert sorted(shown.columns, key=order) == sorted(VIEW.columns, key=order)
    assert len(shown.columns) == 11
    assert (shown.secondary_distances, shown.quantiles, shown.shed) == (True, True, NOTHING)


def test_things_are_shed_whole_and_in_the_stated_order() -> None:
    assert tuple(NOTHING) == ("slices", "secondary_distances", "quantiles", "columns")
    seen = []
    for budget in range(1_500, 0, -1):
        shown = admit(VIEW, budget)
        state = (len(shown.columns), shown.quantiles, shown.secondary_distances)
        if not seen or seen[-1] != state:
            seen.append(state)
    everything = [(11, True, True), (11, True, False), (11, False, False)]
    assert seen == everything + [(count, False, False) for count in range(10, -1, -1)]


def test_a_column_is_shown_with_all_its_bins_or_not_at_all() -> None:
    for budget in range(0, 1_500, 97):
        families = collected(VIEW, budget)
        names = {column.column for column in admit(VIEW, budget).columns}
        for metric in (metrics.COLUMN_BIN_OBSERVATIONS, metrics.COLUMN_BASELINE_BIN_RATIO):
            bins = next(family for family in families if family.metric is metric)
            expected = {
                (column.column, label) for column in VIEW.columns if column.column in names
                for label in column.bin_labels
            }  # fmt: skip
            assert {(labels[3], labels[5]) for labels, _ in bins.samples} == expected


def test_nothing_comes_or_goes_while_the_windows_fill() -> None:
    empty = replace(VIEW, columns=tuple(map(without_statistics, VIEW.columns)))
    for budget in range(0, 1_500, 13):
        before, after = admit(empty, budget), admit(VIEW, budget)
        assert [column.column for column in before.columns] == [column.column for column in after.columns]
        assert before.shed == after.shed


def test_the_order_of_arrival_makes_no_difference() -> None:
    backwards = replace(VIEW, columns=VIEW.columns[::-1])
    for budget in range(0, 1_500, 13):
        assert admit(VIEW, budget).columns == admit(backwards, budget).columns


def test_predictions_are_kept_longest_then_names_decide() -> None:
    names = [column.column for column in admit(VIEW, 10_000).columns]
    assert names == [
        "late", "probability", "air_time", "carrier", "dep_delay", "dest", "distance", "humid", "origin", "visib",
        "wind_speed",
    ]  # fmt: skip
    for budget in range(0, 1_500, 13):
        shown = [column.column for column in admit(VIEW, budget).columns]
        assert shown == names[: len(shown)]


def test_names_that_clients_make_up_take_no_place_of_columns_with_a_baseline() -> None:
    known = [column for column in VIEW.columns if column.baseline is not None]
    invented = [
        replace(known[0], column="a" * number, role="feature", baseline=None) for number in range(1, 10)
    ]
    some = replace(VIEW, columns=(*invented, *known))
    budget = fixed(some) + sum(cost(column).core for column in known)
    assert sorted(c.column for c in admit(some, budget).columns) == sorted(c.column for c in known)


def test_what_was_shed_is_counted_at_every_scrape() -> None:
    exposed = Exposition(Source(VIEW), series_budget=600)
    shed = admit(VIEW, 600).shed
    assert shed["secondary_distances"] == 7 * 3 + 4  # categories have no order, and so one of the three
    assert shed["columns"] > 0
    for scrape in (1, 2, 3):
        dropped = next(family for family in exposed.scrape() if family.metric is metrics.SERIES_DROPPED)
        assert {labels[0]: value for labels, value in dropped.samples} == {
            stage: scrape * series for stage, series in shed.items()
        }


def test_what_is_shed_is_gone_from_every_family() -> None:
    families = collected(VIEW, 600)
    kept = {column.column for column in admit(VIEW, 600).columns}
    assert 0 < len(kept) < len(VIEW.columns)
    for metric in (metrics.COLUMN_MISSING, metrics.COLUMN_VERDICT, metrics.COLUMN_BASELINE_ROWS):
        assert columns_of(families, metric) == kept
    for metric in (
        metrics.COLUMN_JENSEN_SHANNON,
        metrics.COLUMN_KOLMOGOROV_SMIRNOV,
        metrics.COLUMN_WASSERSTEIN,
        metrics.COLUMN_VALUE,
    ):
        assert columns_of(families, metric) == set()
