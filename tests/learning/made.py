"""Live traffic made for tests: an hourly cycle of a number and of a category, over any number of recorders."""

from __future__ import annotations

from collections.abc import Collection
from zoneinfo import ZoneInfo

import numpy as np

from exporter.learning import ModelLearner
from exporter.profile import Layout

UTC = ZoneInfo("UTC")
START = 1_700_006_400.0
"""2023-11-15T00:00:00Z, a Wednesday."""

NUMBERS = Layout("numeric")
NAMES = Layout("categorical")


def traffic(
    recorders: int = 1,
    days: int = 15,
    rows: int = 120,
    poisoned: Collection[int] = (),
    seed: int = 1,
    zone: ZoneInfo = UTC,
    daily: int = 24,
) -> list[ModelLearner]:
    """The same rows whatever the number of *recorders*, in the first *daily* hours of a day; on *poisoned* days the number is in another unit."""
    rng = np.random.default_rng(seed)
    learners = [ModelLearner("taxi", zone, START) for _ in range(recorders)]
    for hour in (hour for hour in range(24 * days) if hour % 24 < daily):
        wave = np.sin(hour % 24 / 24 * 2 * np.pi)
        n = int(rows * (1.2 + wave))
        numbers = rng.normal(40 + 5 * wave, 12, n)
        if hour // 24 in poisoned:
            numbers = numbers * 1.609
        numbers[rng.random(n) < 0.02] = np.nan
        names = rng.choice(["card", "cash", "other"], n, p=[0.6, 0.3, 0.1]).tolist()
        for at, learner in enumerate(learners):
            time = START + hour * 3600 + at
            learner.add("feature", "fare", "numeric", time, *NUMBERS.read(numbers[at::recorders]))
            learner.add("feature", "paid", "categorical", time, *NAMES.read(names[at::recorders]))
    return learners


def added(learners: list[ModelLearner]) -> ModelLearner:
    """All of them in one, a new one."""
    total = ModelLearner(learners[0].model, ZoneInfo(learners[0].timezone), START)
    for learner in learners:
        total.merge(learner)
    return total
