"""The harness of `bench.detection` counts, replays and adds up as it says, on tiny streams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.detection import comparators, document, engine
from bench.detection.counting import hour_table, spliced
from bench.detection.measure import Prepared, faulted, injected, natural, prepare
from bench.detection.replay import ADOPTED, PAGES, Booleans, Outcome, Replay, Told, incidents, merged, pages
from bench.detection.streams import DAY, Stream, make
from bench.detection.variants import Variant, of_column
from exporter.baseline.baseline import BaselineColumn
from exporter.faults import ColumnFacts
from exporter.hourly import HourTable
from exporter.sketch.bins import CategoryBins, NumericBins

MONDAY = 4 * DAY  # 5 January 1970


def tiny(days: int = 40, rows: int = 30) -> Stream:
    """A number, a category and a prediction, *rows* an hour; all days alike but for chance."""
    random = np.random.default_rng(0)
    n = days * 24 * rows
    columns = {
        "x": random.normal(10, 2, n).round(2),
        "y": random.exponential(3.0, n),
        "c": random.choice(np.array(["a", "b", "c"], dtype=object), n, p=[0.5, 0.3, 0.2]),
        "d": random.choice(np.array(["p", "q"], dtype=object), n),
        "score": random.beta(2, 5, n),
    }
    seconds = MONDAY + np.arange(n) * 3600 // rows
    split = MONDAY + 28 * DAY
    return Stream("tiny", "event", "made up", seconds, split, columns, frozenset({"score"}))


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(tiny())


@dataclass
class Column:
    """As much of a baseline's column as counting looks at."""

    bins: NumericBins | CategoryBins
    far: tuple[float, float] | None = None
    grid_step: float | None = None
    known_complete: bool = True


def counted(column: Column, values: Any, seconds: Sequence[int]) -> HourTable:
    return hour_table(column, values, np.array(seconds))  # type: ignore[arg-type]


# Counting


def test_an_hour_table_of_numbers_has_each_sort_of_entry_where_it_belongs() -> None:
    column = Column(NumericBins(np.array([0.0, 10.0])), far=(-50.0, 60.0), grid_step=1.0)
    values = np.array([1.5, 2.0, np.nan, "text", 99.0, -1.0, 2.0], dtype=object)
    table = counted(column, values, [0, 1, 2, 3, 3600, 3601, 3602])
    assert table.hours.tolist() == [0, 1]
    assert table.rows.tolist() == [4, 3]
    assert (table.missing.tolist(), table.mismatched.tolist()) == ([1, 0], [1, 0])
    assert table.bins.tolist() == [[0, 2, 0], [1, 1, 1]]
    assert (table.far.tolist(), table.grid.tolist()) == ([0, 1], [1, 3])
    assert table.moments[0].tolist() == [1.75, 0.125, 1.5, 2.0]
    assert table.top_values[1, :3].tolist() == [-1.0, 2.0, 99.0]
    assert table.top_counts.sum(axis=1).tolist() == [2, 3]


def test_an_hour_table_of_categories_knows_other_from_unseen_from_missing_from_mismatched() -> None:
    column = Column(CategoryBins(("a", "b"), frozenset({"a", "b", "rare"})))
    values = np.array(["a", "rare", "new", None, ["a"]], dtype=object)
    table = counted(column, values, [0, 0, 0, 0, 0])
    assert table.bins.tolist() == [[1, 0, 2]]
    assert [int(part[0]) for part in (table.unseen, table.missing, table.mismatched)] == [1, 1, 1]
    assert np.isnan(table.top_values).all()


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20)), min_size=1, max_size=60), st.integers(1, 3))
def test_a_table_with_one_day_put_in_anew_is_the_table_of_all_rows(
    rows: list[tuple[int, int]], day: int
) -> None:
    rows = sorted(rows)
    column = Column(NumericBins(np.array([5.0, 10.0])))
    hours, values = np.array([hour for hour, _ in rows]) * 12, np.array([float(value) for _, value in rows])
    whole = counted(column, values, (hours * 3600).tolist())
    chosen = hours // 24 == day
    if not chosen.any():
        return
    part = counted(column, values[chosen], (hours[chosen] * 3600).tolist())
    again = spliced(whole, part)
    for name in HourTable.__slots__:
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))


# Replays


@dataclass
class Scripted:
    """A judge that marks some windows, and remembers what was kept out when it was asked."""

    drifted: Callable[[str, int], bool]
    asked: dict[tuple[str, int], int] = field(default_factory=dict)

    def one(
        self,
        column: BaselineColumn,
        history: HourTable,
        window: str,
        first: int,
        stop: int,
        kept_out: Booleans,
    ) -> Told:
        self.asked[window, first] = int(kept_out.sum())
        return Told("drifted" if self.drifted(window, first) else "ok")

    def many(
        self,
        column: BaselineColumn,
        history: HourTable,
        window: str,
        spans: Sequence[tuple[int, int]],
        kept_out: Booleans,
    ) -> None:
        return None


def replayed(judge: Scripted, hours: int, windows: Sequence[str] = ("1h",)) -> list[Outcome]:
    column = Column(NumericBins(np.array([0.0])))
    table = counted(column, np.ones(hours), (np.arange(hours) * 3600).tolist())
    return Replay(column, table, judge, windows).run(0, hours)  # type: ignore[arg-type]


def test_an_incident_pages_for_a_day_and_is_a_ticket_until_it_is_what_is_normal() -> None:
    states = [one.told.state for one in replayed(Scripted(lambda window, hour: hour >= 10), ADOPTED + 40)]
    assert Counter(states[10 : 10 + ADOPTED]) == {"drifted": PAGES, "ticket": ADOPTED - PAGES}
    assert states[10 + ADOPTED] == "drifted"  # a judge that still finds it abnormal then opens another


def test_hours_of_an_incident_are_kept_out_of_the_history_of_later_windows() -> None:
    judge = Scripted(lambda window, hour: hour in (3, 4))
    replayed(judge, 40)
    assert [judge.asked["1h", hour] for hour in (3, 4, 5, 20)] == [0, 1, 2, 2]


def test_a_day_is_judged_when_its_last_hour_is_over_and_a_cut_off_one_never() -> None:
    found = replayed(Scripted(lambda window, hour: False), 60, ("1h", "1d"))
    assert [one.first for one in found if one.window == "1d"] == [0, 24]
    assert [one.window for one in found][23:25] == ["1h", "1d"]


def test_asking_for_all_windows_at_once_gives_what_asking_one_by_one_gives(prepared: Prepared) -> None:
    stream = prepared.stream
    together = engine.judge_of(stream)
    alone = Scripted(lambda window, hour: False)
    alone.one = together.one  # type: ignore[method-assign]
    first, stop = stream.split // 3600, int(stream.seconds[-1]) // 3600 + 1
    for name in ("x", "c"):
        replay = Replay(prepared.baseline[name], prepared.tables[name], alone, stream.windows)
        for one, other in zip(replay.run(first, stop), prepared.outcomes[name], strict=True):
            assert (one.window, one.first, one.told.state, one.told.detectors) == (
                other.window,
                other.first,
                other.told.state,
                other.told.detectors,
            )
            assert one.told.score == pytest.approx(other.told.score)


def test_an_incident_over_several_columns_is_one_page() -> None:
    def at(hour: int, incident: int) -> Outcome:
        return Outcome("1h", hour, hour + 1, Told("drifted"), incident)

    columns = {"a": [at(5, 1), at(9, 1)], "b": [at(7, 1)], "c": [at(100, 1)]}
    assert pages(columns) == 2
    assert [len(incidents(one)) for one in columns.values()] == [1, 1, 1]
    assert merged([(0, 24), (25, 26), (80, 81)]) == [(0, 26), (80, 81)]


def test_quiet_hours_end_an_incident_and_the_next_alarm_is_another() -> None:
    found = replayed(Scripted(lambda window, hour: hour in (3, 5, 20)), 40)
    assert incidents(found) == [(3, 6), (20, 21)]


# Faults


def test_every_variant_of_every_column_can_be_injected_or_is_left_out(prepared: Prepared) -> None:
    stream = prepared.stream
    left_out = set()
    for name in prepared.names:
        facts = ColumnFacts.of(stream.columns[name])
        for variant in of_column(stream, name, facts):
            if faulted(prepared, name, facts, prepared.stream.days()[-1], variant) is None:
                left_out.add((name, variant.key))
    assert left_out == {("d", "category_merge 2")}  # of two categories both are the most frequent


def test_an_injection_is_the_same_each_time_and_keeps_the_rows_of_its_day(prepared: Prepared) -> None:
    facts = ColumnFacts.of(prepared.stream.columns["x"])
    day = int(prepared.stream.days()[-1])
    variant = Variant("flood", "0.2", "gross", 0.2)
    one, two = (faulted(prepared, "x", facts, day, variant) for _ in range(2))
    assert one is not None
    assert two is not None
    np.testing.assert_array_equal(one, two)
    assert one.size == 24 * 30
    assert 0.1 < (one == 0).mean() < 0.3


def test_a_unit_change_is_found_and_counted_once_a_day(prepared: Prepared) -> None:
    judge = engine.judge_of(prepared.stream)
    cases = injected(prepared, judge, 2, levels=frozenset({"gross"}), rules=True)
    found = {case.variant.key: case for case in cases if case.column == "x"}
    case = found["scale 1.609"]
    assert (case.days, case.day, sum(case.names.values())) == (2, 2, 2)
    assert case.rules["PSI > 0.2"] == 2
    assert found["type_change 1"].day == 2


def test_natural_figures_add_up(prepared: Prepared) -> None:
    found = natural(prepared)
    for window, windows in (("1h", 24 * 12), ("1d", 12)):
        for column in found["columns"].values():
            assert column[window]["judged"] + column[window]["insufficient"] == windows
        assert found["totals"][f"{window} judged"] == 5 * windows
    assert found["totals"]["1h PSI > 0.1 judged"] == 5 * 24 * 12


# Comparators


def test_every_rule_is_silent_on_equal_counts_and_alarms_on_disjoint_ones() -> None:
    baseline = np.array([1000, 1000, 0])
    equal, disjoint = np.array([[100, 100, 0]]), np.array([[0, 0, 200]])
    for rule in comparators.RULES:
        threshold = rule.threshold if rule.threshold is not None else 0.05
        for numeric in (True, False):
            # On the ranks of the baseline all that is above it lies at its end, so this distance has a bound.
            assert rule.statistic(baseline, equal, numeric=numeric)[0] < threshold
            assert rule.statistic(baseline, disjoint, numeric=numeric)[0] > threshold


def test_a_tuned_rule_marks_at_most_one_in_a_thousand_of_the_baselines_windows() -> None:
    random = np.random.default_rng(1)
    windows = random.multinomial(60, [0.5, 0.3, 0.2], 3000)
    baseline = windows.sum(axis=0)
    limits = comparators.thresholds(baseline, {"1h": windows}, numeric=True)
    for rule in comparators.RULES:
        if rule.threshold is None:
            over = rule.statistic(baseline, windows, numeric=True) > limits[rule.name, "1h"]
            assert 0 < over.mean() <= comparators.TUNED


def test_ks_and_chi_square_are_scipys() -> None:
    from scipy import stats

    baseline, window = np.array([40, 30, 30]), np.array([[10, 20, 30]])
    expected = stats.chi2_contingency(np.stack([baseline, window[0]])).pvalue
    assert comparators.chi_square(baseline, window)[0] == pytest.approx(-np.log10(expected))
    before, now = np.repeat([0.0, 1.0, 2.0], baseline), np.repeat([0.0, 1.0, 2.0], window[0])
    p_value = stats.ks_2samp(before, now, method="asymp").pvalue
    # scipy's asymptotic form is for the exact distribution of n; ours is Kolmogorov's limit.
    assert comparators.kolmogorov_smirnov(baseline, window)[0] == pytest.approx(-np.log10(p_value), abs=0.15)


# Documents


def test_streams_are_cut_sorted_and_typed() -> None:
    frame = pd.DataFrame(
        {
            "time": pd.to_datetime(["2020-01-03", "2020-01-01", "2019-01-01"]),
            "n": [1, 2, 3],
            "t": ["x", None, "y"],
        }
    )
    stream = make("s", "event", "", frame, "2020-01-01", "2020-01-02", "2020-02-01", predictions=("t",))
    assert stream.columns["n"].tolist() == [2.0, 1.0]
    assert stream.columns["t"].tolist() == [None, "x"]
    assert int((stream.seconds < stream.split).sum()) == 1


def test_the_report_can_be_written_from_what_was_measured(prepared: Prepared) -> None:
    cases = injected(
        prepared, engine.judge_of(prepared.stream), 1, levels=frozenset({"gross", "limit"}), rules=True
    )
    one = natural(prepared)
    one["blind_below"] = {name: dict(prepared.baseline[name].blind_below) for name in prepared.names}
    part = {"streams": {"tiny": one}, "cases": [case.document() for case in cases]}
    found = {"quick": True, "days": 1, "taken": "2020-01-01", "minutes": 0.1, "design": part, "holdout": part}
    text = document.render(found)
    assert "| false column-windows, raw, design streams | " in text
    for table in document.tables(found):
        assert {len(row) for row in table.rows} <= {len(table.header)}, table.title
    assert "**modelmeter** (raw)" in text
    assert document.between(document.BEGIN + document.END, text).count(text) == 1
