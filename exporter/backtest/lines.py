"""Lines: one verdict as one line of JSON.

Promises: the keys and their order are those of `Line`; times are ISO 8601 in UTC, the end exclusive; what is
not known is null.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

import msgspec

from exporter.rows import Role
from exporter.views import State, VerdictView


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one column and window."""

    start: str
    end: str
    column: str
    role: Role
    window: str
    rows: int
    psi: float | None
    score: float | None
    min_detectable: float | None
    """The PSI at which the score would be 1 with this many rows."""
    verdict: State
    detectors: list[str]
    fault: str | None
    onset: str | None
    incident: str | None

    @property
    def order(self) -> tuple[str, str, str, str]:
        """Lines are written in ascending order of it; ISO times of one zone ascend with time."""
        return self.start, self.window, self.role, self.column

    def encoded(self) -> bytes:
        """With the line's end."""
        return msgspec.json.encode(self) + b"\n"


def judged(role: Role, column: str, verdict: VerdictView) -> Line:
    """The line of *verdict*."""
    return Line(
        start=utc(verdict.start),
        end=utc(verdict.end),
        column=column,
        role=role,
        window=verdict.window,
        rows=verdict.rows,
        psi=_finite(verdict.psi),
        score=_finite(verdict.score),
        min_detectable=_finite(verdict.critical_psi),
        verdict=verdict.state,
        detectors=list(verdict.detectors),
        fault=verdict.fault or None,
        onset=None if verdict.incident_start is None else utc(verdict.incident_start),
        incident=verdict.incident or None,
    )


def not_judged(role: Role, column: str, window: str, start: float, end: float, rows: int) -> Line:
    """The line of a window that the file covers only in part."""
    return Line(
        start=utc(start),
        end=utc(end),
        column=column,
        role=role,
        window=window,
        rows=rows,
        psi=None,
        score=None,
        min_detectable=None,
        verdict="insufficient",
        detectors=[],
        fault=None,
        onset=None,
        incident=None,
    )


def utc(seconds: float) -> str:
    """Unix seconds as ISO 8601.

    >>> utc(1356998400.0)
    '2013-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def _finite(number: float | None) -> float | None:
    """JSON has neither NaN nor infinity."""
    return number if number is not None and math.isfinite(number) else None
