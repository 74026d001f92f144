"""Answer: the sentence at the top of the page, and what to know before believing the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo

from exporter.page.status import Answer, Coverage, Model
from exporter.page.words import count, listing, moment, share
from exporter.views import State, View

#: Beyond it the recorder is so far behind that the windows on the page are visibly those of the past.
LAG_SECONDS = 60.0

#: Columns that the sentence names; the rest are on the page in the same order.
NAMED = 3


def answer(view: View, models: Sequence[Model], by_state: Mapping[State, int], zone: tzinfo) -> Answer:
    """What the page says first, times in *zone*."""
    total = sum(by_state.values())
    columns = f"of {total} columns" if total > 1 else "of 1 column"
    if n := by_state["drifted"]:
        named = _named(models, "drifted", view.about.now, zone)
        return Answer("drifted", f"{n} {columns} drifted", named)
    if n := by_state["ticket"]:
        named = _named(models, "ticket", view.about.now, zone)
        verb = "differs" if n == 1 else "differ"
        return Answer("ticket", f"{n} {columns} {verb} from the baseline, not urgently", named)
    if judged := by_state["ok"]:
        rest = list(_unjudged(by_state))
        detail = f"{judged} of {total} columns judged; {listing(rest)}" if rest else ""
        return Answer("ok", "Nothing has drifted", detail)
    if total and by_state["learning"] == total and view.learning:
        furthest = max(view.learning, key=lambda one: one.rows)
        others = len(view.learning) - 1
        more = f"; and {others} more {'model' if others == 1 else 'models'}" if others else ""
        name = f"{furthest.model}: " if more else ""
        return Answer("early", "Nothing to compare with yet", f"{name}{furthest.sentence}{more}")
    if total and by_state["learning"] == total:
        none = "the one column has no" if total == 1 else f"none of the {total} columns has a"
        return Answer(
            "early", "Nothing to compare with", f"{none} baseline; modelmeter baseline build makes one"
        )
    return Answer("early", "Too early to say", _why_early(view, by_state))


def _named(models: Sequence[Model], state: State, now: float, zone: tzinfo) -> str:
    """The columns in *state*, those that moved most first, each with its onset and what is to be seen."""
    found = [
        (model, column)
        for model in models
        for column in (*model.predictions, *model.features)
        if column.state == state
    ]
    found.sort(key=lambda pair: pair[1].moved)
    parts = []
    for model, column in found[:NAMED]:
        name = column.column if len(models) == 1 else f"{column.column} of {model.model} {model.version}"
        since = f" since {moment(column.since, now, zone)}" if column.since is not None else ""
        parts.append(f"{name}{since}{f', {column.sentence}' if column.sentence else ''}")
    if len(found) > NAMED:
        parts.append(f"and {len(found) - NAMED} more")
    return "; ".join(parts)


def _unjudged(by_state: Mapping[State, int]) -> Iterable[str]:
    if n := by_state["insufficient"]:
        yield f"{n} {'has' if n == 1 else 'have'} too few rows"
    if n := by_state["learning"]:
        yield f"{n} {'has' if n == 1 else 'have'} no baseline"


def _why_early(view: View, by_state: Mapping[State, int]) -> str:
    if total := sum(by_state.values()):
        if not any(verdict.end for column in view.columns for verdict in column.verdicts):
            return "no hour is over yet; the first verdicts come when one is"
        unjudged = list(_unjudged(by_state))
        if len(unjudged) == 1 and total > 1:
            return f"all {unjudged[0].replace(' ', ' columns ', 1)}"
        return f"of {total} columns {listing(unjudged)}"
    seen = sum(law.seen for law in view.law)
    if seen == 0:
        return "no request has come yet"
    return f"{count(seen)} exchange{'s' if seen > 1 else ''} passed, none with rows"


def notices(view: View, law: Sequence[Coverage]) -> Iterable[str]:
    """Sentences on what makes the numbers doubtful: servers down, lag, losses, limits, errors."""
    about = view.about
    if not about.upstream_up:
        yield "The model server does not accept connections."
    if not about.recorder_up:
        yield "The recorder is down: nothing is being recorded."
    for match in view.matches:
        # A column that only the traffic has makes no other verdict doubtful: it stands with its model.
        found = [sentence for reason, sentence in match.sentences if reason != "extra"]
        if found:
            more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
            name = f"{match.model} {match.version}"
            yield f"The traffic of {name} does not match its baseline: {'; '.join(found[:NAMED])}{more}."
    if about.lag_seconds > LAG_SECONDS:
        yield f"The recorder is {about.lag_seconds:.0f} s behind: what follows is of the past."
    if restarts := sum(about.recorder_restarts.values()):
        times = "once" if restarts == 1 else f"{count(restarts)} times"
        yield f"The recorder was restarted {times}; the columns count from its last start."
    lost = sum(entry.terms["dropped"] for entry in law)
    seen = sum(entry.seen for entry in law)
    if lost:
        yield f"{share(lost / seen)} of the exchanges were dropped unrecorded; their requests were served."
    if about.layouts_dropped:
        yield f"{count(about.layouts_dropped)} columns or model versions are not followed: see limits."
    if errors := sum(about.errors.values()):
        yield f"{count(errors)} internal errors; the log of the recorder has them."
