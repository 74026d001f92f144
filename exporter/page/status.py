"""Status: what the page says and what the JSON carries, the same values for both.

Promises: plain frozen values; the page formats them and computes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from exporter.rows import Role
from exporter.schema import Kind
from exporter.views import State

#: The order of columns on the page. A column that one window could judge is judged, even when another
#: window has too few rows.
RANK: dict[State, int] = {"drifted": 0, "ticket": 1, "ok": 2, "learning": 3, "insufficient": 4}

AnswerState: TypeAlias = Literal["drifted", "ticket", "ok", "early"]


@dataclass(frozen=True, slots=True)
class Answer:
    """The one sentence: `headline` and, after a colon, `detail`."""

    state: AnswerState
    headline: str
    detail: str

    @property
    def sentence(self) -> str:
        """Both parts as one sentence."""
        return f"{self.headline}: {self.detail}" if self.detail else self.headline


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a column: its label, and its share of the baseline and of the window."""

    label: str
    baseline: float | None
    window: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Beside:
    """Another stretch of time, to see the last hour beside."""

    name: str
    start: float
    end: float
    rows: int
    missing_share: float
    psi: float | None
    mean: float | None


@dataclass(frozen=True, slots=True)
class Distance:
    """One statistic of the sliding window against the baseline, and its mean where nothing has changed."""

    name: str
    """Of `exporter.statistics.STATISTICS`, or ``embedding_mmd``."""
    title: str
    value: float
    chance: float


@dataclass(frozen=True, slots=True)
class QuantilePair:
    """The value at one rank, in the baseline and in the window."""

    rank: float
    baseline: float | None
    window: float | None

    @property
    def quotient(self) -> float | None:
        """The window's by the baseline's; None unless both are above 0, where it means something."""
        if self.baseline is None or self.window is None or min(self.baseline, self.window) <= 0:
            return None
        return self.window / self.baseline


@dataclass(frozen=True, slots=True)
class VerdictLine:
    """One tumbling window's verdict."""

    window: str
    state: State
    start: float
    end: float
    rows: int
    score: float | None
    psi: float | None
    critical_psi: float | None
    incident_start: float | None
    sentence: str
    fault: str = ""
    detectors: tuple[str, ...] = ()
    compared_with: str = ""
    incident: str = ""
    moved: tuple[tuple[str, float, float], ...] = ()
    """Bins that moved most: label, share expected, share seen."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its verdict, what it is built on, and its two distributions."""

    id: str
    """Unique on the page and the same on every refresh."""
    column: str
    role: Role
    kind: Kind
    state: State
    sentence: str
    since: float | None
    score: float | None
    critical_psi: float | None
    judged_psi: float | None
    judged_rows: int | None
    """From `state` to here, of the verdict that gives the state."""
    window: str
    """Length of the sliding window that everything from here on is of."""
    psi: float | None
    jensen_shannon: float | None
    rows: int
    missing_share: float | None
    missing_between: tuple[float, float] | None
    """95 % interval of the missing share."""
    distances: tuple[Distance, ...]
    """Empty while there are too few rows to say anything, or no baseline."""
    baseline_rows: int
    bins: tuple[Bin, ...]
    quantiles: tuple[QuantilePair, ...]
    verdicts: tuple[VerdictLine, ...]
    beside: tuple[Beside, ...] = ()
    blind_below: tuple[tuple[str, float | None], ...] = ()
    """Faults with the smallest strength that would be found; None where none is."""

    @property
    def moved(self) -> tuple[int, float, float, str]:
        """Sorts columns by how far they moved: by state, then by score, PSI and name."""
        return (RANK[self.state], -(self.score or 0.0), -(self.psi or 0.0), self.column)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The baseline of a model."""

    sha256: str
    created: float
    rows: int
    calibration: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests of one model version and protocol, or of all."""

    model: str
    version: str
    protocol: str
    requests: int
    failures: Mapping[str, int]
    p50_seconds: float | None
    p99_seconds: float | None
    """From buckets, linear within one; infinite above the last bound, None without requests."""
    request_bytes: int
    response_bytes: int

    @property
    def failed(self) -> int:
        """Failures of all reasons."""
        return sum(self.failures.values())


@dataclass(frozen=True, slots=True)
class Coverage:
    """What became of the exchanges of one protocol; the terms sum to `seen`."""

    protocol: str
    seen: int
    recorded: int
    sampled_out: int
    dropped: Mapping[str, int]
    undecodable: Mapping[str, int]
    unobservable: Mapping[str, int]
    ignored: Mapping[str, int]
    unsettled: int

    @property
    def terms(self) -> dict[str, int]:
        """Term → exchanges, in the order of the law."""
        return {
            "recorded": self.recorded,
            "sampled out": self.sampled_out,
            "dropped": sum(self.dropped.values()),
            "undecodable": sum(self.undecodable.values()),
            "unobservable": sum(self.unobservable.values()),
            "ignored": sum(self.ignored.values()),
            "unsettled": self.unsettled,
        }

    @property
    def reasons(self) -> list[tuple[str, str, int]]:
        """Term, reason and exchanges of every reason that occurred."""
        by_term = (
            ("dropped", self.dropped),
            ("undecodable", self.undecodable),
            ("unobservable", self.unobservable),
            ("ignored", self.ignored),
        )
        return [(term, reason, n) for term, reasons in by_term for reason, n in reasons.items() if n]


@dataclass(frozen=True, slots=True)
class SliceLine:
    """The rows of one slice value."""

    slice: str
    value: str
    rows: int
    missing_share: float | None
    state: State
    """The worst of its windows, to which what follows belongs."""
    window: str
    score: float | None
    sentence: str


@dataclass(frozen=True, slots=True)
class VersionLine:
    """This version beside the busiest other one, in one window."""

    other: str
    window: str
    start: float
    cause: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Model:
    """One model version and its columns, those that moved most first."""

    model: str
    version: str
    rows: int
    baseline: Baseline | None
    learning: str
    """How far it has learnt; empty where there is a baseline."""
    mismatches: tuple[str, ...]
    """In what the traffic does not match the baseline, a sentence each."""
    predictions: tuple[Column, ...]
    features: tuple[Column, ...]
    slices: tuple[SliceLine, ...]
    versions: tuple[VersionLine, ...]

    @property
    def groups(self) -> list[tuple[str, tuple[Column, ...]]]:
        """Headings and columns: the group with the column that moved most first, predictions when equal."""
        groups = [("Predictions", self.predictions), ("Features", self.features)]
        return sorted((group for group in groups if group[1]), key=lambda group: RANK[group[1][0].state])


@dataclass(frozen=True, slots=True)
class Status:
    """Everything the page shows."""

    answer: Answer
    notices: tuple[str, ...]
    """What to know before believing the rest: a server that is down, losses, restarts."""
    now: float
    clock_rate: float
    started: float
    restarts: int
    columns: int
    rows: int
    total: Traffic
    coverage: float | None
    """Recorded exchanges as a share of those that carried rows: what was ignored (probes, say) and what is
    not yet settled left out. None before the first."""
    law: tuple[Coverage, ...]
    traffic: tuple[Traffic, ...]
    models: tuple[Model, ...]
    verdicts: Mapping[State, int]
    """State → columns."""
