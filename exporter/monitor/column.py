"""ColumnMonitor: one column of one model version: its windows, its verdicts, its view."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np

from exporter.baseline import BaselineColumn
from exporter.baseline.calibration import REFERENCES, Evidence
from exporter.faults import UNNAMED
from exporter.hourly import HourTable
from exporter.learning import live_bins
from exporter.monitor.incident import Habit, Incident, Incidents, IncidentState, KeptOut
from exporter.monitor.judged import Judged
from exporter.monitor.learning import Learners
from exporter.monitor.pictures import baseline_picture
from exporter.monitor.state import ColumnState, ShownColumn, known_kind, opaque, transparent
from exporter.monitor.vectors import VectorWindow
from exporter.profile import Layout, Sketches, infer_kind
from exporter.rows import Role, Values
from exporter.schema import ColumnSpec, Kind
from exporter.sketch import Bins, CategoryBins, Quantiles
from exporter.statistics import Points, both_distances, jensen_shannon_distance, psi, standard_deviation
from exporter.tumbling import WINDOWS
from exporter.verdict import WINDOW_ROWS, Judgement, accumulate, judge, library, onset
from exporter.verdict.matching import matches
from exporter.verdict.naming import Named, name_fault
from exporter.verdict.picture import Picture
from exporter.views import BaselineView, BesideView, ColumnView, VerdictView, WindowView
from exporter.window import SLOT_SECONDS, SLOTS, Calendar, ColumnWindows

RANKS: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantile ranks that are shown."""

LAST_ROWS: Final = 200
"""Rows of the window that is shown where an hour has fewer: what a quiet model was last asked."""

LASTING_DAYS: Final = 3
"""Of the last seven days so many must differ from the baseline alone for a ticket that says so."""

IN_BINS: Final = frozenset({"shape", "bin", "spike", "far", "stuck"})
"""Detectors of what the counts of bins show, too."""

UNLIKE_BASELINE: Final = "unlike the baseline"
"""The name of what finds them."""

DAY_SECONDS: Final = 86_400.0
WEEK_SECONDS: Final = 7 * DAY_SECONDS

Others: TypeAlias = Callable[[], Mapping[str, Picture]]
"""The other columns of the model as the baseline knows them, by name."""


class ColumnMonitor:
    """Everything about one column; *baseline* is None while there is none."""

    def __init__(
        self,
        model: str,
        version: str,
        role: Role,
        name: str,
        spec: ColumnSpec | None,
        baseline: BaselineColumn | None,
        calendar: Calendar | None = None,
        incidents: Incidents | None = None,
        others: Others = dict,
        learners: Learners | None = None,
        change_detectors: Collection[str] = (),
    ) -> None:
        self.model = model
        self.version = version
        self.role = role
        self.name = name
        self._baseline = baseline
        self._learners = learners
        self._calendar = calendar
        self._range = spec.range if spec is not None else None
        self._categories = spec.categories if spec is not None else None
        kind = baseline.kind if baseline is not None else spec.kind if spec is not None else None
        self._windows: ColumnWindows | None = None if kind is None else self._make(kind)
        self._waiting = 0
        """Rows without any value, seen before one told of what kind the column is."""
        self._verdicts: dict[str, VerdictView] = {}
        """By window: what is shown."""
        self._incident: Incident | None = None
        self._ended: Incident | None = None
        """The last one that is over: the verdict on its day is yet to come."""
        self._incidents = incidents if incidents is not None else Incidents()
        self._kept_out = KeptOut()
        self._habit = Habit()
        self._change_detectors = change_detectors if role == "prediction" else ()
        self._hourly: deque[float] = deque(maxlen=library.HOURS)
        """Evidence of the last thirty days' hours, where a library's detectors are to hear it."""
        self._unlike: deque[bool] = deque(maxlen=7)
        """Of the last days that could be judged, which differed from the baseline alone."""
        self._sum = accumulate.Sum()
        """What its days add up to."""
        self._others = others
        known = baseline.embedding if baseline is not None else None
        self.vectors = VectorWindow(known) if known is not None else None
        """Of an embedding whose baseline has a frame."""
        self._baseline_view = _baseline_view(baseline)
        self._baseline_points = _points(baseline.quantiles) if baseline is not None else None
        self._deviation = standard_deviation(self._baseline_points) if self._baseline_points else 0.0

    def _make(self, kind: Kind) -> ColumnWindows:
        baseline = self._baseline
        if baseline is not None:
            layout = Layout(kind, baseline.bins, self._range, baseline.far, baseline.grid_step)
            return ColumnWindows(layout, self._calendar)
        # Bins that are the same on every pod: their counts add up over a fleet before it has a baseline.
        bins: Bins | None = None
        if kind in ("categorical", "boolean"):
            flags = ("false", "true") if kind == "boolean" and self._learners is not None else None
            categories = self._categories or flags
            bins = CategoryBins(categories) if categories is not None else None
        elif self._learners is not None:
            bins = live_bins()
        heard = None
        if self._learners is not None:
            heard = self._learners.listener(self.model, self.role, self.name, kind)
        return ColumnWindows(Layout(kind, bins, self._range), self._calendar, heard)

    def seed(self, now: float) -> None:
        """Let the history begin with the baseline's last days, where they are of the last eight."""
        windows, baseline = self._windows, self._baseline
        if windows is not None and baseline is not None and baseline.recent is not None:
            windows.seed(windows.calendar.from_wall(baseline.recent), now)

    def add(self, time: float, values: Values) -> None:
        """Add *values*, all seen at *time* (Unix seconds)."""
        windows = self._windows
        if windows is None:
            kind = infer_kind(values)
            if kind is None:
                self._waiting += len(values)
                return
            windows = self._windows = self._make(kind)
            windows.add(time, [None] * self._waiting)
        windows.add(time, values)

    def hours_of(self, start: float, end: float) -> HourTable | None:
        """What the hours of [start, end) held; None while nothing has told of what kind the column is."""
        windows = self._windows
        if windows is None:
            return None
        hours = windows.calendar.hour(end) - windows.calendar.hour(start)
        return windows.history(hours, before=end)

    def settle(self) -> None:
        """Read what waits."""
        if self._windows is not None:
            self._windows.settle()

    def like_baseline(self, first: int, end: float) -> bool | None:
        """Whether the 24 hours from *first* on, over before *end*, are like the baseline; None: unknown."""
        windows, baseline = self._windows, self._baseline
        if windows is None or baseline is None:
            return None
        return matches(baseline, windows.history(before=end), first)

    @property
    def layout(self) -> Layout | None:
        """How it is read; None while nothing has told of what kind it is."""
        return self._windows.layout if self._windows is not None else None

    @property
    def late(self) -> int:
        """Rows that came too late for any window."""
        return self._windows.late if self._windows is not None else 0

    # Verdicts

    def judge(self, window: str, start: float, end: float, alpha: float) -> VerdictView:
        """Give the verdict on [start, end), which is complete, and return it.

        What is shown is another where an incident is open that this window alone does not end.
        """
        windows, baseline = self._windows, self._baseline
        if windows is None or baseline is None:
            rows = windows.tumbling(start, end).rows if windows is not None else 0
            verdict = self._verdicts[window] = _learning(window, start, end, rows)
            return verdict
        calendar = windows.calendar
        first, stop = calendar.hour(start), calendar.hour(end)
        history = windows.history(before=end)
        self._adopt(start)
        judgement = judge(
            baseline,
            history,
            window,
            first,
            stop,
            kept_out=self._kept_out.mask(history.hours, self._incident, calendar),
            alpha=alpha,
            whole=calendar.whole(start, end),
        )
        if window == "1h" and not calendar.whole(start, end):
            judgement = Judgement("insufficient", judgement.rows, reasons=("not all of it was recorded",))
        if window == "1d" and judgement.against_baseline is not None:
            self._unlike.append(judgement.against_baseline > 1)
        self._accumulate(baseline, window, judgement)
        judged = Judged(windows, baseline, window, start, end, judgement)
        if judgement.state == "drifted":
            verdict = self._drifted(judged)
        else:
            verdict = self._quiet(judged)
        if self._incident is None or not self._incident.fired(window) or verdict.fault:
            self._verdicts[window] = verdict
        return verdict

    def _drifted(self, judged: Judged) -> VerdictView:
        windows, window, start, end = judged.windows, judged.window, judged.start, judged.end
        incident = self._incident
        if incident is None and self._ended is not None and self._ended.near(start):
            incident = self._incident = self._ended
        if incident is None:
            since = self._onset(judged)
            incident = self._incident = Incident(self._join(start, end), start, since)
            if window == "1h":
                state = windows.tumbling(max(since, start), end)
            else:
                state = windows.picture(start, end)
        else:
            self._join(start, end, incident.id)
            state = windows.picture(start, end)
        incident.add(window, start, end, state)
        seen = incident.picture(window, windows.layout.kind, judged.baseline.bins)
        # Of a day whose hours were not abnormal all of it is looked at, wherever in it the onset may be.
        since = incident.onset if incident.fired("1h") else min(incident.onset, start)
        named = incident.named(seen, lambda rows: self._name(judged, (since, end), rows))
        first, stop = judged.calendar.hour(start), judged.calendar.hour(end)
        fault = named.fault if named is not None else ""
        habit = self._habit.add(first, fault) if window == "1h" else self._habit.known(first, stop)
        if habit and named is not None:
            named = replace(named, sentence=f"as at these hours of days before: {named.sentence}")
        pages = incident.pages(start) and not habit
        return judged.view("drifted" if pages else "ticket", named, incident)

    def _join(self, start: float, end: float, id: str = "") -> str:
        return self._incidents.join((self.role, self.name), start, end, id)

    def _quiet(self, judged: Judged) -> VerdictView:
        """A window that does not page."""
        state, incident = judged.judgement.state, self._incident
        if incident is not None and state in ("ok", "ticket"):
            incident.calm(judged.window)
            if incident.over:
                self._end(judged.calendar)
                incident = None
        if judged.window == "1d" and state == "ok":
            told = self._told_of_days(judged, incident)
            if told is not None:
                return told
        named = None
        if state == "ticket":
            span = (judged.start, judged.end)
            named = self._name(judged, span, judged.picture(*span))
        return judged.view(state, named, incident)

    def _told_of_days(self, judged: Judged, incident: Incident | None) -> VerdictView | None:
        """What several days say of which each is usual: work for the day, no page."""
        if self._unlike and self._unlike[-1] and sum(self._unlike) >= LASTING_DAYS:
            return self._lasting(judged, incident)
        if incident is not None:
            return None
        usual = _usual_evidence(judged.baseline, "1d")
        if usual is not None and accumulate.lasting(self._sum, usual):
            return self._small_shift(judged, usual)
        heard = library.changed(tuple(self._hourly))
        changed = tuple(name for name in heard if name in self._change_detectors)
        if not changed:
            return None
        told = Named(UNNAMED, f"{' and '.join(changed)} found a change in the last day")
        return _with(judged, detectors=changed).view("ticket", told, None)

    def _lasting(self, judged: Judged, incident: Incident | None) -> VerdictView:
        """A day like the days before it, which are not like the baseline."""
        seen = judged.picture(judged.start, judged.end)
        before = baseline_picture(judged.baseline)
        named = name_fault(before, seen, role=self.role, others=self._all_but_this())
        days = f"{sum(self._unlike)} of the last {len(self._unlike)} days unlike the baseline"
        told = Named(named.fault, f"{days}: {named.sentence}", named.factor)
        score = judged.judgement.against_baseline
        told_by = _with(judged, score=score, detectors=(UNLIKE_BASELINE,), compared_with=REFERENCES[0])
        return told_by.view("ticket", told, incident)

    def _accumulate(self, baseline: BaselineColumn, window: str, judgement: Judgement) -> None:
        """Add the window's evidence to what days add up to, and to what a library's detectors hear."""
        usual = _usual_evidence(baseline, window)
        if usual is None or judgement.evidence is None or self._incident is not None:
            return
        if window == "1d" and judgement.state in ("ok", "ticket"):
            self._sum = accumulate.add(self._sum, judgement.evidence, usual)
        if window == "1h" and judgement.state == "ok" and self._change_detectors:
            self._hourly.append(library.standardised(judgement.evidence, usual))

    def _small_shift(self, judged: Judged, usual: Evidence) -> VerdictView:
        """A day of several that are each a little unusual."""
        span = (judged.end - min(self._sum.days, 7) * DAY_SECONDS, judged.end)
        named = self._name(judged, span, judged.picture(*span))
        told = Named(named.fault, f"{accumulate.sentence(self._sum)}: {named.sentence}", named.factor)
        score = self._sum.sum / usual.limit
        return _with(judged, score=score, detectors=(accumulate.SMALL_SHIFT,)).view("ticket", told, None)

    def _adopt(self, start: float) -> None:
        """After a week an incident is what is normal."""
        if self._incident is not None and self._incident.adopted(start):
            self._incident = None
            self._incidents.leave((self.role, self.name))

    def _end(self, calendar: Calendar) -> None:
        incident = self._incident
        assert incident is not None
        self._kept_out.add(calendar.hour(incident.onset), calendar.hour(incident.end))
        self._ended, self._incident = incident, None
        self._incidents.leave((self.role, self.name))

    def _onset(self, judged: Judged) -> float:
        """When the change most likely happened, looking back over one more window than the one judged.

        The start of the window where the bins do not tell: entries that are missing are in none, and in a day
        none of whose hours was abnormal the evening is a larger change than the fault (of 274 such days the
        median onset was 22 hours late).
        """
        start, end, calibration = judged.start, judged.end, judged.baseline.calibration
        hourly = calibration is not None and "1h" in calibration.windows
        if (judged.window == "1d" and hourly) or not set(judged.judgement.detectors) & IN_BINS:
            return start
        first = max(start - (end - start), end - SLOTS * SLOT_SECONDS)
        series = judged.windows.series(first, end)
        times = np.array([first + SLOT_SECONDS * slot for slot in range(len(series))])
        return onset(series, judged.baseline.counts, times)

    def _name(self, judged: Judged, span: tuple[float, float], seen: Picture) -> Named:
        """What happened in *span*, against the seven days before, where they are held."""
        calendar = judged.calendar
        stop = calendar.day_bounds(calendar.day(calendar.hour(span[0])))[0]
        start = calendar.day_bounds(calendar.day(calendar.hour(stop - WEEK_SECONDS + 1)))[0]
        reference = judged.picture(start, stop)
        if reference.distinct is None or reference.valid < WINDOW_ROWS:  # no sketches are held, or no rows
            reference = baseline_picture(judged.baseline)
        elif span[1] - span[0] < DAY_SECONDS:
            reference = self._same_hours(judged.windows, span, stop, reference)
        detectors = judged.judgement.detectors
        return name_fault(reference, seen, detectors=detectors, role=self.role, others=self._all_but_this())

    def _all_but_this(self) -> Mapping[str, Picture]:
        """A column that looks like its own baseline again was not swapped with itself."""
        return {name: known for name, known in self._others().items() if name != self.name}

    def _same_hours(
        self, windows: ColumnWindows, span: tuple[float, float], stop: float, reference: Picture
    ) -> Picture:
        """*reference* with the bins of the same hours of its days: a night is not to be named by the noon."""
        calendar = windows.calendar
        wanted = {hour % 24 for hour in range(calendar.hour(span[0]), calendar.hour(span[1] - 1) + 1)}
        past = windows.history(before=stop)
        alike = np.isin(past.hours % 24, list(wanted))
        out = self._kept_out.mask(past.hours, None, calendar)
        counts = past.bins[alike if out is None else alike & ~out].sum(axis=0)
        return replace(reference, counts=counts) if counts.sum() >= WINDOW_ROWS else reference

    # Checkpoints

    def state(self) -> ColumnState:
        """Everything, for a checkpoint."""
        windows = self._windows
        return ColumnState(
            key=(self.model, self.version, self.role, self.name),
            kind=windows.layout.kind if windows is not None else "",
            waiting=self._waiting,
            windows=windows.state() if windows is not None else None,
            verdicts={window: opaque(verdict) for window, verdict in self._verdicts.items()},
            incidents=self._incident_states(),
        )

    def _incident_states(self) -> dict[str, msgspec.Raw]:
        states = {
            "kept out": opaque(self._kept_out.spans),
            "unlike": opaque(list(self._unlike)),
            "sum": opaque(self._sum.state()),
            "hourly": opaque(list(self._hourly)),
            "habit": opaque(self._habit.state()),
        }
        if self._incident is not None:
            states["open"] = opaque(self._incident.state())
        return states

    def _restore_incidents(self, states: Mapping[str, msgspec.Raw]) -> None:
        for first, stop in transparent(states["kept out"], list[tuple[int, int]]) if states else ():
            self._kept_out.add(first, stop)
        self._unlike.extend(transparent(states["unlike"], list[bool]) if states else ())
        if "sum" in states:
            self._sum = accumulate.Sum.restored(transparent(states["sum"], list[float]))
        if "hourly" in states:
            self._hourly.extend(transparent(states["hourly"], list[float]))
        if "habit" in states:
            self._habit = Habit.restored(transparent(states["habit"], list[tuple[int, bool, str]]))
        if "open" in states:
            incident = self._incident = Incident.restored(transparent(states["open"], IncidentState))
            self._incidents.join((self.role, self.name), incident.start, incident.end, incident.id)

    def restore(self, state: ColumnState) -> None:
        """Go on where *state* was taken; this column has seen nothing yet.

        Raises ValueError when that was read in another way, or is damaged; this one is then not to be used.
        """
        self._waiting = state.waiting
        if state.windows is not None:
            if self._windows is None:
                self._windows = self._make(known_kind(state.kind))
            self._windows.restore(state.windows)
        for window, verdict in state.verdicts.items():
            self._verdicts[window] = transparent(verdict, VerdictView)
        self._restore_incidents(state.incidents)

    def not_below(self, shown: ShownColumn) -> None:
        """Raise the counters to what had been *shown* of them."""
        windows = self._windows
        if windows is None:
            return
        bins = windows.layout.bins
        if (shown.kind, shown.bins) == (windows.layout.kind, bins.id if bins is not None else ""):
            windows.not_below(shown.tally_counts(), shown.scaled_sum, shown.scaled_square)

    def seen_since(self, time: float) -> bool:
        """Whether any row came in or after the hour of *time*, as far as hours are held."""
        newest = self._windows.hours.newest if self._windows is not None else None
        return (
            newest is not None and self._windows is not None and newest >= self._windows.calendar.hour(time)
        )

    # Views

    def view(self, now: float) -> ColumnView | None:
        """The column as it stands at *now*; None while nothing has told of what kind it is."""
        windows, baseline = self._windows, self._baseline
        if windows is None:
            return None
        total = windows.total
        bins = windows.layout.bins
        counts = total.bin_counts
        scaled = windows.layout.far is not None
        return ColumnView(
            model=self.model,
            version=self.version,
            role=self.role,
            column=self.name,
            kind=windows.layout.kind,
            bins=bins.id if bins is not None else "",
            bin_labels=bins.labels if bins is not None else (),
            bin_counts=counts.copy() if counts is not None else None,
            rows=total.rows,
            missing=total.missing,
            type_mismatch=total.type_mismatch,
            out_of_range=total.out_of_range,
            far=total.far,
            unseen=total.unseen,
            infinite=total.infinite,
            scaled_sum=total.scaled_sum if scaled else None,
            scaled_square=total.scaled_square if scaled else None,
            grid=total.grid if windows.layout.grid is not None else None,
            baseline=self._baseline_view,
            windows=(hour := self._window_view(windows, now),),
            beside=tuple(self._beside(windows, now, hour.rows)),
            verdicts=tuple(self._verdict_view(window, baseline) for window in WINDOWS),
        )

    def _beside(self, windows: ColumnWindows, now: float, rows: int) -> Iterator[BesideView]:
        """What the last hour, of so many *rows*, is to be seen beside."""
        found = {
            "same hour yesterday": windows.earlier(now, 1),
            "same hour last week": windows.earlier(now, 7),
        }
        if rows < LAST_ROWS:
            found["last rows"] = windows.last_rows(now, LAST_ROWS)
        for name, state in found.items():
            if not state.rows or (name == "last rows" and state.rows <= rows):
                continue
            counts, distance = state.bin_counts, None
            if self._baseline is not None and counts is not None and counts.sum() >= WINDOW_ROWS:
                distance = psi(self._baseline.counts, counts)
            yield BesideView(name, state.start, state.end, state.rows, state.missing, distance, state.mean)

    def _window_view(self, windows: ColumnWindows, now: float) -> WindowView:
        state = windows.window(now)
        counts = state.bin_counts
        distance = divergence = kolmogorov_smirnov = wasserstein = None
        if self._baseline is not None and counts is not None and counts.sum() >= WINDOW_ROWS:
            distance = psi(self._baseline.counts, counts)
            divergence = jensen_shannon_distance(self._baseline.counts, counts)
            expected, observed = self._baseline_points, _points(state.quantiles)
            if expected is not None and observed is not None:
                kolmogorov_smirnov, wasserstein = both_distances(expected, observed, self._deviation)
                wasserstein = _finite(wasserstein)
        moved = self.vectors.drift(now) if self.vectors is not None else None
        return WindowView(
            window="1h",
            rows=state.rows,
            missing=state.missing,
            bin_counts=counts,
            psi=distance,
            jensen_shannon=divergence,
            mean=state.mean,
            distinct=_distinct(state.sketches),
            quantiles=_quantile_values(state.quantiles),
            kolmogorov_smirnov=kolmogorov_smirnov,
            wasserstein=wasserstein,
            rank_error=state.quantiles.error() if state.quantiles is not None else 0.0,
            mmd=moved.mmd_squared if moved is not None else None,
            mmd_chance=moved.chance if moved is not None else 0.0,
        )

    def _verdict_view(self, window: str, baseline: BaselineColumn | None) -> VerdictView:
        verdict = self._verdicts.get(window)
        if baseline is None:
            verdict = verdict if verdict is not None else _learning(window, 0.0, 0.0, 0)
            return (
                replace(verdict, sentence=self._learners.sentence(self.model)) if self._learners else verdict
            )
        if verdict is not None:
            return verdict
        return VerdictView(
            window, "insufficient", 0.0, 0.0, 0, None, None, None, None, "no window is complete yet"
        )


def _learning(window: str, start: float, end: float, rows: int) -> VerdictView:
    return VerdictView(
        window, "learning", start, end, rows, None, None, None, None, "no baseline has this column"
    )


def _usual_evidence(baseline: BaselineColumn, window: str) -> Evidence | None:
    calibration = baseline.calibration
    found = calibration.windows.get(window) if calibration is not None else None
    return found.evidence if found is not None else None


def _with(judged: Judged, **changes: Any) -> Judged:
    """*judged* with another judgement, by what else told of it."""
    return replace(judged, judgement=replace(judged.judgement, **changes))


def _baseline_view(baseline: BaselineColumn | None) -> BaselineView | None:
    if baseline is None:
        return None
    return BaselineView(
        bin_ratios=tuple(baseline.shares.tolist()),
        rows=baseline.rows,
        missing=baseline.missing,
        quantiles=_quantile_values(baseline.quantiles),
        points=_points(baseline.quantiles),
        blind_below=dict(baseline.blind_below),
    )


def _quantile_values(quantiles: Quantiles | None) -> Mapping[float, float]:
    if quantiles is None or not quantiles.count:
        return {}
    return dict(zip(RANKS, quantiles.quantile(np.array(RANKS)).tolist(), strict=True))


def _points(quantiles: Quantiles | None) -> Points | None:
    return Points(*quantiles.points()) if quantiles is not None and quantiles.count else None


def _finite(number: float) -> float | None:
    # A constant baseline has no standard deviation to measure by.
    return number if math.isfinite(number) else None


def _distinct(sketches: Sketches | None) -> float | None:
    return sketches.distinct.estimate() if sketches is not None else None
