"""Injection: ``--inject COLUMN:FAULT:FROM:TO[:STRENGTH]``: a named fault put into some hours of a column.

FROM and TO are dates, ISO 8601 times or Unix seconds; times hold colons, and so may a column's name, so the
text is taken apart where only one reading makes sense (`parse`). The faults, and what a strength means, are
those of `exporter.faults`; what a fault has to know of the whole column is taken from the baseline.

Promises: the same file, faults and order give the same values, in either format: every slot of five minutes
is a batch of its own, drawn from a generator that is seeded by the fault's place among the options.
Refuses: what is no column, fault, time or strength, a range without rows (`BacktestError`).
"""

from __future__ import annotations

import difflib
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from exporter.backtest.errors import BacktestError
from exporter.backtest.lines import utc
from exporter.backtest.reader import Extent, Floats
from exporter.backtest.values import NEITHER, NO_VALUE, Array
from exporter.baseline import BaselineColumn
from exporter.baseline.timestamps import TimestampError, unix_seconds
from exporter.faults import FAULTS, ColumnFacts, Fault, Strength, fault, inject, parse_strength
from exporter.schema import Kind
from exporter.sketch import CategoryBins
from exporter.window import SLOT_SECONDS

FORM: Final = "COLUMN:FAULT:FROM:TO[:STRENGTH]"

_DATE = r"\d{4}-\d{2}-\d{2}"
_ZONE = r"(?:[Zz]|[+-]\d{2}(?::?\d{2})?)?"
#: Shapes of a time. FROM and TO of the same shape are preferred to others: 00:00:2013-06-02T00:00:10 is then
#: midnight at strength 10, and not ten seconds after midnight.
_SHAPES: Final = (
    re.compile(_DATE),
    re.compile(rf"{_DATE}[T ]\d{{2}}:\d{{2}}{_ZONE}"),
    re.compile(rf"{_DATE}[T ]\d{{2}}:\d{{2}}:\d{{2}}(?:\.\d+)?{_ZONE}"),
    re.compile(r"-?\d+(?:\.\d+)?"),
)
#: Categories of which facts hold the shares; of the others the name alone is known.
_RANKS: Final = 10_000
#: What a column can have of which neither numbers nor categories are known.
_OF_TEXTS: Final = frozenset({"null_surge", "frozen", "replayed", "swapped", "type_change"})


@dataclass(frozen=True, slots=True)
class Injection:
    """One ``--inject``."""

    text: str
    """As it was given."""
    column: str
    fault: Fault
    start: float
    end: float
    """Unix seconds, [start, end)."""
    strength: Strength

    def mistake(self, expected: str, found: str) -> BacktestError:
        """What is wrong with it."""
        return BacktestError("--inject", self.text, expected, found)


def parse(text: str, columns: Sequence[str], zone: ZoneInfo) -> Injection:
    """The injection that *text* asks for; naive times are of *zone*. Raises `BacktestError`.

    >>> found = parse("a:b:scale:2013-06-01T00:00:2013-06-02T00:00:10", ["a:b", "c"], ZoneInfo("UTC"))
    >>> found.column, found.fault.name, found.start, found.end - found.start, found.strength
    ('a:b', 'scale', 1370044800.0, 86400.0, 10.0)
    """
    words = text.split(":")
    found, known, rest = _column_and_fault(text, words, columns)
    times = _times(rest)
    if times is None:
        raise BacktestError("--inject", text, f"{FORM} with two dates, times or Unix seconds", ":".join(rest))
    start, end, strength_text = times
    try:
        strength = parse_strength(known, strength_text)
    except ValueError as error:
        raise _reworded(text, error) from None
    start_seconds, end_seconds = (_seconds(text, time, zone) for time in (start, end))
    if start_seconds >= end_seconds:
        raise BacktestError("--inject", text, f"FROM before TO {end}", start)
    return Injection(text, found, known, start_seconds, end_seconds, strength)


def _column_and_fault(
    text: str, words: Sequence[str], columns: Sequence[str]
) -> tuple[str, Fault, Sequence[str]]:
    faults = {name for entry in FAULTS for name in (entry.name, *entry.aliases)}
    places = [
        (":".join(words[:at]), word, words[at + 1 :])
        for at, word in enumerate(words)
        if at and word.strip().lower().replace("-", "_").replace(" ", "_") in faults
    ]
    for column, word, rest in places:
        if column in columns:
            return column, fault(word), rest
    if places:
        column = places[0][0]
        raise BacktestError(
            "--inject", text, _one_of("a column of file and baseline", column, columns), column
        )
    # No word is a fault: was one meant behind a column that there is?
    behind = [":".join(words[:at]) in columns for at in range(len(words))]
    meant = words[behind.index(True)] if True in behind else ""
    expected = _one_of("a fault", meant, sorted(entry.name for entry in FAULTS))
    raise BacktestError("--inject", text, f"{FORM} with {expected}", meant or text)


def _one_of(what: str, found: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(found, names, n=1)
    return f"{what}, {near[0]!r} perhaps" if near else f"{what}, one of {', '.join(names[:20])}"


def _times(words: Sequence[str]) -> tuple[str, str, str | None] | None:
    """FROM, TO and the strength, which follows TO; None when *words* can not be read so."""
    read: list[tuple[tuple[bool, int], tuple[str, str, str | None]]] = []
    for first, second in combinations(range(1, len(words) + 1), 2):
        start, end = ":".join(words[:first]), ":".join(words[first:second])
        shapes = [_shape(start), _shape(end)]
        if None in shapes:
            continue
        strength = ":".join(words[second:]) if second < len(words) else None
        read.append(((shapes[0] == shapes[1], first + second), (start, end, strength)))
    return max(read, key=lambda pair: pair[0])[1] if read else None


def _shape(text: str) -> int | None:
    return next((at for at, shape in enumerate(_SHAPES) if shape.fullmatch(text.strip())), None)


def _seconds(text: str, time: str, zone: ZoneInfo) -> float:
    try:
        return float(unix_seconds(pa.array([time.strip()]), zone)[0])
    except TimestampError as error:
        raise BacktestError("--inject", text, error.expected, error.found) from None


def _reworded(text: str, error: ValueError) -> BacktestError:
    """What `exporter.faults` says, "scale: expected a factor, found 'x'", as an error of this option."""
    what, _, said = str(error).partition(": ")
    wanted, _, found = said.partition(", found ")
    if not wanted.startswith("expected ") or not found:
        return BacktestError("--inject", text, "a fault that the column can have", str(error))
    return BacktestError("--inject", text, f"{wanted.removeprefix('expected ')} as {what}", found)


class Injector:
    """The faults of one column, put into its slots one after the other.

    *column* is the baseline's; *places* numbers the options, for their seeds. `apply` has to see every slot
    of the file, in order, since some faults send again what was there before.
    """

    def __init__(self, column: BaselineColumn, injections: Sequence[tuple[int, Injection]]) -> None:
        self._kind: Kind = column.kind
        facts = _facts(column)
        self._jobs = [
            _Job(injection, facts, np.random.default_rng((0x6D6D, place))) for place, injection in injections
        ]
        for job in self._jobs:
            job.check(column.kind)

    @property
    def others(self) -> set[str]:
        """Columns whose values are wanted too."""
        return {str(job.injection.strength) for job in self._jobs if job.injection.fault.name == "swapped"}

    def apply(self, times: Floats, values: Array, column: Callable[[str], Array]) -> Array:
        """A slot's *values* with the faults; *times*, shape (n,), n > 0, ascend; *column* gives another."""
        for job in self._jobs:
            values = job.apply(times, values, self._kind, column)
        return values


class _Job:
    """One injection into one column."""

    def __init__(self, injection: Injection, facts: ColumnFacts, rng: np.random.Generator) -> None:
        self.injection = injection
        self._facts = facts
        self._rng = rng
        self._past: deque[tuple[int, Array]] = deque()
        """Slots before, and their values without this fault."""

    def check(self, kind: Kind) -> None:
        """Try it on two values, so that what the column can not have is told before hours of replay."""
        injection = self.injection
        name = injection.fault.name
        if kind == "embedding" or (kind == "text" and name not in _OF_TEXTS):
            raise injection.mistake("a numeric, categorical or boolean column", f"a column of {kind}")
        tried: Array = np.zeros(2) if kind == "numeric" else np.array(["", ""], dtype=object)
        try:
            inject(
                tried,
                name,
                injection.strength,
                rng=np.random.default_rng(0),
                facts=self._facts,
                other=tried,
                earlier=tried,
            )
        except ValueError as error:
            raise _reworded(injection.text, error) from None

    def apply(self, times: Floats, values: Array, kind: Kind, column: Callable[[str], Array]) -> Array:
        injection = self.injection
        first, stop = np.searchsorted(times, (injection.start, injection.end)).tolist()
        name = injection.fault.name
        changed = values
        slot = int(times[0] // SLOT_SECONDS)
        if first < stop:
            earlier = self._earlier(name, slot, values[:first])
            part = values[first:stop]
            other = column(str(injection.strength))[first:stop] if name == "swapped" else None
            changed = _put(values, first, self._faulted(part, kind, other, earlier), kind)
        if name in ("frozen", "replayed") and times[0] < injection.end:
            self._remember(name, slot, times, values)
        return changed

    def _faulted(self, part: Array, kind: Kind, other: Array | None, earlier: Array | None) -> Array:
        entries, unfit = _plain(part, kind)
        made = inject(
            entries,
            self.injection.fault.name,
            self.injection.strength,
            rng=self._rng,
            facts=self._facts,
            other=None if other is None else _plain(other, None)[0],
            earlier=None if earlier is None else _plain(earlier, kind)[0],
        )
        if unfit.any() and other is None and earlier is None:  # an entry that did not fit still does not
            made = made.astype(object) if made.dtype != object else made
            made[unfit] = NO_VALUE
        return made

    def _earlier(self, name: str, slot: int, before: Array) -> Array | None:
        if name == "frozen":
            past = [values for _, values in self._past] + [before]
            return np.concatenate(past) if any(map(len, past)) else None
        if name != "replayed":
            return None
        wanted = slot - self._lag
        held = [values for time, values in self._past if time <= wanted]
        if not held:
            hours = f"{self._lag * SLOT_SECONDS / 3600:g}"
            expected = f"rows {hours} hours before {utc(float(slot) * SLOT_SECONDS)}, to be sent again"
            raise self.injection.mistake(expected, "none")
        return held[-1]  # of that slot, or of the last before it that has rows

    @property
    def _lag(self) -> int:
        """Slots by which a replay lies back."""
        assert isinstance(self.injection.strength, (int, float))
        return max(1, round(self.injection.strength * 3600 / SLOT_SECONDS))

    def _remember(self, name: str, slot: int, times: Floats, values: Array) -> None:
        past = self._past
        if name == "replayed":
            past.append((slot, values))
            while len(past) > 1 and past[1][0] <= slot + 1 - self._lag:
                past.popleft()
            return
        assert isinstance(self.injection.strength, (int, float))
        before = values[: int(np.searchsorted(times, self.injection.start))]
        if before.size:
            past.append((slot, before))
        while past and sum(len(held) for _, held in past) - len(past[0][1]) >= self.injection.strength:
            past.popleft()


def _plain(values: Array, kind: Kind | None) -> tuple[Array, Array]:
    """*values* as `inject` takes them, and which of them do not fit their column's kind, shape (n,)."""
    if kind == "boolean":
        unfit = values == NEITHER
        texts = np.empty(values.size, dtype=object)
        texts[values == 1.0] = "true"
        texts[values == 0.0] = "false"
        return texts, unfit
    if values.dtype != object:
        return values, np.zeros(len(values), dtype=bool)
    unfit = np.array([isinstance(value, complex) for value in values], dtype=bool)
    if not unfit.any() and kind != "numeric":
        return values, unfit
    values = values.copy()
    values[unfit] = None
    if kind == "numeric":
        values = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return values, unfit


def _flag(value: object) -> float:
    if value is None or value != value:
        return float("nan")
    if isinstance(value, str):
        return {"true": 1.0, "false": 0.0}.get(value, NEITHER)
    return float(value) if isinstance(value, (int, float)) and value in (0, 1) else NEITHER


def _put(values: Array, first: int, made: Array, kind: Kind) -> Array:
    """*values* with *made* from position *first* on; of another type where it has to be."""
    if kind == "boolean":
        made = np.array([_flag(value) for value in made.tolist()], dtype=np.float64)
    if values.dtype == made.dtype:
        result = values.copy()
    else:
        result = np.empty(len(values), dtype=object)
        for at, value in enumerate(values.tolist()):
            result[at] = None if isinstance(value, float) and value != value else value
        if made.dtype != object:
            made = np.array([None if value != value else value for value in made.tolist()], dtype=object)
    result[first : first + len(made)] = made
    return result


def _facts(column: BaselineColumn) -> ColumnFacts:
    """What the baseline knows of the column, as `exporter.faults` wants it."""
    if column.kind == "numeric" and column.quantiles is not None and column.quantiles.count:
        ranks = (np.arange(_RANKS) + 0.5) / _RANKS
        facts = ColumnFacts.of(np.asarray(column.quantiles.quantile(ranks)))
        moments = column.moments
        if moments is None or moments.count < 1:
            return facts
        return replace(facts, mean=moments.mean, deviation=float(np.sqrt(moments.m2 / moments.count)))
    categories = [(str(name), share) for name, share in column.top] if column.kind != "text" else []
    listed = {name for name, _ in categories}
    if isinstance(column.bins, CategoryBins):
        categories += [(name, 0.0) for name in sorted(column.bins.known - listed)]
    return ColumnFacts("categorical", np.nan, np.nan, np.nan, None, np.empty(0), tuple(categories))


def check_rows(injections: Sequence[Injection], extent: Extent) -> None:
    """Raise `BacktestError` for the first one whose range has no rows."""
    for injection in injections:
        if not extent.between(injection.start - SLOT_SECONDS + 1, injection.end):
            first, last = (utc(float(extent.slots[at]) * SLOT_SECONDS) for at in (0, -1))
            raise injection.mistake(f"rows from FROM to TO; the file's are of {first} to {last}", "none")
