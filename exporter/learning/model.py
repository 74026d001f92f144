"""ModelLearner: the learners of all columns of one model, and the state file that recorders hand out.

A state file is one JSON document: format, schema, and for each model its columns (`ColumnLearner.document`).
Promises: what is written reads back equal; states of any number of recorders merge to the same learner.
Refuses: a state of another format, or one whose hours begin at another minute (`LearningError`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Self, TypeAlias
from zoneinfo import ZoneInfo

from exporter.learning.column import HOURS, ColumnLearner, State
from exporter.learning.wall import hour_of, phase_of
from exporter.mistake import MistakeError
from exporter.profile import Batch, Tally
from exporter.rows import Role
from exporter.schema import Kind

ColumnKey: TypeAlias = tuple[Role, str]

FORMAT: Final = "modelmeter learning"
SCHEMA: Final = 1
_ROLES: Final = ("feature", "prediction")
_NO_LOCK: Final = nullcontext()


class LearningError(MistakeError):
    """What is wrong with a learner's state."""


class ModelLearner:
    """One model's columns.

    >>> from exporter.profile import Layout
    >>> learner = ModelLearner("m", ZoneInfo("UTC"), start=0.0)
    >>> learner.add("feature", "age", "numeric", 7200.0, *Layout("numeric").read([31.0]))
    >>> learner.state
    State(rows=1, hours=1, first=2, last=2)
    """

    def __init__(self, model: str, zone: ZoneInfo, start: float, hours: int = HOURS) -> None:
        """*start*, Unix seconds, tells where hours of *zone* begin (zones of half an hour)."""
        self.model = model
        self.timezone = zone.key
        self.phase = phase_of(zone, start)
        self.frozen = False
        """True: nothing is added any more."""
        self.columns: dict[ColumnKey, ColumnLearner] = {}
        self.told: set[int] = set()
        """Hours in which verdicts told of drift in columns that a baseline knows: left out of all."""
        self._hours = hours

    def add(self, role: Role, name: str, kind: Kind, time: float, tally: Tally, batch: Batch) -> None:
        """Adds one reading (`Layout.read`) of a column's values, all seen at *time*, Unix seconds."""
        if self.frozen:
            return
        learner = self.columns.get((role, name))
        if learner is None:
            learner = self.columns[role, name] = ColumnLearner(kind, self._hours)
        if learner.kind == kind:
            learner.add(hour_of(time, self.phase), tally, batch)

    def tell(self, start: float, end: float) -> None:
        """Note that the hours of [start, end), Unix seconds, drifted in columns that a baseline knows."""
        if not self.frozen:
            last = hour_of(end - 1.0, self.phase)
            kept = range(last - self._hours + 1, last + 1)
            self.told.update(range(hour_of(start, self.phase), last + 1))
            self.told = {hour for hour in self.told if hour in kept}

    @property
    def state(self) -> State:
        """How far the column with most rows is."""
        states = [learner.state for learner in self.columns.values()]
        return max(states, default=State(0, 0, 0, 0))

    @property
    def nbytes(self) -> int:
        """Memory held now, about."""
        return sum(learner.nbytes for learner in self.columns.values())

    def merge(self, other: ModelLearner) -> None:
        """Adds what *other* has seen. Raises ValueError when the two can not be added."""
        for what in ("model", "timezone", "phase"):
            mine, theirs = getattr(self, what), getattr(other, what)
            if mine != theirs:
                raise ValueError(f"{what}: expected {mine!r}, found {theirs!r}")
        self.told |= other.told
        for key, learner in other.columns.items():
            mine_ = self.columns.get(key)
            if mine_ is None:
                mine_ = self.columns[key] = ColumnLearner(learner.kind, learner.limit)
            mine_.merge(learner)

    def document(self, lock: AbstractContextManager[object] = _NO_LOCK) -> dict[str, Any]:
        """The state as plain JSON values; *lock* is held for one column at a time, 0.1 s each at most."""
        with lock:
            keys = sorted(self.columns)
            told = sorted(self.told)
        columns = []
        for role, name in keys:
            with lock:
                columns.append({"role": role, "name": name, **self.columns[role, name].document()})
        return {
            "model": self.model,
            "timezone": self.timezone,
            "phase": self.phase,
            "frozen": self.frozen,
            "told": told,
            "columns": columns,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """What `document` wrote. Raises ValueError for anything else."""
        try:
            learner = cls(document["model"], ZoneInfo(document["timezone"]), 0.0)
            learner.phase, learner.frozen = int(document["phase"]), bool(document["frozen"])
            learner.told = {int(hour) for hour in document.get("told", ())}
            for column in document["columns"]:
                if column["role"] not in _ROLES:
                    raise ValueError(f"role: expected feature or prediction, found {column['role']!r}")
                key: ColumnKey = (column["role"], str(column["name"]))
                learner.columns[key] = ColumnLearner.from_document(column)
        except (KeyError, TypeError) as error:
            raise ValueError(f"learner: {error!r}") from error
        return learner


def write_states(learners: Iterable[ModelLearner], lock: AbstractContextManager[object] = _NO_LOCK) -> bytes:
    """The state file; equal learners give the same bytes. *lock* as in `ModelLearner.document`."""
    models = [learner.document(lock) for learner in sorted(learners, key=lambda each: each.model)]
    document = {"format": FORMAT, "schema": SCHEMA, "models": models}
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def read_states(data: bytes, file: str) -> list[ModelLearner]:
    """The learners in the state *data* of *file* (or URL); raises `LearningError`."""
    try:
        document = json.loads(data)
    except ValueError as error:
        raise LearningError(file, "", "a learner's state in JSON", str(error)[:80]) from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = repr(document.get("format")) if isinstance(document, dict) else type(document).__name__
        raise LearningError(file, "format", repr(FORMAT), found)
    if document.get("schema") != SCHEMA:
        raise LearningError(
            file, "schema", f"{SCHEMA}, which this modelmeter reads", repr(document.get("schema"))
        )
    models = document.get("models")
    if not isinstance(models, list):
        raise LearningError(file, "models", "a list", type(models).__name__)
    learners = []
    for at, model in enumerate(models):
        try:
            learners.append(ModelLearner.from_document(model))
        except (ValueError, KeyError) as error:  # KeyError: a time zone that this machine does not know
            raise LearningError(file, f"models[{at}]", "a model's learner", str(error)[:120]) from None
    return learners


def merged_model(learners: Sequence[tuple[str, ModelLearner]], model: str | None) -> ModelLearner:
    """The learner of *model* (of the only one there is, when None), added up over states with their files.

    Raises `LearningError`.
    """
    names = sorted({learner.model for _, learner in learners})
    files = ", ".join(dict.fromkeys(file for file, _ in learners))
    if model is None and len(names) == 1:
        model = names[0]
    if model is None or model not in names:
        expected = "--model with one of " + ", ".join(map(repr, names)) if names else "a model's learner"
        raise LearningError(files, "models", expected, "no --model" if model is None else repr(model))
    total: ModelLearner | None = None
    for file, learner in learners:
        if learner.model != model:
            continue
        if total is None:
            total = ModelLearner(model, ZoneInfo(learner.timezone), 0.0)
            total.phase = learner.phase
        try:
            total.merge(learner)
        except ValueError as error:
            raise LearningError(file, model, "a learner that adds up with the others", str(error)) from None
    assert total is not None
    return total
