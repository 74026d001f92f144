"""Promotion: a learner says how far it is and what to do next."""

from __future__ import annotations

import pytest

from exporter.learning.column import State
from exporter.learning.promotion import promotion


@pytest.mark.parametrize(
    ("hours", "options", "stage", "says"),
    [
        (0, {}, "learning", "no rows yet"),
        (48, {}, "learning", "100 rows of 2.0 live days; it freezes on 1970-01-15 after 14"),
        (48, {"freeze_days": 2}, "ready", "calibrate hours; promote it"),
        (14 * 24, {}, "ready", "calibrate hours; promote it"),
        (21 * 24, {}, "ready", "calibrate hours and days; promote it"),
        (48, {"frozen": True}, "frozen", "promote it: modelmeter baseline learn --from"),
        (48, {"promoted": True}, "promoted", "a baseline judges"),
    ],
)
def test_stages_and_their_sentences(hours: int, options: dict[str, object], stage: str, says: str) -> None:
    state = State(100 if hours else 0, hours, 0, max(hours - 1, 0))
    told = promotion(state, **options)  # type: ignore[arg-type]
    assert told.stage == stage
    assert says in told.sentence
    assert told.sentence.startswith(stage)


def test_idle_hours_put_the_end_off() -> None:
    told = promotion(State(rows=10, hours=24, first=0, last=31))
    assert told.freezes == (32 + 13 * 24 / 0.75) * 3600


def test_office_hours_alone_freeze_when_more_would_only_take_the_place_of_what_is_kept() -> None:
    before = promotion(State(rows=10, hours=8 * 20, first=0, last=26 * 24))
    assert (before.stage, before.freezes) == ("learning", 27 * 24 * 3600)
    assert promotion(State(rows=10, hours=8 * 20, first=5, last=27 * 24 + 4)).stage == "ready"
