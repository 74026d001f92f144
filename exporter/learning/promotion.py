"""Promotion: how far learning is, when it freezes, and what the person on call should do next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from exporter.learning.column import HOURS, State

#: Live days after which learning is frozen and asks to be promoted: each weekday twice.
FREEZE_DAYS: Final = 14
#: Live days from which a day's verdict can page, too (`exporter.baseline.fit.NEEDED_WINDOWS`).
DAILY_DAYS: Final = 20
#: A model that is asked in office hours alone has too few live hours among those that are kept; once so many
#: hours lie between the first and the last of them, more would only take the place of these.
SPAN: Final = HOURS - 24

Stage: TypeAlias = Literal["learning", "ready", "frozen", "promoted"]


@dataclass(frozen=True, slots=True)
class Promotion:
    """Where a model's learner stands."""

    stage: Stage
    rows: int
    days: float
    """Live days: hours with rows / 24."""
    freezes: float | None
    """Unix seconds; an estimate while learning, None once frozen."""
    sentence: str


def promotion(
    state: State,
    *,
    phase: int = 0,
    zone: ZoneInfo | None = None,
    freeze_days: int = FREEZE_DAYS,
    frozen: bool = False,
    promoted: bool = False,
) -> Promotion:
    """Where a learner in *state* stands; *promoted* says that a baseline already judges the model.

    >>> promotion(State(rows=1200, hours=36, first=0, last=35)).sentence
    'learning: 1,200 rows of 1.5 live days; it freezes on 1970-01-15 after 14, until then nothing is judged'
    """
    days = state.hours / 24
    if promoted:
        sentence = (
            f"promoted: a baseline judges; {state.rows:,} rows of {days:.1f} live days are kept beside it"
        )
        return Promotion("promoted", state.rows, days, None, sentence)
    learnt = f"{state.rows:,} rows of {days:.1f} live days"
    if not state.hours:
        return Promotion("learning", 0, 0.0, None, "learning: no rows yet")
    if not frozen and days < freeze_days and state.last - state.first + 1 < SPAN:
        # Idle hours do not count, so the end is when as many hours as are missing have had rows.
        share = min(1.0, state.hours / max(state.last - state.first + 1, 1))
        left = (freeze_days * 24 - state.hours) / share
        freezes = min(state.last + 1 + left, state.first + SPAN) * 3600 + phase
        day = datetime.fromtimestamp(freezes, zone or ZoneInfo("UTC")).date().isoformat()
        sentence = (
            f"learning: {learnt}; it freezes on {day} after {freeze_days}, until then nothing is judged"
        )
        return Promotion("learning", state.rows, days, freezes, sentence)
    windows = "hours and days" if days >= DAILY_DAYS else "hours"
    command = "modelmeter baseline learn --from http://POD:9464 -o baseline.json"
    stage: Stage = "frozen" if frozen else "ready"
    return Promotion(
        stage, state.rows, days, None, f"{stage}: {learnt} calibrate {windows}; promote it: {command}"
    )
