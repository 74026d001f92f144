"""Learners: what every model without a baseline has learnt so far, and how far it is.

All versions of a model learn together, as one baseline will judge them all. Columns that a model's baseline
does not have are learnt, too; hours in which the others drifted are then left out (`tell`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final, NamedTuple, TypeAlias

from exporter.learning import ColumnLearner, ModelLearner, Promotion, promotion, write_states
from exporter.monitor.state import LearnerState
from exporter.profile import Batch, Tally
from exporter.rows import Role
from exporter.schema import Kind
from exporter.views import LearningView
from exporter.window import Calendar

Listener: TypeAlias = Callable[[float, Tally, Batch], None]
"""Hears of each reading of a column: time, tally, batch."""

LOOK_SECONDS: Final = 60.0
"""How often it is seen how far they are; 0.04 ms a column."""


class Part(NamedTuple):
    """One column of one learner."""

    model: str
    role: Role
    name: str


class Learners:
    """The `ModelLearner` of each model; *known* are the models that have a baseline."""

    def __init__(self, calendar: Calendar, known: Collection[str]) -> None:
        self._calendar = calendar
        self._known = known
        self._learners: dict[str, ModelLearner] = {}
        self._told: dict[str, Promotion] = {}
        self._looked = -math.inf

    def _learner(self, model: str) -> ModelLearner:
        learner = self._learners.get(model)
        if learner is None:
            learner = self._learners[model] = ModelLearner(model, self._calendar.zone, 0.0)
            learner.phase = self._calendar.phase  # hours are those of the verdicts
            self._told[model] = self._promotion(learner)
        return learner

    def listener(self, model: str, role: Role, name: str, kind: Kind) -> Listener:
        """Who hears of that column from now on."""

        def hear(time: float, tally: Tally, batch: Batch) -> None:
            self._learner(model).add(role, name, kind, time, tally, batch)

        return hear

    def tell(self, model: str, start: float, end: float) -> None:
        """[start, end) drifted in a column of *model* that its baseline has."""
        if model in self._learners:
            self._learners[model].tell(start, end)

    def look(self, now: float) -> list[str]:
        """Freeze what is ready, once a minute at most; returns the models that were frozen now."""
        if 0.0 <= now - self._looked < LOOK_SECONDS:
            return []
        self._looked = now
        frozen = []
        for model, learner in self._learners.items():
            told = self._told[model] = self._promotion(learner)
            if not learner.frozen and told.stage == "ready":
                learner.frozen = True
                frozen.append(model)
                self._told[model] = self._promotion(learner)
        return frozen

    def _promotion(self, learner: ModelLearner) -> Promotion:
        return promotion(learner.state, phase=learner.phase, zone=self._calendar.zone, frozen=learner.frozen)

    def sentence(self, model: str) -> str:
        """What stands beside a column of *model* that is not judged."""
        if model in self._known:
            return "the baseline does not have this column"  # and promoting what is learnt would replace it
        return self._current(model).sentence if model in self._learners else "learning: no rows yet"

    def _current(self, model: str) -> Promotion:
        """As of the last look; of the first minute, in which there was none, as of now."""
        told = self._told[model]
        if not told.rows:
            told = self._told[model] = self._promotion(self._learners[model])
        return told

    def views(self) -> tuple[LearningView, ...]:
        """Those of models without a baseline, in order of their names."""
        return tuple(
            LearningView(model, told.stage, told.rows, told.days, told.freezes, told.sentence)
            for model, told in ((model, self._current(model)) for model in sorted(self._learners))
            if model not in self._known
        )

    def state_file(self, lock: AbstractContextManager[object] | None = None) -> bytes:
        """What ``modelmeter baseline learn`` reads; *lock* is held for one column at a time."""
        held = lock if lock is not None else nullcontext()
        with held:
            learners = list(self._learners.values())
        return write_states(learners, held)

    # Checkpoints

    def parts(self) -> list[Part]:
        """Every column there is: each has a `state` of its own."""
        return [
            Part(model, role, name)
            for model, learner in self._learners.items()
            for role, name in learner.columns
        ]

    def state(self, part: Part) -> LearnerState:
        """That column, and what its model's learner is."""
        learner = self._learners[part.model]
        return LearnerState(
            model=part.model,
            zone=learner.timezone,
            phase=learner.phase,
            frozen=learner.frozen,
            told=sorted(learner.told),
            role=part.role,
            name=part.name,
            kept=learner.columns[part.role, part.name].kept(),
        )

    def restore(self, state: LearnerState, known: Mapping[str, Collection[tuple[Role, str]]]) -> None:
        """Go on with that column, unless a baseline, of those by model in *known*, has it now.

        Raises ValueError when its hours are others, or it is damaged; it then begins anew.
        """
        if (state.role, state.name) in known.get(state.model, ()):
            return
        mine = (self._calendar.zone.key, self._calendar.phase)
        if (state.zone, state.phase) != mine:
            raise ValueError(f"learner: expected hours of {mine}, found those of {state.zone, state.phase}")
        column = ColumnLearner.from_kept(state.kept)
        learner = self._learner(state.model)
        learner.columns[state.role, state.name] = column
        learner.frozen = learner.frozen or state.frozen
        learner.told.update(state.told)
        self._told[state.model] = self._promotion(learner)
