"""Judged: one window of one column with its judgement, and what is shown of it."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.baseline import BaselineColumn
from exporter.monitor.incident import Incident
from exporter.monitor.pictures import picture
from exporter.verdict import Judgement
from exporter.verdict.naming import Named
from exporter.verdict.picture import Picture
from exporter.views import State, VerdictView
from exporter.window import Calendar, ColumnWindows


@dataclass(frozen=True, slots=True)
class Judged:
    """The *window* [start, end) of a column."""

    windows: ColumnWindows
    baseline: BaselineColumn
    window: str
    start: float
    end: float
    """Unix seconds."""
    judgement: Judgement

    @property
    def calendar(self) -> Calendar:
        """The column's."""
        return self.windows.calendar

    def picture(self, start: float, end: float) -> Picture:
        """What the column looked like in the hours of [start, end), of this window or another."""
        state = self.windows.picture(start, end)
        return picture(self.windows.layout.kind, self.baseline.bins, state.tally, state.sketches)

    def view(self, state: State, named: Named | None, incident: Incident | None) -> VerdictView:
        """The verdict: *state*, and what happened, where that has a name."""
        judgement = self.judgement
        return VerdictView(
            window=self.window,
            state=state,
            start=self.start,
            end=self.end,
            rows=judgement.rows,
            psi=judgement.psi,
            score=judgement.score,
            critical_psi=judgement.critical_psi,
            incident_start=incident.onset if incident is not None else None,
            sentence=named.sentence if named is not None else judgement.reason,
            detectors=judgement.detectors,
            fault=named.fault if named is not None else "",
            compared_with=judgement.compared_with,
            incident=incident.id if incident is not None else "",
            moved=judgement.moved,
        )
