"""What the page says of a view: the sentence, the ranking, the numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.page.status import Status
from exporter.page.summary import duration_quantile, summarise
from exporter.statistics import rate_interval
from exporter.traffic import DURATION_BUCKETS
from exporter.views import ColumnView, State, View
from tests.page import example_view
from tests.page.example_view import ONSET


def status(view: View) -> Status:
    return summarise(view, UTC)


def judged(*states: tuple[str, State, float | None], since: float | None = ONSET) -> View:
    """The example with as many columns, named, in these states and with these scores."""
    example = example_view.view()
    pattern = example.columns[0]

    def column(name: str, state: State, score: float | None) -> ColumnView:
        hour, day = pattern.verdicts
        return replace(
            pattern,
            column=name,
            verdicts=(
                replace(
                    hour,
                    state=state,
                    score=score,
                    incident_start=since if state in ("drifted", "ticket") else None,
                    sentence=f"{name} moved" if state in ("drifted", "ticket") else "",
                ),
                day,
            ),
        )

    return replace(example, columns=tuple(column(*entry) for entry in states))


def test_the_sentence_names_the_column_that_drifted() -> None:
    answer = status(example_view.view()).answer
    assert answer.state == "drifted"
    assert answer.sentence == (
        "1 of 11 columns drifted: distance since 14:05, median 1.61 × that of the baseline"
    )


SENTENCES: dict[str, tuple[Callable[[], View], str]] = {
    "quiet": (
        example_view.quiet,
        "Nothing has drifted: 9 of 11 columns judged; 1 has too few rows and 1 has no baseline",
    ),
    "all ok": (lambda: judged(("a", "ok", 0.2), ("b", "ok", 0.1)), "Nothing has drifted"),
    "one column": (lambda: judged(("a", "drifted", 2.0)), "1 of 1 column drifted: a since 14:05, a moved"),
    "two": (
        lambda: judged(("a", "drifted", 2.0), ("b", "drifted", 3.0), ("c", "ok", 0.1)),
        "2 of 3 columns drifted: b since 14:05, b moved; a since 14:05, a moved",
    ),
    "four": (
        lambda: judged(*((name, "drifted", 9.0 - at) for at, name in enumerate("abcd")), since=None),
        "4 of 4 columns drifted: a, a moved; b, b moved; c, c moved; and 1 more",
    ),
    "ticket": (
        lambda: judged(("a", "ticket", 1.5), ("b", "ok", 0.1)),
        "1 of 2 columns differs from the baseline, not urgently: a since 14:05, a moved",
    ),
    "drift before ticket": (
        lambda: judged(("a", "ticket", 9.5), ("b", "drifted", 1.1)),
        "1 of 2 columns drifted: b since 14:05, b moved",
    ),
    "undecided": (
        lambda: judged(("a", "insufficient", None), ("b", "insufficient", None), ("c", "learning", 3.0)),
        "Too early to say: of 3 columns 2 have too few rows and 1 has no baseline",
    ),
    "no baseline": (
        lambda: judged(("a", "learning", None), ("b", "learning", None)),
        "Nothing to compare with: none of the 2 columns has a baseline; modelmeter baseline build makes one",
    ),
    "before the first request": (example_view.early, "Too early to say: no request has come yet"),
    "nothing with rows": (
        lambda: replace(example_view.view(), columns=(), rows=()),
        "Too early to say: 4,218 exchanges passed, none with rows",
    ),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_the_answer_is_one_sentence(name: str) -> None:
    view, sentence = SENTENCES[name]
    assert status(view()).answer.sentence == sentence


def test_a_column_is_named_with_its_model_when_there_are_several() -> None:
    example = judged(("a", "drifted", 2.0), ("b", "drifted", 7.0))
    second = replace(example.columns[1], model="fraud", version="1")
    found = status(replace(example, columns=(example.columns[0], second))).answer.sentence
    assert found == (
        "2 of 2 columns drifted: b of fraud 1 since 14:05, b moved; a of late_arrival 3 since 14:05, a moved"
    )


def test_times_are_given_in_the_zone_and_with_the_day_when_it_is_another() -> None:
    view = judged(("a", "drifted", 2.0), since=ONSET - 86_400)
    assert summarise(view, ZoneInfo("Asia/Tokyo")).answer.detail == "a since 11 Jun 23:05, a moved"


def test_columns_are_ranked_by_how_far_they_moved() -> None:
    view = judged(
        ("e", "insufficient", None), ("d", "learning", 8.0), ("c", "ok", 0.9), ("b", "ok", 0.95),
        ("a", "ticket", 1.2), ("f", "drifted", 1.1), ("g", "drifted", 4.0),
    )  # fmt: skip
    (model,) = status(view).models
    assert [column.column for column in model.features] == ["g", "f", "a", "b", "c", "d", "e"]


def test_predictions_stand_apart_and_the_group_that_moved_most_comes_first() -> None:
    (model,) = status(example_view.view()).models
    assert [column.column for column in model.predictions] == ["probability", "late"]
    assert [title for title, _ in model.groups] == ["Features", "Predictions"]
    (quiet,) = status(example_view.quiet()).models
    assert [title for title, _ in quiet.groups] == ["Predictions", "Features"]


def test_the_model_that_moved_most_comes_first() -> None:
    example = judged(("a", "ok", 0.2), ("b", "drifted", 7.0))
    moved = replace(example.columns[1], model="zebra", version="1")
    models = status(replace(example, columns=(example.columns[0], moved))).models
    assert [model.model for model in models] == ["zebra", "late_arrival"]


def test_a_column_judged_in_one_window_is_judged() -> None:
    column = status(judged(("a", "ok", 0.2))).models[0].features[0]
    assert [verdict.state for verdict in column.verdicts] == ["ok", "insufficient"]
    assert column.state == "ok"


def test_a_column_without_verdict_window_or_baseline_is_insufficient() -> None:
    example = example_view.view()
    bare = replace(
        example.columns[0], bins="", bin_labels=(), bin_counts=None, baseline=None, windows=(), verdicts=()
    )
    column = status(replace(example, columns=(bare,))).models[0].features[0]
    assert (column.state, column.bins, column.quantiles, column.rows) == ("insufficient", (), (), 0)
    assert (column.missing_share, column.psi, column.score) == (None, None, None)


def test_shares_of_the_window_are_of_what_was_binned() -> None:
    column = next(c for c in status(example_view.view()).models[0].features if c.column == "dep_delay")
    assert sum(bin_.window or 0.0 for bin_ in column.bins) == pytest.approx(1.0)
    assert sum(bin_.baseline or 0.0 for bin_ in column.bins) == pytest.approx(1.0)
    assert column.missing_share == pytest.approx(39 / 1163)


def test_coverage_leaves_out_what_was_ignored_and_what_is_not_settled() -> None:
    found = status(example_view.view())
    assert found.coverage == 4180 / 4182
    (law,) = found.law
    assert sum(law.terms.values()) == law.seen == 4218
    assert law.reasons == [("undecodable", "bad_json", 2), ("ignored", "not_inference", 33)]
    assert status(example_view.early()).coverage is None


def test_totals_are_sums_over_models() -> None:
    total = status(example_view.view()).total
    assert (total.requests, total.failed) == (4215, 3)
    assert total.failures == {"client_error": 1, "server_error": 2, "in_band": 0, "closed": 0}
    assert total.p50_seconds == pytest.approx(0.0084, abs=1e-4)


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), min_size=len(DURATION_BUCKETS) + 1, max_size=len(DURATION_BUCKETS) + 1))
def test_a_quantile_of_durations_lies_in_the_bucket_that_holds_its_rank(counts: list[int]) -> None:
    cumulative = [sum(counts[: at + 1]) for at in range(len(counts))]
    bounds = [0.0, *DURATION_BUCKETS, float("inf")]
    for rank in (0.01, 0.5, 0.99):
        found = duration_quantile(cumulative, rank)
        if cumulative[-1] == 0:
            assert found is None
            continue
        assert found is not None
        at = next(at for at, n in enumerate(cumulative) if n >= rank * cumulative[-1])
        assert bounds[at] < found <= bounds[at + 1] or found == bounds[at + 1]


NOTICES = {
    "The model server does not accept connections.": {"upstream_up": False},
    "The recorder is down: nothing is being recorded.": {"recorder_up": False},
    "The recorder is 75 s behind: what follows is of the past.": {"lag_seconds": 75.2},
    "The recorder was restarted once; the columns count from its last start.": {
        "recorder_restarts": {"exit": 1}
    },
    "The recorder was restarted 12 times; the columns count from its last start.": {
        "recorder_restarts": {"exit": 4, "hang": 8}
    },
    "7 columns or model versions are not followed: see limits.": {"layouts_dropped": 7},
    "3 internal errors; the log of the recorder has them.": {"errors": {"decode": 1, "record": 2}},
}


@pytest.mark.parametrize("sentence", NOTICES)
def test_what_makes_the_numbers_doubtful_is_said(sentence: str) -> None:
    example = example_view.view()
    assert status(example).notices == ()
    changed = replace(example, about=replace(example.about, **NOTICES[sentence]))  # type: ignore[arg-type]
    assert status(changed).notices == (sentence,)


def test_traffic_that_does_not_match_the_baseline_is_said_unless_it_has_columns_more() -> None:
    example = replace(example_view.view(), matches=(example_view.match(),))
    assert status(example).notices == ()
    assert status(example).models[0].mismatches == (
        "feature 'tail_number' is not in the baseline: it is learnt, not judged",
    )
    named = [("missing", f"feature 'c{n}' of the baseline does not come") for n in range(5)]
    match = replace(example_view.match(), sentences=(*named, *example_view.match().sentences))
    assert status(replace(example, matches=(match,))).notices == (
        "The traffic of late_arrival 3 does not match its baseline: "
        + "; ".join(sentence for _, sentence in named[:3])
        + "; and 2 more.",
    )


def test_a_model_that_learns_says_how_far_it_is() -> None:
    example = judged(("a", "learning", None), ("b", "learning", None))
    learning = replace(example_view.learning(), model=example_view.MODEL)
    found = status(replace(example, baselines=(), learning=(learning,)))
    assert found.models[0].learning == learning.sentence
    assert found.answer.sentence == f"Nothing to compare with yet: {learning.sentence}"
    other = replace(learning, model="tip", rows=7)
    assert status(replace(example, learning=(other, learning))).answer.detail == (
        f"late_arrival: {learning.sentence}; and 1 more model"
    )


def test_losses_are_said_in_percent_of_the_exchanges() -> None:
    example = example_view.view()
    law = replace(example.law[0], dropped={"queue_full": 1000}, seen=example.law[0].seen + 1000)
    assert status(replace(example, law=(law,))).notices == (
        "19 % of the exchanges were dropped unrecorded; their requests were served.",
    )


def test_each_distance_stands_beside_what_chance_alone_gives() -> None:
    columns = {
        c.column: c
        for model in status(example_view.view()).models
        for c in (*model.predictions, *model.features)
    }
    counts = [
        "psi", "jensen_shannon_distance", "kullback_leibler_divergence", "hellinger_distance",
        "total_variation_distance", "chi_square", "chi_square_p_value",
    ]  # fmt: skip
    numbers = ["kolmogorov_smirnov_distance", "normed_wasserstein_distance"]
    assert [d.name for d in columns["carrier"].distances] == counts
    assert [d.name for d in columns["distance"].distances] == counts + numbers
    assert columns["visib"].distances == ()  # too few rows
    psi = {name: column.distances[0] for name, column in columns.items() if column.distances}
    assert psi["distance"].value == pytest.approx(1.2862, abs=1e-4)
    # 16 bins that hold something, 1,204 rows against 109,120; the two outer ones hold half a count on either side.
    e, o = 0.5 / 109_129, 0.5 / 1213
    expected = 15 * (1 / 1204 + 1 / 109_120) + 2 * (o - e) * math.log(o / e)
    assert psi["probability"].chance == pytest.approx(expected, rel=0.02)
    assert psi["probability"].value < 1.2 * psi["probability"].chance
    assert psi["distance"].value > 50 * psi["distance"].chance


def test_a_missing_share_has_an_interval() -> None:
    columns = {
        c.column: c
        for model in status(example_view.view()).models
        for c in (*model.predictions, *model.features)
    }
    late = columns["dep_delay"]
    assert late.missing_between is not None
    assert late.missing_share == pytest.approx(39 / 1163)
    assert late.missing_between == rate_interval(39, 1163)
    assert late.missing_between == (pytest.approx(0.0243, abs=1e-4), pytest.approx(0.0460, abs=1e-4))
