"""ColumnMonitor: one column of one model version: its windows, its verdicts, its view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from exporter.baseline import BaselineColumn
from exporter.monitor.incident import QUIET_WINDOWS, Incident
from exporter.profile import Layout, Sketches, infer_kind
from exporter.rows import Role, Values
from exporter.schema import ColumnSpec, Kind
from exporter.sketch import CategoryBins, Quantiles
from exporter.statistics import jensen_shannon_distance, psi
from exporter.tumbling import WINDOWS
from exporter.verdict import WINDOW_ROWS, Judgement, describe, judge, onset
from exporter.views import BaselineView, ColumnView, VerdictView, WindowView
from exporter.window import SLOT_SECONDS, SLOTS, ColumnWindows

RANKS: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantile ranks that are shown."""

FAR: Final = 0.5
"""A value is far outside the baseline's range when it lies more than half of that range beyond it."""


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
    ) -> None:
        self.model = model
        self.version = version
        self.role = role
        self.name = name
        self._baseline = baseline
        self._range = spec.range if spec is not None else None
        self._categories = spec.categories if spec is not None else None
        kind = baseline.kind if baseline is not None else spec.kind if spec is not None else None
        self._windows: ColumnWindows | None = None if kind is None else self._make(kind)
        self._waiting = 0
        """Rows without any value, seen before one told of what kind the column is."""
        self._verdicts: dict[str, VerdictView] = {}
        self._incidents: dict[str, Incident] = {}
        """By window."""
        self._baseline_view = _baseline_view(baseline)

    def _make(self, kind: Kind) -> ColumnWindows:
        baseline = self._baseline
        far = None
        if baseline is not None and baseline.range is not None and baseline.range[0] < baseline.range[1]:
            low, high = baseline.range
            margin = FAR * (high - low)
            if np.isfinite(low - margin) and np.isfinite(high + margin):
                far = (low - margin, high + margin)
        bins = baseline.bins if baseline is not None else None
        if bins is None and self._categories is not None and kind in ("categorical", "boolean"):
            bins = CategoryBins(self._categories)
        return ColumnWindows(Layout(kind, bins, self._range, far))

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

    @property
    def late(self) -> int:
        """Rows that came too late for any window."""
        return self._windows.late if self._windows is not None else 0

    # Verdicts

    def judge(self, window: str, start: float, end: float, alpha: float) -> None:
        """Give the verdict on [start, end), which is complete."""
        windows, baseline = self._windows, self._baseline
        if windows is None or baseline is None:
            rows = windows.tumbling(start, end).rows if windows is not None else 0
            self._verdicts[window] = _learning(window, start, end, rows)
            return
        state = windows.tumbling(start, end)
        counts = state.bin_counts
        assert counts is not None  # a baseline always brings bins
        judgement = judge(baseline, counts, window, alpha, missing=state.missing, unseen=state.tally.unseen)
        incident = self._incidents.get(window)
        if judgement.state == "drifted":
            if incident is None:
                since = self._onset(windows, baseline, start, end)
                incident = self._incidents[window] = Incident(since)
                state = windows.tumbling(max(since, start), end)
            incident.add(state)
            sentence = self._describe(incident, judgement, baseline)
            self._verdicts[window] = _view(window, start, end, judgement, incident.start, sentence)
            return
        if incident is not None:
            if judgement.state != "insufficient":
                incident.quiet += 1
            if incident.quiet < QUIET_WINDOWS[window]:
                return  # it is open until enough windows with enough rows say otherwise
            del self._incidents[window]
        self._verdicts[window] = _view(window, start, end, judgement, None, judgement.reason)

    def _onset(self, windows: ColumnWindows, baseline: BaselineColumn, start: float, end: float) -> float:
        """When the change most likely happened, looking back over one more window than the one judged."""
        first = max(start - (end - start), end - SLOTS * SLOT_SECONDS)
        series = windows.series(first, end)
        times = np.array([first + SLOT_SECONDS * slot for slot in range(len(series))])
        return onset(series, baseline.counts, times)

    def _describe(self, incident: Incident, judgement: Judgement, baseline: BaselineColumn) -> str:
        # A day's sketches are not held; those of the hours in which the same incident was open are.
        hourly = self._incidents.get("1h")
        quantiles = incident.quantiles or (hourly.quantiles if hourly is not None else None)
        return describe(
            baseline,
            quantiles,
            incident.counts,
            detector=judgement.detector,
            missing=incident.missing,
            unseen=incident.unseen,
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
            baseline=self._baseline_view,
            windows=(self._window_view(windows, now),),
            verdicts=tuple(self._verdict_view(window, baseline) for window in WINDOWS),
        )

    def _window_view(self, windows: ColumnWindows, now: float) -> WindowView:
        state = windows.window(now)
        counts = state.bin_counts
        distance = divergence = None
        if self._baseline is not None and counts is not None and counts.sum() >= WINDOW_ROWS:
            distance = psi(self._baseline.counts, counts)
            divergence = jensen_shannon_distance(self._baseline.counts, counts)
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
        )

    def _verdict_view(self, window: str, baseline: BaselineColumn | None) -> VerdictView:
        verdict = self._verdicts.get(window)
        if verdict is not None:
            return verdict
        if baseline is None:
            return _learning(window, 0.0, 0.0, 0)
        return VerdictView(
            window, "insufficient", 0.0, 0.0, 0, None, None, None, None, "no window is complete yet"
        )


def _learning(window: str, start: float, end: float, rows: int) -> VerdictView:
    return VerdictView(
        window, "learning", start, end, rows, None, None, None, None, "no baseline has this column"
    )


def _view(
    window: str, start: float, end: float, judgement: Judgement, incident: float | None, sentence: str
) -> VerdictView:
    return VerdictView(
        window=window,
        state=judgement.state,
        start=start,
        end=end,
        rows=judgement.rows,
        psi=judgement.psi,
        score=judgement.score,
        critical_psi=judgement.critical_psi,
        incident_start=incident,
        sentence=sentence,
    )


def _baseline_view(baseline: BaselineColumn | None) -> BaselineView | None:
    if baseline is None:
        return None
    return BaselineView(
        bin_ratios=tuple(baseline.shares.tolist()),
        rows=baseline.rows,
        missing=baseline.missing,
        quantiles=_quantile_values(baseline.quantiles),
    )


def _quantile_values(quantiles: Quantiles | None) -> Mapping[float, float]:
    if quantiles is None or not quantiles.count:
        return {}
    return dict(zip(RANKS, quantiles.quantile(np.array(RANKS)).tolist(), strict=True))


def _distinct(sketches: Sketches | None) -> float | None:
    return sketches.distinct.estimate() if sketches is not None else None
