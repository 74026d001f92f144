"""Fit: does one version's traffic have the columns of its baseline, and their distributions?

The first rows tell of names, kinds and order, the first day of distributions; each is told once. What is said
in a log names columns of the baseline alone: names that came from the wire may be what was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
import numpy as np

from exporter.baseline import Baseline
from exporter.matching import Finding, findings
from exporter.rows import Role, Values
from exporter.schema import ModelSpec
from exporter.views import MISMATCHES, MatchView

ColumnKey: TypeAlias = tuple[Role, str]

ENTRIES: Final = 200
"""Of each column that are kept until something can be said; of embeddings, which are long, fewer."""
VECTORS: Final = 64
CHARACTERS: Final = 256
"""Of a text: enough to tell names from sentences."""
ALONE: Final = 1_000
"""Rows of one role after which the other is waited for no longer."""
DAY: Final = 24
"""Hours after which distributions are looked at, and when too few had rows enough, again as many."""
_NAMED: Final = 8


class FitState(msgspec.Struct, array_like=True, frozen=True):
    """A `Fit` in a checkpoint."""

    first: int | None
    found: list[Finding] | None
    unlike: list[tuple[Role, str]] | None


class Fit:
    """Of one model version that has a baseline."""

    __slots__ = ("_baseline", "_entries", "_found", "_rows", "_spec", "_unlike", "first")

    def __init__(self, baseline: Baseline, spec: ModelSpec) -> None:
        self._baseline = baseline
        self._spec = spec
        self._entries: dict[ColumnKey, list[object]] = {}
        self._rows: dict[Role, int] = {}
        self._found: list[Finding] | None = None
        self._unlike: list[ColumnKey] | None = None
        self.first: int | None = None
        """The hour from which on a day is looked at."""

    def see(self, role: Role, count: int, columns: Mapping[str, Values], hour: int) -> None:
        """The *columns* of *count* rows, of that *hour*."""
        if self.first is None:
            self.first = hour
        if self._found is not None:
            return
        self._rows[role] = self._rows.get(role, 0) + count
        for name, values in columns.items():
            kept = self._entries.setdefault((role, name), [])
            if len(kept) < ENTRIES:
                kept += _some(values, ENTRIES - len(kept))

    def look(self) -> list[Finding]:
        """What the first rows tell, once there are enough; nothing before and after."""
        if self._found is not None or not self._rows:
            return []
        wanted = {role for role, _ in self._baseline.columns}
        enough = all(self._rows.get(role, 0) >= ENTRIES for role in wanted)
        if not enough and max(self._rows.values()) < ALONE:
            return []
        entries, self._entries = self._entries, {}
        self._found = []
        self._found = findings(self._baseline, self._spec, entries)
        return self._found

    def look_at_day(
        self, hour: int, matches: Callable[[int], Mapping[ColumnKey, bool | None]]
    ) -> list[ColumnKey]:
        """What the first day tells, by *hour*, which is over: columns whose baseline does not match.

        *matches* says for each column whether the day from an hour on is like its baseline.
        """
        if self._unlike is not None or self.first is None or hour < self.first + DAY - 1:
            return []
        said = {key: like for key, like in matches(self.first).items() if like is not None}
        if not said:
            self.first += DAY
            return []
        self._unlike = sorted(key for key, like in said.items() if not like)
        return self._unlike

    def view(self, model: str, version: str) -> MatchView | None:
        """What was found; None before the first rows have told."""
        if self._found is None:
            return None
        columns = {
            reason: sum(finding.columns for finding in self._found if finding.reason == reason)
            for reason in MISMATCHES
            if reason != "distribution"
        }
        sentences: list[tuple[str, str]] = [(finding.reason, finding.sentence) for finding in self._found]
        if self._unlike is not None:
            columns["distribution"] = len(self._unlike)
            if self._unlike:
                sentences.append(("distribution", day_sentence(self._unlike)))
        return MatchView(model, version, columns, tuple(sentences))

    def state(self) -> FitState:
        """For a checkpoint; the first rows, while they are kept, begin anew."""
        return FitState(self.first, self._found, self._unlike)

    def restore(self, state: FitState) -> None:
        """Go on where *state* was taken."""
        self.first = state.first
        self._found, self._unlike = state.found, state.unlike


def day_sentence(unlike: Sequence[ColumnKey]) -> str:
    """What is said of columns whose first day was unlike the baseline.

    >>> day_sentence([("feature", "fare"), ("feature", "tip")]).partition(" in ")[0]
    'on its first day fare, tip were unlike the baseline'
    """
    named = ", ".join(name for _, name in unlike[:_NAMED])
    more = f" and {len(unlike) - _NAMED} more" if len(unlike) > _NAMED else ""
    verb = "was" if len(unlike) == 1 else "were"
    return (
        f"on its first day {named}{more} {verb} unlike the baseline in more than 20 % of the hours: "
        f"was the baseline sampled otherwise?"
    )


def _some(values: Values, count: int) -> list[object]:
    if isinstance(values, np.ndarray):
        return list(values[: min(count, VECTORS)]) if values.ndim > 1 else values[:count].tolist()
    some = list(values[:count])
    if any(isinstance(value, list) for value in some):
        return some[:VECTORS]
    return [value[:CHARACTERS] if isinstance(value, str | bytes) else value for value in some]
