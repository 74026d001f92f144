"""Measure one stream: what alarms by itself, what is found of injected faults, and what it is called."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from bench.detection import comparators, engine
from bench.detection.counting import hour_table, spliced
from bench.detection.pictures import picture
from bench.detection.replay import HISTORY, Judge, Outcome, Replay, incidents, pages
from bench.detection.streams import DAY, Integers, Stream, Values
from bench.detection.variants import Variant, limits, no_op, of_column, other_of, right_names
from exporter.baseline.baseline import BaselineColumn
from exporter.faults import ColumnFacts, inject
from exporter.hourly import HourTable
from exporter.verdict import WINDOW_ROWS
from exporter.verdict.naming import name_fault
from exporter.verdict.picture import Picture

DRIFTED: Final = "drifted"
#: States of windows that were judged.
JUDGED: Final = ("ok", DRIFTED, "ticket")


@dataclass(slots=True)
class Case:
    """One variant on one column, over the days on which it was switched on."""

    stream: str
    kind: str
    column: str
    variant: Variant
    blind_below: float | None
    """Of the column and fault; None where the baseline states none."""
    days: int = 0
    hour: int = 0
    """Days on which the first hour that could be judged was found."""
    day: int = 0
    """Days on which any window of the day was found."""
    ticket: int = 0
    """Days that were no page but a ticket."""
    delays: list[int] = field(default_factory=list)
    """Hours from the fault's first to the end of the window that found it."""
    names: Counter[str] = field(default_factory=Counter)
    """The first name given."""
    last_names: Counter[str] = field(default_factory=Counter)
    """The name that stood at the end of the day: from all rows of the hours that drifted, else of the day."""
    named: int = 0
    """Days found whose first name is right, as the definitions of the faults have it (`right_names`)."""
    named_last: int = 0
    """Days found with a right name at their end."""
    detectors: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    """Days that each comparator found."""
    rules_hour: Counter[str] = field(default_factory=Counter)

    def document(self) -> dict[str, Any]:
        """For the JSON."""
        return {
            "stream": self.stream,
            "kind": self.kind,
            "column": self.column,
            "fault": self.variant.fault,
            "strength": self.variant.strength,
            "level": self.variant.level,
            "size": self.variant.size,
            "blind_below": self.blind_below,
            "days": self.days,
            "hour": self.hour,
            "day": self.day,
            "ticket": self.ticket,
            "named": self.named,
            "named_last": self.named_last,
            "named_exactly": self.names[self.variant.fault],
            "named_exactly_last": self.last_names[self.variant.fault],
            "delay": float(np.median(self.delays)) if self.delays else None,
            "names": dict(self.names),
            "detectors": dict(self.detectors),
            "rules": dict(self.rules),
            "rules_hour": dict(self.rules_hour),
        }


@dataclass(slots=True)
class Prepared:
    """A stream with its baseline, counted, and its live part judged as it is."""

    stream: Stream
    baseline: Mapping[str, BaselineColumn]
    tables: dict[str, HourTable] = field(default_factory=dict)
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    replays: dict[str, Replay] = field(default_factory=dict)
    _pictures: dict[tuple[str, int], Picture] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Columns that the baseline has."""
        return [name for name in self.stream.columns if name in self.baseline]

    def rows(self, first: int, stop: int) -> slice:
        """Rows of the hours [first, stop)."""
        low, high = np.searchsorted(self.stream.seconds, [first * 3600, stop * 3600])
        return slice(int(low), int(high))

    def before(self, name: str, day: int) -> Picture:
        """The picture of the seven days before *day*."""
        if (name, day) not in self._pictures:
            rows = self.rows((day - 7) * 24, day * 24)
            stream = self.stream
            self._pictures[name, day] = picture(
                self.baseline[name], stream.columns[name][rows], stream.seconds[rows]
            )
        return self._pictures[name, day]


def prepare(stream: Stream, judge: Judge | None = None) -> Prepared:
    """Build the baseline, count all hours, judge the live ones."""
    found = Prepared(stream, engine.baseline_of(stream))
    judge = judge or engine.judge_of(stream)
    first, stop = stream.split // 3600, int(stream.seconds[-1]) // 3600 + 1
    for name in found.names:
        column = found.baseline[name]
        table = hour_table(column, stream.columns[name], stream.seconds)
        replay = Replay(column, table, judge, stream.windows)
        found.tables[name], found.replays[name] = table, replay
        found.outcomes[name] = replay.run(first, stop)
    return found


def natural(prepared: Prepared) -> dict[str, Any]:
    """False windows (raw: all of them), tickets and pages of the live part, and the same by comparator."""
    stream = prepared.stream
    columns: dict[str, Any] = {}
    totals: Counter[str] = Counter()
    for name in prepared.names:
        outcomes = prepared.outcomes[name]
        one: dict[str, Any] = {"pages": len(incidents(outcomes))}
        for window in stream.windows:
            told = [outcome.told for outcome in outcomes if outcome.window == window]
            judged = [one_told for one_told in told if one_told.state in JUDGED]
            fired: Counter[str] = Counter()
            for one_told in judged:
                if one_told.state == DRIFTED:
                    fired.update(one_told.detectors[:1] or ("?",))
            states = Counter(one_told.state for one_told in judged)
            one[window] = {
                "judged": len(judged),
                "false": states[DRIFTED],
                "tickets": states["ticket"],
                "insufficient": len(told) - len(judged),
                "first_detector": dict(fired),
            }
            totals[f"{window} judged"] += len(judged)
            totals[f"{window} false"] += states[DRIFTED]
            totals[f"{window} tickets"] += states["ticket"]
            rules = _rules_natural(prepared, name, window)
            one[window]["rules"] = rules
            for rule, (false, windows) in rules.items():
                totals[f"{window} {rule} false"] += false
                totals[f"{window} {rule} judged"] += windows
        columns[name] = one
    days = (int(stream.seconds[-1]) - stream.split) / DAY
    return {
        "kind": stream.kind,
        "source": stream.source,
        "rows": int(stream.seconds.size),
        "live_days": round(days, 1),
        "pages": pages(prepared.outcomes),
        "column_pages": sum(one["pages"] for one in columns.values()),
        "totals": dict(totals),
        "columns": columns,
    }


def _windows_of(table: HourTable, low: int, high: int) -> dict[str, Integers]:
    """Counts of the hours and of the days that lie in hours [low, high)."""
    begin, end = np.searchsorted(table.hours, [low, high])
    bins = table.bins[begin:end]
    return {"1h": bins, "1d": comparators.by_day(table.hours[begin:end], bins)[1]}


def _rules_of(prepared: Prepared, name: str) -> tuple[Integers, dict[tuple[str, str], float], bool]:
    column, table, split = prepared.baseline[name], prepared.tables[name], prepared.stream.split // 3600
    numeric = column.kind not in ("categorical", "boolean")
    own = _windows_of(table, int(table.hours[0]), split)
    return column.counts, comparators.thresholds(column.counts, own, numeric=numeric), numeric


def _rules_natural(prepared: Prepared, name: str, window: str) -> dict[str, tuple[int, int]]:
    counts, limit, numeric = _rules_of(prepared, name)
    table = prepared.tables[name]
    live = _windows_of(table, prepared.stream.split // 3600, int(table.hours[-1]) + 1)[window]
    live = live[live.sum(axis=1) >= comparators.ROWS[window]]
    found = {}
    for rule in comparators.RULES:
        over = rule.statistic(counts, live, numeric=numeric) > limit[rule.name, window] if live.size else live
        found[rule.name] = (int(np.count_nonzero(over)), int(live.shape[0]))
    return found


def chosen_days(prepared: Prepared, name: str, count: int) -> list[int]:
    """Up to *count* live days, evenly spaced, on which the column itself raised no alarm and had traffic.

    The first eight are left out: a replay needs a day before, and a page that is still open would be no find.
    """
    noisy = {
        hour // 24
        for one in prepared.outcomes[name]
        if one.told.state == DRIFTED
        for hour in range(one.first, one.stop)
    }
    table = prepared.tables[name]
    with_rows = set((table.hours[table.valid >= 1] // 24).tolist())
    days = [day for day in prepared.stream.days().tolist()[7:] if day not in noisy and day in with_rows]
    if len(days) <= count:
        return days
    return [days[at] for at in np.linspace(0, len(days) - 1, count).round().astype(int)]


def injected(
    prepared: Prepared, judge: Judge, count: int, *, levels: frozenset[str], rules: bool
) -> list[Case]:
    """Every variant of *levels* on every column, switched on for each of up to *count* days."""
    stream = prepared.stream
    cases = []
    before = prepared.rows(0, stream.split // 3600)
    for name in prepared.names:
        column = prepared.baseline[name]
        facts = ColumnFacts.of(stream.columns[name][before])
        blind = dict(getattr(column, "blind_below", {}) or {})
        variants = [*of_column(stream, name, facts), *limits(blind, facts)]
        days = chosen_days(prepared, name, count)
        limit = _rules_of(prepared, name) if rules else None
        for variant in variants:
            if variant.level not in levels:
                continue
            case = Case(stream.name, stream.kind, name, variant, blind.get(variant.fault))
            for day in days:
                _one_day(prepared, judge, name, facts, day, case, limit)
            if case.days:
                cases.append(case)
    return cases


def faulted(prepared: Prepared, name: str, facts: ColumnFacts, day: int, variant: Variant) -> Values | None:
    """The faulted values of *day*; None where this column can not have the fault or nothing would change."""
    stream = prepared.stream
    rows = prepared.rows(day * 24, day * 24 + 24)
    values = stream.columns[name][rows]
    seed = zlib.crc32(f"{stream.name} {name} {variant.key} {day}".encode())
    strength, other, earlier = variant.strength or None, None, None
    if variant.fault == "swapped":
        strength = other_of(stream, name, facts)
        assert strength is not None
        other = stream.columns[strength][rows]
    elif variant.fault == "replayed":
        back = int(float(variant.strength))
        earlier = np.empty(values.size, dtype=values.dtype)
        # Hour by hour, since each hour has its own number of rows.
        filled = 0
        for hour in range(day * 24, day * 24 + 24):
            now, then = prepared.rows(hour, hour + 1), prepared.rows(hour - back, hour - back + 1)
            size, old = now.stop - now.start, stream.columns[name][then]
            if size and not old.size:
                earlier[filled : filled + size] = stream.columns[name][now]
            elif size:
                earlier[filled : filled + size] = old[np.arange(size) * old.size // size]
            filled += size
    elif variant.fault == "frozen":
        earlier = stream.columns[name][: rows.start]
        earlier = earlier[-2000:]
    elif variant.fault == "population_change":
        earlier = values
    try:
        made = inject(
            values,
            variant.fault,
            strength,
            rng=np.random.default_rng(seed),
            facts=facts,
            other=other,
            earlier=earlier,
        )
    except ValueError:
        return None
    return None if no_op(values, made) else made


def _one_day(
    prepared: Prepared,
    judge: Judge,
    name: str,
    facts: ColumnFacts,
    day: int,
    case: Case,
    limit: tuple[Integers, dict[tuple[str, str], float], bool] | None,
) -> None:
    stream, column = prepared.stream, prepared.baseline[name]
    made = faulted(prepared, name, facts, day, case.variant)
    if made is None:
        return
    rows = prepared.rows(day * 24, day * 24 + 24)
    part = hour_table(column, made, stream.seconds[rows])
    table = prepared.tables[name]
    low, high = np.searchsorted(table.hours, [day * 24 - HISTORY, day * 24 + 24])
    replay = Replay(column, spliced(table.part(slice(low, high)), part), judge, stream.windows)
    replay.kept_out[:] = prepared.replays[name].kept_out[low:high]
    replay.kept_out[replay.table.hours >= day * 24] = False
    outcomes = replay.run(day * 24, day * 24 + 24)
    case.days += 1
    hours = [one for one in outcomes if one.window == "1h" and one.told.state in JUDGED]
    case.hour += bool(hours and hours[0].told.state == DRIFTED)
    found = min(
        (one for one in outcomes if one.told.state == DRIFTED),
        key=lambda one: (one.stop, one.window),
        default=None,
    )
    if found is not None:
        case.day += 1
        case.delays.append(found.stop - int(part.hours[0]))
        case.detectors.update(found.told.detectors[:1])
        drifted = [one for one in outcomes if one.told.state == DRIFTED]
        hourly = [one for one in drifted if one.window == "1h"]
        _named(prepared, name, day, made, [found], case)
        _named(prepared, name, day, made, hourly or drifted, case, last=True)
    elif any(one.told.state == "ticket" for one in outcomes):
        case.ticket += 1
    if limit is not None:
        _rules_injected(part, limit, stream.windows, case)


def _named(
    prepared: Prepared,
    name: str,
    day: int,
    made: Values,
    found: Sequence[Outcome],
    case: Case,
    *,
    last: bool = False,
) -> None:
    """Count the name that the rows of the windows *found* get, with the detectors of the last of them.

    As the monitor asks for it: below a day the bins of before are those of the same hours.
    """
    stream, column = prepared.stream, prepared.baseline[name]
    seconds = stream.seconds[prepared.rows(day * 24, day * 24 + 24)]
    hours = np.unique(np.concatenate([np.arange(one.first, one.stop) for one in found]))
    chosen = np.isin(seconds // 3600, hours)
    now = picture(column, made[chosen], seconds[chosen])
    before = _same_hours(prepared, name, day, np.arange(hours[0], hours[-1] + 1))
    others = {other: prepared.before(other, day) for other in prepared.names if other != name}
    detectors = found[-1].told.detectors
    fault = name_fault(before, now, detectors=detectors, role=column.role, others=others).fault
    right = fault in right_names(case.variant, before, now, prediction=column.role == "prediction")
    if last:
        case.last_names[fault] += 1
        case.named_last += right
    else:
        case.names[fault] += 1
        case.named += right


def _same_hours(prepared: Prepared, name: str, day: int, hours: Integers) -> Picture:
    """The seven days before *day*, of which the bins are those of the same *hours*, if they are not all."""
    before, table = prepared.before(name, day), prepared.tables[name]
    if hours.size >= 24:
        return before
    low, high = np.searchsorted(table.hours, [(day - 7) * 24, day * 24])
    chosen = np.isin(table.hours[low:high] % 24, hours % 24) & ~prepared.replays[name].kept_out[low:high]
    counts = table.bins[low:high][chosen].sum(axis=0)
    return replace(before, counts=counts) if counts.sum() >= WINDOW_ROWS else before


def _rules_injected(
    part: HourTable,
    limit: tuple[Integers, dict[tuple[str, str], float], bool],
    windows: Sequence[str],
    case: Case,
) -> None:
    counts, thresholds, numeric = limit
    own = _windows_of(part, int(part.hours[0]), int(part.hours[-1]) + 1)
    found: set[str] = set()
    for window in windows:
        bins = own[window]
        enough = bins[bins.sum(axis=1) >= comparators.ROWS[window]]
        if not enough.size:
            continue
        for rule in comparators.RULES:
            over = rule.statistic(counts, enough, numeric=numeric) > thresholds[rule.name, window]
            if over.any():
                found.add(rule.name)
            if window == "1h" and over[0]:
                case.rules_hour[rule.name] += 1
    case.rules.update(found)
