"""Views: what the collectors, the status page and the JSON answer read, frozen at one moment.

Promises: plain values and read-only arrays, made under the monitor's lock in one go, so that a page
never shows two moments at once. Nothing here computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from exporter.rows import Role
from exporter.schema import Kind

State: TypeAlias = Literal["ok", "drifted", "ticket", "insufficient", "learning"]
STATES: tuple[State, ...] = ("ok", "drifted", "ticket", "insufficient", "learning")

MISMATCHES: tuple[str, ...] = ("missing", "kind", "order", "extra", "distribution")
"""How traffic may fail to match a baseline: columns that do not come, come as another kind or in another's
place, are not in it, or are unlike it from the first day on."""

Counts: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"


@dataclass(frozen=True, slots=True)
class VerdictView:
    """The last verdict on one column and tumbling window."""

    window: str
    """``1h`` or ``1d``."""
    state: State
    start: float
    end: float
    """Unix seconds; the window is [start, end)."""
    rows: int
    psi: float | None
    score: float | None
    """Above 1 is abnormal; None while insufficient."""
    critical_psi: float | None
    """The PSI at which the score would be 1 with this many rows."""
    incident_start: float | None
    """Estimated onset of the open incident, Unix seconds; None when none is open."""
    sentence: str
    """For people: ``median 1.61 × that of the baseline``; empty when there is nothing to say."""
    detectors: tuple[str, ...] = ()
    """Those whose score is above 1, highest first."""
    fault: str = ""
    """A name of `exporter.faults.FAULTS`, or `UNNAMED`; empty unless ``drifted`` or ``ticket``."""
    compared_with: str = ""
    """The reference that decided: ``baseline``, ``last 7 days`` or ``blend``; empty without a score."""
    incident: str = ""
    """Which incident it belongs to, the same for all its columns; empty when none is open."""
    moved: tuple[tuple[str, float, float], ...] = ()
    """Bins that moved most: label, share expected, share seen; at most five, while abnormal."""


@dataclass(frozen=True, slots=True)
class WindowView:
    """A sliding window of one column, merged from five-minute slots."""

    window: str
    rows: int
    missing: int
    bin_counts: Counts | None
    psi: float | None
    """None while there are too few rows to say anything, or no baseline."""
    jensen_shannon: float | None
    mean: float | None
    distinct: float | None
    quantiles: Mapping[float, float]
    """Rank (0.05, 0.25, 0.5, 0.75, 0.95) → value; empty for categories and empty windows."""
    kolmogorov_smirnov: float | None = None
    wasserstein: float | None = None
    """In standard deviations of the baseline. Both from quantiles; None for categories, as `psi` else."""
    rank_error: float = 0.0
    """`Quantiles.error()` of what the two come from."""
    mmd: float | None = None
    """Squared maximum mean discrepancy of an embedding's vectors from the baseline's: 0 to 2.

    None without a frame in the baseline, and with too few vectors.
    """
    mmd_chance: float = 0.0
    """What of it chance and an hour of the baseline's own give."""


@dataclass(frozen=True, slots=True)
class BesideView:
    """Another stretch of time of a column, to see the last hour beside."""

    name: str
    """``same hour yesterday``, ``same hour last week``, or ``last rows`` where the hour has too few."""
    start: float
    end: float
    """Unix seconds."""
    rows: int
    missing: int
    psi: float | None
    """Against the baseline; None with too few rows or without one."""
    mean: float | None


@dataclass(frozen=True, slots=True)
class BaselineView:
    """What a column is compared with."""

    bin_ratios: tuple[float, ...]
    rows: int
    missing: int
    quantiles: Mapping[float, float]
    blind_below: Mapping[str, float | None] = field(default_factory=dict)
    """By fault: the smallest strength found on nearly every day of the baseline; None where none is."""
    points: tuple[Floats, Floats] | None = None
    """At most 200 values and their weights, for `exporter.statistics.Points`; None for categories."""


@dataclass(frozen=True, slots=True)
class ColumnView:
    """One column of one model version and role: totals since the recorder started, windows, verdicts."""

    model: str
    version: str
    role: Role
    column: str
    kind: Kind
    bins: str
    """8 hex digits of the bin edges; empty when the column has no bins (no baseline yet)."""
    bin_labels: tuple[str, ...]
    bin_counts: Counts | None
    rows: int
    missing: int
    type_mismatch: int
    out_of_range: int
    far: int
    unseen: int
    infinite: int
    scaled_sum: float | None
    scaled_square: float | None
    """Sums of x and x² over finite values, where x runs from 0 to 1 over the far range and stops there."""
    baseline: BaselineView | None
    windows: tuple[WindowView, ...]
    verdicts: tuple[VerdictView, ...]
    grid: int | None = None
    """Whole multiples of the column's coarse step; None where it has none."""
    beside: tuple[BesideView, ...] = ()
    """Stretches of time that have rows."""


@dataclass(frozen=True, slots=True)
class ModelView:
    """Traffic of one model version and protocol since the recorder started."""

    model: str
    version: str
    protocol: str
    requests: int
    failures: Mapping[str, int]
    """Reason → requests; every reason of `exporter.traffic.FAILURE_REASONS`, at 0 from the start."""
    duration_buckets: tuple[int, ...]
    """Cumulative counts for `exporter.traffic.DURATION_BUCKETS`, then +Inf."""
    duration_sum: float
    request_bytes: int
    response_bytes: int
    tokens: Mapping[str, int] = field(default_factory=dict)
    """Kind (of `exporter.traffic.TOKEN_KINDS`) → tokens that answers told; empty until one did."""


@dataclass(frozen=True, slots=True)
class RowsView:
    """Rows recorded for one model version."""

    model: str
    version: str
    rows: int


@dataclass(frozen=True, slots=True)
class BaselineFileView:
    """The baseline a model is judged by."""

    model: str
    sha256: str
    created: float
    rows: int
    calibration: str
    """``calibrated``, ``uncalibrated`` (no timestamps) or ``learning``."""


@dataclass(frozen=True, slots=True)
class LearningView:
    """How far a model without a baseline has learnt."""

    model: str
    stage: str
    """``learning``, or ``frozen``: to be promoted."""
    rows: int
    days: float
    """Live days: hours with rows / 24."""
    freezes: float | None
    """Unix seconds, estimated; None once it is frozen, and before the first row."""
    sentence: str


@dataclass(frozen=True, slots=True)
class MatchView:
    """Whether the traffic of one model version has its baseline's columns and distributions."""

    model: str
    version: str
    columns: Mapping[str, int]
    """Reason (of `MISMATCHES`) → columns, 0 where all is well; no ``distribution`` before a day has told."""
    sentences: tuple[tuple[str, str], ...]
    """Reason and sentence of each finding, the gravest first."""


@dataclass(frozen=True, slots=True)
class LawView:
    """The conservation law of one protocol: seen = recorded + the rest + unsettled, in exchanges."""

    protocol: str
    seen: int
    recorded: int
    sampled_out: int
    dropped: Mapping[str, int]
    undecodable: Mapping[str, int]
    unobservable: Mapping[str, int]
    ignored: Mapping[str, int]
    unsettled: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class CheckpointView:
    """The recorder's state on disk."""

    written: float | None
    """When this recorder last wrote it, Unix seconds; None until then."""
    bytes: int
    failures: Mapping[str, int]
    """Reason (of `exporter.checkpoint.REASONS`) → checkpoints that could not be used or written."""


@dataclass(frozen=True, slots=True)
class SelfView:
    """About ourselves."""

    now: float
    """The recorder's clock, Unix seconds (simulated under ``--clock``)."""
    clock_rate: float
    """1 for the wall clock."""
    started: float
    upstream_up: bool
    recorder_up: bool
    recorder_restarts: Mapping[str, int]
    """By reason: ``exit``, ``hang``, ``memory``; each at 0 from the start."""
    tap_restarts: int
    upstream_failures: int
    """Connections of clients that were reset because the model server could not be reached."""
    queue_bytes: int
    queue_capacity_bytes: int
    lag_seconds: float
    """Age of the oldest copied byte that is not yet read; 0 when there is none."""
    connections_open: int
    late_rows: int
    layouts_dropped: int
    """Columns or model versions not followed because of limits.columns and limits.models."""
    errors: Mapping[str, int]
    """Internal errors by place (closed set `exporter.monitor.ERROR_PLACES`)."""
    config_sha256: str
    sampling: float = 1.0
    """Share of exchanges that are drawn for recording, at this moment."""
    ingest_events: Mapping[str, int] = field(default_factory=dict)
    """Result (of `exporter.metrics.EVENT`) → events of the second door; empty while it is closed."""
    checkpoint: CheckpointView | None = None
    """None without ``--state``."""


@dataclass(frozen=True, slots=True)
class SliceColumnView:
    """One prediction column in the rows of one slice value, since the recorder started."""

    role: Role
    column: str
    bins: str
    bin_labels: tuple[str, ...]
    bin_counts: Counts


@dataclass(frozen=True, slots=True)
class SliceVerdictView:
    """The last verdict on the predictions of one slice value: that of the column that moved most."""

    window: str
    state: State
    start: float
    end: float
    """Unix seconds; the window is [start, end)."""
    rows: int
    score: float | None
    """None while insufficient."""
    column: str
    """Empty while there is nothing to judge."""
    sentence: str


@dataclass(frozen=True, slots=True)
class SliceView:
    """The rows of one model version whose column `slice` has one value."""

    model: str
    version: str
    slice: str
    value: str
    """As a label: hashed where the column is neither declared nor in the baseline; ``other`` for the rest."""
    rows: int
    entries: Mapping[Role, int]
    """Values in all columns of these rows, missing ones included."""
    missing: Mapping[Role, int]
    columns: tuple[SliceColumnView, ...]
    verdicts: tuple[SliceVerdictView, ...]


@dataclass(frozen=True, slots=True)
class VersionColumnView:
    """How far one column of one version is from that of another."""

    role: Role
    column: str
    score: float
    """Above 1 they differ."""
    detectors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version beside the busiest other one of its model, in one tumbling window."""

    model: str
    version: str
    other: str
    window: str
    start: float
    end: float
    rows: int
    other_rows: int
    cause: str
    """One of `exporter.versions.CAUSES`."""
    sentence: str
    columns: tuple[VersionColumnView, ...]


@dataclass(frozen=True, slots=True)
class View:
    """Everything, at one moment."""

    about: SelfView
    law: tuple[LawView, ...]
    traffic: tuple[ModelView, ...]
    rows: tuple[RowsView, ...]
    baselines: tuple[BaselineFileView, ...]
    columns: tuple[ColumnView, ...]
    slices: tuple[SliceView, ...] = ()
    versions: tuple[VersionView, ...] = ()
    learning: tuple[LearningView, ...] = ()
    """Of models without a baseline."""
    matches: tuple[MatchView, ...] = ()
    """Of model versions with one, once their first rows have told."""


class Source(Protocol):
    """What the collectors and the page are given."""

    def view(self) -> View:
        """Everything, at this moment."""
        ...
