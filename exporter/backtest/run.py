"""Run: everything of a backtest but its words: what is read, what it is judged by, the lines in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from exporter.backtest.covered import Span, spans
from exporter.backtest.errors import BacktestError
from exporter.backtest.injection import Injection, Injector, check_rows, parse
from exporter.backtest.lines import Line
from exporter.backtest.processes import how_many, parted
from exporter.backtest.reader import Extent, Reader
from exporter.backtest.replay import Batch, ColumnKey, NotedIncidents, Replay
from exporter.backtest.tell import tell
from exporter.baseline import Baseline
from exporter.baseline.hours import position_of
from exporter.baseline.source import Source
from exporter.configuration import ConfigurationError
from exporter.derived import derived_names
from exporter.monitor import Monitor, load_baselines, mismatches
from exporter.monitor.incident import Incidents
from exporter.profile.probabilities import CONFIDENCE, ENTROPY, families
from exporter.schema import Configuration, Kind, ModelSpec
from exporter.tumbling import WINDOWS

#: Told at times: how much of the file is read, 0 to 1, and how many rows.
Progress: TypeAlias = Callable[[float, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to replay, and by what to judge it."""

    path: Path
    baseline: Path
    timestamp: str
    config: Path | None = None
    configuration: Configuration | None = None
    """What *config* holds; None without one."""
    windows: Sequence[str] = WINDOWS
    injections: Sequence[str] = ()
    processes: int | None = None
    """None: as many as are worth it."""
    part: Sequence[ColumnKey] | None = None
    """The columns that this process replays; None for all."""


@dataclass(slots=True)
class Prepared:
    """A backtest that can start: files opened, times read, options understood."""

    baseline: Baseline
    configuration: Configuration
    """With the one model that is judged."""
    extent: Extent
    notes: list[str]
    errors: dict[str, int]
    """The monitors', by place, as far as it has run: a fault of ours each."""
    _plan: Plan
    _reader: Reader
    _spans: Mapping[str, Sequence[Span]]
    _columns: Sequence[ColumnKey]
    _injectors: Mapping[str, Injector]

    def lines(self, progress: Progress) -> Iterator[Line]:
        """Replay the file; every line in order of `Line.order`."""
        yield from tell(self._followed(progress), self._columns, self._spans, self._plan.windows)

    def _followed(self, progress: Progress) -> Iterator[Sequence[Batch]]:
        count = self._plan.processes or how_many(self.extent, len(self._columns))
        several = parted(self._plan, self.extent, self._columns, min(count, len(self._columns)))
        for together in several if count > 1 else ([batch] for batch in self.batches()):
            progress(together[0].fraction, together[0].rows)
            yield together
            self.errors = {
                place: sum(batch.errors[place] for batch in together) for place in together[0].errors
            }

    def batches(self) -> Iterator[Batch]:
        """Replay the file, or the part of its columns that the plan says, in this process."""
        spans, part = self._spans, self._plan.part
        model = self.configuration.models[0].name
        due = sorted({span.end for found in spans.values() for span in found if span.whole})
        columns = self._columns if part is None else part
        replay = Replay(model, columns, due, self._injectors, self._plan.windows)
        monitor = Monitor(
            self.configuration,
            {model: self.baseline},
            0.0,  # rows are in order: none comes late
            spans["1h"][0].start,
            on_verdict=replay.listen,
            judged_from={
                window: next((span.start for span in found if span.whole), math.inf)
                for window, found in spans.items()
            },
            only=part,
            incidents=Incidents if part is None else lambda: NotedIncidents(replay.noted),
            learning=False,
        )
        yield from replay.run(monitor, self._reader.blocks(self.extent))


def prepare(plan: Plan, extent: Extent | None = None) -> Prepared:
    """Read the times of the file of *plan*, and check all else; raises `MistakeError` of some kind.

    *extent* is what another process has found of the times already.
    """
    baseline = Baseline.load(plan.baseline)
    configuration, notes = _configuration(plan, baseline)
    spec = configuration.models[0]
    zone = ZoneInfo(configuration.timezone)
    source = Source(plan.path)
    position_of(source, plan.timestamp, "--timestamp")
    columns = [
        key
        for key in baseline.columns
        if (declared := next((one for one in spec.specs(key[0]) if one.name == key[1]), None)) is None
        or declared.monitored
    ]
    kinds: dict[str, Kind] = {
        name: baseline.columns[role, name].kind for role, name in columns if name in source.names
    }
    if not kinds:
        names = ", ".join(name for _, name in columns[:20])
        raise BacktestError(str(plan.path), "header", f"columns of {plan.baseline} ({names})", "none of them")
    notes += _unmatched(plan, source, columns, kinds)
    injections = [parse(text, list(kinds), zone) for text in plan.injections]
    injectors = _injectors(injections, baseline, columns, kinds)
    if plan.part is not None:
        mine = {name for _, name in plan.part}
        injectors = {name: injector for name, injector in injectors.items() if name in mine}
        mine = mine.union(*(injector.others for injector in injectors.values()))
        kinds = {name: kind for name, kind in kinds.items() if name in mine}
    reader = Reader(source, plan.timestamp, zone, kinds)
    if extent is None:
        extent = reader.extent()
    if extent.timeless:
        notes.append(f"{plan.timestamp}: {extent.timeless:,} rows have no time and are left out")
    check_rows(injections, extent)
    return Prepared(
        baseline=baseline,
        configuration=configuration,
        extent=extent,
        notes=notes,
        errors={},
        _plan=plan,
        _reader=reader,
        _spans={window: spans(extent, window, zone) for window in WINDOWS},
        _columns=columns,
        _injectors=injectors,
    )


def _configuration(plan: Plan, baseline: Baseline) -> tuple[Configuration, list[str]]:
    """The configuration with the one model that the baseline is of, and what should be known of it."""
    given = plan.configuration
    if given is None:
        name = baseline.model or "model"
        return Configuration(models=(ModelSpec(name=name),), timezone=baseline.timezone), []
    notes = []
    spec = given.model(baseline.model)
    if spec is None and len(given.models) > 1:
        names = ", ".join(model.name for model in given.models)
        expected = f"{baseline.model!r}, the model of {plan.baseline}"
        raise ConfigurationError(str(plan.config), "models", expected, names)
    if spec is None:
        spec = given.models[0] if given.models else ModelSpec(name=baseline.model or "model")
        if given.models:
            notes.append(f"{plan.baseline} is of model {baseline.model!r}; it judges {spec.name!r} here")
    if given.timezone != baseline.timezone:
        notes.append(
            f"hours and days are those of {given.timezone}, as {plan.config} has it;"
            f" the baseline was built in {baseline.timezone}"
        )
    # The checks of a sidecar's start, made for the baseline that is given here.
    named = msgspec.structs.replace(spec, baseline=str(plan.baseline), name=baseline.model or spec.name)
    checked = msgspec.structs.replace(given, models=(named,))
    loaded = load_baselines(checked, Path(), str(plan.config))
    notes += mismatches(checked, loaded)
    return msgspec.structs.replace(given, models=(spec,)), notes


def _unmatched(
    plan: Plan, source: Source, columns: Sequence[ColumnKey], kinds: Mapping[str, Kind]
) -> list[str]:
    """What the file has and the baseline does not, and the other way round."""
    known = {name for _, name in columns}
    more = [name for name in source.names if name not in known and name != plan.timestamp]
    derived = {stem + suffix for stem in families(kinds) for suffix in (CONFIDENCE, ENTROPY)}
    derived.update(*(derived_names(name, kind) for name, kind in kinds.items()))
    absent = known - set(kinds) - derived
    notes = [f"{name}: never came: {plan.path.name} has no such column" for name in absent]
    if more:
        listed = ", ".join(more[:10]) + (f" and {len(more) - 10} more" if len(more) > 10 else "")
        notes.append(f"not in the baseline, so not judged: {listed}")
    return sorted(notes)


def _injectors(
    injections: Sequence[Injection],
    baseline: Baseline,
    columns: Sequence[ColumnKey],
    kinds: Mapping[str, Kind],
) -> dict[str, Injector]:
    by_column: dict[str, list[tuple[int, Injection]]] = {}
    for place, injection in enumerate(injections):
        by_column.setdefault(injection.column, []).append((place, injection))
    injectors = {}
    for name, wanted in by_column.items():
        role = next(role for role, known in columns if known == name)
        injector = injectors[name] = Injector(baseline.columns[role, name], wanted)
        for _, injection in wanted:
            for other in injector.others - set(kinds):
                raise injection.mistake(f"another column, one of {', '.join(kinds)}", other)
    return injectors
