"""Monitor: all models, versions and columns, and when their verdicts are due."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Raw

from exporter.baseline import Baseline
from exporter.baseline.expected import alpha_of
from exporter.derived import is_derived
from exporter.learning import write_states
from exporter.monitor.column import ColumnMonitor
from exporter.monitor.deriving import Deriving
from exporter.monitor.fit import Fit, FitState
from exporter.monitor.incident import Incidents
from exporter.monitor.learning import Learners, Part
from exporter.monitor.pictures import baseline_picture
from exporter.monitor.state import (
    ColumnState,
    LearnerState,
    MonitorState,
    Restored,
    Shown,
    decode_part,
    opaque,
    transparent,
)
from exporter.profile import Layout
from exporter.rows import Role, Rows, Values
from exporter.schema import ColumnSpec, Configuration, ModelSpec
from exporter.slices import SliceMonitor, SliceState
from exporter.traffic import UNKNOWN
from exporter.tumbling import HOUR, WINDOWS, Schedule
from exporter.verdict.picture import Picture
from exporter.versions import VersionJudge
from exporter.versions.judge import Side
from exporter.views import (
    BaselineFileView,
    ColumnView,
    LearningView,
    MatchView,
    RowsView,
    SliceView,
    VerdictView,
    VersionView,
)
from exporter.window import HISTORY, Calendar

ERROR_PLACES: Final = ("record", "judge", "view")
"""Where a fault of ours can cost one column of one batch, one verdict, or one column of a page."""

VerdictListener: TypeAlias = Callable[[str, str, Role, str, VerdictView], None]

NAMED: Final = 8
"""Columns that a line of the log names."""

OTHERS: Final = 64
"""Columns among which a swapped one is looked for: 0.1 ms each, at each alarm."""


class Notice(NamedTuple):
    """What is worth a line in the log; no name and no value that came from the wire is in it."""

    level: Literal["info", "warning"]
    event: str
    fields: Mapping[str, object]


class _Version:
    """One version of one model."""

    def __init__(
        self,
        model: str,
        version: str,
        spec: ModelSpec,
        baseline: Baseline | None,
        calendar: Calendar,
        start: float,
        incidents: Incidents,
        learners: Learners | None,
        limit: int,
        change_detectors: Collection[str] = (),
    ) -> None:
        self._change_detectors = change_detectors
        self.model = model
        self.version = version
        self.rows = 0
        self.columns: dict[tuple[Role, str], ColumnMonitor] = {}
        self._spec = spec
        self._baseline = baseline
        self._calendar = calendar
        self._start = start
        self._incidents = incidents
        self._learners = learners
        self.fit = Fit(baseline, spec) if baseline is not None and learners is not None else None
        self._pictures: dict[str, Picture] | None = None
        self.deriving = Deriving(spec, baseline, self.columns, self.column, limit)
        self.slices = SliceMonitor(model, version, spec, baseline, calendar, start)
        self.abnormal: set[tuple[Role, str]] = set()
        """Columns whose verdict on the window that was judged last is ``drifted`` or ``ticket``."""
        if baseline is not None:
            # All columns of the baseline stand from the start, at 0: one that never comes is seen to be so.
            for role, name in baseline.columns:
                declared = self._declared(role, name)
                if declared is None or declared.monitored:
                    self.column(role, name)

    def _declared(self, role: Role, name: str) -> ColumnSpec | None:
        return next((spec for spec in self._spec.specs(role) if spec.name == name), None)

    def record_slices(self, rows: Rows, columns: Mapping[str, Values]) -> None:
        """Count *rows*, whose columns are *columns*, by slice; after they are in the columns."""
        if self.slices:
            self.slices.record(rows, columns, self._prediction_layout)

    def restore_slices(self, states: list[SliceState]) -> int:
        """Go on with slices; returns how many series could not be read."""
        return self.slices.restore(states, self._prediction_layout)

    def _prediction_layout(self, name: str) -> Layout | None:
        column = self.columns.get(("prediction", name))
        return column.layout if column is not None else None

    def located(self, role: Role, name: str, verdict: VerdictView) -> VerdictView:
        """*verdict*, with the slice that a drift of a prediction is mostly in."""
        if role != "prediction" or not self.slices or verdict.state not in ("drifted", "ticket"):
            return verdict
        where = self.slices.mostly(name, verdict.window)
        if not where or where in verdict.sentence:
            return verdict
        return replace(verdict, sentence=f"{verdict.sentence}, {where}" if verdict.sentence else where)

    def side(self, start: float, end: float) -> Side:
        """What [start, end) held, to be compared with other versions."""
        found = {key: column.hours_of(start, end) for key, column in self.columns.items()}
        tables = {key: table for key, table in found.items() if table is not None and table.hours.size}
        return Side(self.version, tables, frozenset(self.abnormal))

    def column(self, role: Role, name: str) -> ColumnMonitor:
        """The column, made when it is new."""
        key = (role, name)
        column = self.columns.get(key)
        if column is None:
            known = self._baseline.columns.get(key) if self._baseline is not None else None
            declared = self._declared(role, name)
            column = ColumnMonitor(
                self.model,
                self.version,
                role,
                name,
                declared,
                known,
                self._calendar,
                self._incidents,
                dict if is_derived(name, {other for _, other in self.columns}) else self._others,
                self._learners if known is None else None,
                self._change_detectors,
            )
            column.seed(self._start)
            self.columns[key] = column
        return column

    def _others(self) -> Mapping[str, Picture]:
        """The columns of the baseline, as far as one may be taken for another; made when first asked for.

        A derived column is none: nobody sends it.
        """
        if self._pictures is None:
            known = self._baseline.columns.values() if self._baseline is not None else []
            names = {column.name for column in known}
            columns = [column for column in known if not is_derived(column.name, names)][:OTHERS]
            self._pictures = {column.name: baseline_picture(column) for column in columns}
        return self._pictures

    def like_baseline(self, first: int, end: float) -> dict[tuple[Role, str], bool | None]:
        """Of each column whether the 24 hours from *first* on, over before *end*, are like the baseline."""
        return {key: column.like_baseline(first, end) for key, column in self.columns.items()}

    def restore(self, role: Role, name: str, state: ColumnState) -> None:
        """Go on with that column. Raises ValueError when it can not be; it then begins anew."""
        try:
            self.column(role, name).restore(state)
        except ValueError:
            del self.columns[role, name]
            self.column(role, name)
            raise


class Monitor:
    """What is known of all models; see the package for what it promises.

    *late_seconds* after the end of an hour or a day its verdict is given. *on_verdict* hears of each as it is
    given: model, version, role, column, verdict. Windows that begin before what *judged_from* has for their
    length are passed over: who replays a file knows that its first day is half a day. With *only*, other
    columns count, and are not judged: another process has them; *incidents* makes each version's. Without
    *learning* columns without a baseline are not learnt, and no traffic is said not to match one.
    """

    def __init__(
        self,
        configuration: Configuration,
        baselines: Mapping[str, Baseline],
        late_seconds: float,
        start: float,
        *,
        on_verdict: VerdictListener | None = None,
        judged_from: Mapping[str, float] = MappingProxyType({}),
        only: Collection[tuple[Role, str]] | None = None,
        incidents: Callable[[], Incidents] = Incidents,
        learning: bool = True,
    ) -> None:
        self._configuration = configuration
        self._baselines = dict(baselines)
        self._versions: dict[tuple[str, str], _Version] = {}
        self._version_judges: dict[str, VersionJudge] = {}
        zone = ZoneInfo(configuration.timezone)
        self.calendar = Calendar(zone, start)
        self._start = start
        self._schedules = [Schedule(window, zone, late_seconds, start) for window in WINDOWS]
        self._on_verdict = on_verdict
        self._judged_from = judged_from
        self._only = only
        self._incidents = incidents
        self._learners = Learners(self.calendar, self._baselines) if learning else None
        self._notices: list[Notice] = []
        self._under_way: dict[str, float] = {}
        """By window: where the one begins whose verdicts are not all given yet."""
        self.errors = dict.fromkeys(ERROR_PLACES, 0)

    def known_columns(self, model: str) -> Collection[tuple[Role, str]]:
        """The columns that *model*'s baseline knows."""
        baseline = self._baselines.get(model)
        return baseline.columns.keys() if baseline is not None else ()

    def record(self, rows: Rows) -> None:
        """Add *rows*. Never raises."""
        version = self._version(rows.model, rows.version or UNKNOWN)
        if rows.role == "feature":
            version.rows += rows.count
        columns: Mapping[str, Values] = rows.columns
        try:
            columns = version.deriving.extended(rows)
        except Exception:
            self.errors["record"] += 1
        for name, values in columns.items():
            try:
                version.column(rows.role, name).add(rows.time, values)
            except Exception:
                self.errors["record"] += 1
        try:
            if version.fit is not None:
                version.fit.see(rows.role, rows.count, columns, self.calendar.hour(rows.time))
            version.record_slices(rows, columns)
        except Exception:
            self.errors["record"] += 1

    def new_derived(self) -> list[tuple[str, str, Role, str]]:
        """Model, version, role and name of columns that were derived for the first time since this was asked.

        They are nowhere on the wire, so that whoever keeps `limits.columns` has to be told.
        """
        found = []
        for (model, name), version in self._versions.items():
            found += [(model, name, role, column) for role, column in version.deriving.new]
            version.deriving.new.clear()
        return found

    @property
    def derived_refused(self) -> int:
        """Derived columns that are not followed because of `limits.columns`."""
        return sum(len(version.deriving.refused) for version in self._versions.values())

    def _version(self, model: str, version: str) -> _Version:
        """The version, made when it is new."""
        found = self._versions.get((model, version))
        if found is None:
            found = self._versions[model, version] = self._make(model, version)
        return found

    def _make(self, model: str, version: str) -> _Version:
        spec = self._configuration.model(model) or ModelSpec(name=model or UNKNOWN)
        baseline, incidents = self._baselines.get(model), self._incidents()
        limit = self._configuration.limits.columns
        return _Version(
            model,
            version,
            spec,
            baseline,
            self.calendar,
            self._start,
            incidents,
            self._learners,
            limit,
            self._configuration.change_detectors,
        )

    def tick(self, now: float) -> None:
        """Give the verdicts that are due at *now* (Unix seconds)."""
        for _ in self.judging(now):
            pass

    def judging(self, now: float) -> Iterator[None]:
        """`tick` in steps of one verdict each; to be gone through before the next one is asked for.

        A verdict takes 1 ms, and 10 ms where a fault is to be named: 500 columns at the full hour are seconds
        in which a recorder would read nothing.
        """
        for schedule in self._schedules:
            for start, end in schedule.complete(now):
                if start >= self._judged_from.get(schedule.window, -math.inf):
                    self._under_way[schedule.window] = start
                    yield from self._verdicts(schedule.window, start, end)
            self._under_way.pop(schedule.window, None)
        self._look(now)

    @property
    def is_judging(self) -> bool:
        """Whether some columns have a verdict that is due and others have not."""
        return bool(self._under_way)

    def _verdicts(self, window: str, start: float, end: float) -> Iterator[None]:
        """Give all verdicts on [start, end), one after the other."""
        for version in list(self._versions.values()):
            yield from self._judge_slices(version, window, start, end)
            version.abnormal.clear()
            alpha = alpha_of(self._configuration.page_budget, len(version.columns), window)
            for key, column in list(version.columns.items()):
                if self._only is not None and key not in self._only:
                    continue
                try:
                    verdict = column.judge(window, start, end, alpha)
                    if verdict.state == "drifted" and self._learners is not None:
                        self._learners.tell(version.model, start, end)
                    if verdict.state in ("drifted", "ticket"):
                        version.abnormal.add(key)
                        verdict = version.located(*key, verdict)
                    if self._on_verdict is not None:
                        self._on_verdict(column.model, column.version, *key, verdict)
                except Exception:
                    self.errors["judge"] += 1
                yield
        self._judge_versions(window, start, end)
        if window == "1h":
            self._look_at_day(start, end)

    # Learning, and whether baselines match

    def _look(self, now: float) -> None:
        """Freeze what has learnt enough, and see whether first rows match their baseline."""
        try:
            for model in self._learners.look(now) if self._learners is not None else ():
                declared = self._configuration.model(model) is not None
                fields = {"model": model} if declared else {}
                self._notices.append(
                    Notice("info", "learning is over: what was learnt can be promoted", fields)
                )
            for version in self._versions.values():
                if version.fit is None:
                    continue
                by_reason: dict[str, list[tuple[Role, str]]] = {}
                for finding in version.fit.look():
                    by_reason.setdefault(finding.reason, []).append((finding.role, finding.column))
                for reason, keys in by_reason.items():
                    self._mismatched(version.model, reason, keys)
        except Exception:
            self.errors["judge"] += 1

    def _look_at_day(self, start: float, end: float) -> None:
        for version in self._versions.values():
            if version.fit is None:
                continue
            try:
                like = partial(version.like_baseline, end=end)
                if unlike := version.fit.look_at_day(self.calendar.hour(start), like):
                    self._mismatched(version.model, "distribution", unlike)
            except Exception:
                self.errors["judge"] += 1

    def _mismatched(self, model: str, reason: str, keys: list[tuple[Role, str]]) -> None:
        fields: dict[str, object] = {"model": model, "reason": reason, "count": len(keys)}
        if reason != "extra":  # whose names came from the wire
            fields["columns"] = ",".join(name for _, name in keys[:NAMED])
        self._notices.append(Notice("warning", "the traffic does not match the baseline", fields))

    def take_notices(self) -> list[Notice]:
        """What is to be told in the log since the last call."""
        taken, self._notices = self._notices, []
        return taken

    def learnt(self, lock: AbstractContextManager[object]) -> bytes:
        """The state of all learners, for ``modelmeter baseline learn``; *lock* is held in small pieces."""
        with lock:
            columns = self.columns()
        for column in columns:
            with lock:
                column.settle()
        return self._learners.state_file(lock) if self._learners is not None else write_states(())

    def learning_views(self) -> tuple[LearningView, ...]:
        """How far the models without a baseline have learnt."""
        return self._learners.views() if self._learners is not None else ()

    def match_views(self) -> tuple[MatchView, ...]:
        """Whether traffic matches its baseline, where that is known."""
        found = (
            version.fit.view(version.model, version.version) if version.fit is not None else None
            for _, version in sorted(self._versions.items())
        )
        return tuple(view for view in found if view is not None)

    def _judge_slices(self, version: _Version, window: str, start: float, end: float) -> Iterator[None]:
        """Before the columns, whose sentences say which slice moved most."""
        if version.slices:
            alpha = alpha_of(self._configuration.page_budget, version.slices.size, window)
            for failed in version.slices.judge(window, start, end, alpha):
                self.errors["judge"] += failed
                yield

    def _judge_versions(self, window: str, start: float, end: float) -> None:
        """After the columns: the versions of each model beside each other, where there are two."""
        by_model: dict[str, list[_Version]] = {}
        for version in self._versions.values():
            by_model.setdefault(version.model, []).append(version)
        for model, versions in by_model.items():
            if len(versions) < 2:
                continue
            try:
                judge = self._version_judges.setdefault(model, VersionJudge(model))
                baseline = self._baselines.get(model)
                judge.judge(
                    window,
                    start,
                    end,
                    [version.side(start, end) for version in versions],
                    baseline.columns if baseline is not None else None,
                    alpha_of(
                        self._configuration.page_budget,
                        max(len(version.columns) for version in versions),
                        window,
                    ),
                )
            except Exception:
                self.errors["judge"] += 1

    # Checkpoints

    def columns(self) -> list[ColumnMonitor]:
        """Every column there is: each has a `state` of its own, so that none has to wait for all."""
        return [column for version in self._versions.values() for column in version.columns.values()]

    def learner_parts(self) -> list[Part]:
        """Every column that is learnt: each has a state of its own (`learner_state`), too."""
        return self._learners.parts() if self._learners is not None else []

    def learner_state(self, part: Part) -> LearnerState:
        """That of one of `learner_parts`."""
        assert self._learners is not None
        return self._learners.state(part)

    def state(self, now: float) -> MonitorState:
        """Everything but the columns, at *now*."""
        return MonitorState(
            saved=now,
            baselines={name: baseline.sha256 for name, baseline in self._baselines.items()},
            zone=self._configuration.timezone,
            schedules={
                schedule.window: self._under_way.get(schedule.window, schedule.state())
                for schedule in self._schedules
            },
            outages=list(self.calendar.outages),
            rows=[(*key, version.rows) for key, version in self._versions.items()],
            fits=[
                (*key, opaque(version.fit.state()))
                for key, version in self._versions.items()
                if version.fit is not None
            ],
            slices=[
                (*key, opaque(version.slices.state()))
                for key, version in self._versions.items()
                if version.slices
            ],
        )

    def restore(
        self, state: MonitorState, columns: Iterable[bytes], shown: Shown | None, now: float
    ) -> Restored:
        """Go on at *now* where *state* and *columns* were taken, with counters not below what was *shown*.

        What is of another baseline, or of a version that has had no row for eight days, is left out and
        begins anew when it comes again; so does a column that can not be read, or is read in another way
        now. The time between is an outage: a window that lost more than a little by it is not judged.
        """
        mine = {name: baseline.sha256 for name, baseline in self._baselines.items()}
        models = mine.keys() | state.baselines.keys()
        others = sorted(model for model in models if mine.get(model) != state.baselines.get(model))
        versions: dict[tuple[str, str], _Version] = {}
        restored = left_out = 0
        for section in columns:
            try:
                column = decode_part(section)
                if isinstance(column, LearnerState):
                    self._restore_learner(column)
                    continue
                model, version, role, name = column.key
                if model in others:
                    continue
                if (model, version) not in versions:
                    versions[model, version] = self._make(model, version)
                versions[model, version].restore(role, name, column)
                restored += 1
            except ValueError:
                left_out += 1
        recent = now - HISTORY * HOUR
        for key, made in versions.items():
            seen = any(column.seen_since(recent) for column in made.columns.values())
            if seen and len(self._versions) < self._configuration.limits.models:
                self._versions[key] = made
        for model, version, fit in state.fits:
            self._restore_fit(model, version, fit)
        exposed = shown if shown is not None else Shown([], [])
        for model, version, rows in (*state.rows, *exposed.rows):
            if (found := self._versions.get((model, version))) is not None:
                found.rows = max(found.rows, rows)
        for one in exposed.columns:
            model, version, role, name = one.key
            if (found := self._versions.get((model, version))) is not None and (role, name) in found.columns:
                found.columns[role, name].not_below(one)
        left_out += self._restore_slices(state)
        for start, end in (*state.outages, (state.saved, now)):
            self.calendar.note_outage(start, end)
        for schedule in self._schedules:
            if schedule.window in state.schedules:
                # A clock that stands before the last verdict gives the next ones all the same.
                schedule.restore(min(state.schedules[schedule.window], now))
        return Restored(restored, left_out, tuple(others))

    def _restore_slices(self, state: MonitorState) -> int:
        """Go on with the hours of slices; returns how many could not be read."""
        failed = 0
        for model, version, kept in state.slices:
            found = self._versions.get((model, version))
            if found is None:
                continue
            try:
                failed += found.restore_slices(transparent(kept, list[SliceState]))
            except ValueError:
                failed += 1
        return failed

    def _restore_learner(self, state: LearnerState) -> None:
        if self._learners is not None:
            known = {name: baseline.columns.keys() for name, baseline in self._baselines.items()}
            self._learners.restore(state, known)

    def _restore_fit(self, model: str, version: str, state: Raw) -> None:
        found = self._versions.get((model, version))
        if found is not None and found.fit is not None:
            with suppress(ValueError):  # it begins anew, and is told again
                found.fit.restore(transparent(state, FitState))

    @property
    def late_rows(self) -> int:
        """Entries that came too late for any window."""
        return sum(column.late for version in self._versions.values() for column in version.columns.values())

    def views(
        self, now: float
    ) -> tuple[tuple[ColumnView, ...], tuple[RowsView, ...], tuple[BaselineFileView, ...]]:
        """Columns, rows and baselines as they stand at *now*, in order of their names."""
        columns: list[ColumnView] = []
        for _, version in sorted(self._versions.items()):
            for _, column in sorted(version.columns.items()):
                try:
                    view = column.view(now)
                    if view is not None and version.slices:
                        told = (version.located(view.role, view.column, one) for one in view.verdicts)
                        view = replace(view, verdicts=tuple(told))
                except Exception:
                    self.errors["view"] += 1
                    continue
                if view is not None:
                    columns.append(view)
        rows = tuple(RowsView(*key, version.rows) for key, version in sorted(self._versions.items()))
        baselines = tuple(
            BaselineFileView(name, baseline.sha256, baseline.created, baseline.rows, baseline.state)
            for name, baseline in sorted(self._baselines.items())
        )
        return tuple(columns), rows, baselines

    def slice_views(self) -> tuple[SliceView, ...]:
        """The slices of every model version, in order of their names."""
        found: list[SliceView] = []
        for _, version in sorted(self._versions.items()):
            try:
                found += version.slices.views()
            except Exception:
                self.errors["view"] += 1
        return tuple(found)

    def version_views(self) -> tuple[VersionView, ...]:
        """What was found last of versions of one model beside each other."""
        return tuple(view for _, judge in sorted(self._version_judges.items()) for view in judge.views())
