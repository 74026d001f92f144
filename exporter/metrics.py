"""Metrics: every family and label that modelmeter exposes, declared once.

Promises: this is the only file in which a metric's name is spelled. Collectors build samples through
`Metric.family`, rules and dashboards queries through `Metric.select`, and ``docs/metrics.md`` is what
``python -m exporter.metrics`` prints. A number that is not known has no sample; there is never a NaN.
Refuses: a label that is not declared (``ValueError``), a sample with too few or too many labels.
Standard library only, so that tools which render rules need nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["counter", "gauge", "histogram", "info"]
Stability: TypeAlias = Literal["stable", "experimental"]
Number: TypeAlias = int | float


@dataclass(frozen=True, slots=True)
class Label:
    """A label: its name, its meaning, and what bounds its values.

    `values` is the closed set where there is one; `bound` says in words what limits the others.
    """

    name: str
    help: str
    values: tuple[str, ...] = ()
    bound: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """One family: name as it stands on /metrics, type, meaning, labels, and where its numbers come from.

    `unit` is Prometheus' base unit and ends the name (before ``_total``); `buckets` are the upper bounds
    of a histogram, +Inf left out. A ``stable`` name keeps its type and labels until the next major version.

    >>> f"sum(rate({REQUESTS.select(model='flights')}[5m]))"
    'sum(rate(modelmeter_requests_total{model="flights"}[5m]))'
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[Label, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()
    source: str = ""
    since: str = "0.1.0"
    stability: Stability = "stable"
    label_names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label_names", tuple(label.name for label in self.labels))

    def __str__(self) -> str:
        return self.name

    def family(self) -> Family:
        """An empty family of this metric, for one scrape."""
        return Family(self)

    def select(self, part: Literal["", "bucket", "sum", "count"] = "", /, **labels: str) -> str:
        """A PromQL selector of this metric; *part* names a series of a histogram.

        Raises ValueError for a label that is not declared, or a part of what is not a histogram.

        >>> REQUEST_DURATION.select("bucket", le="0.1")
        'modelmeter_request_duration_seconds_bucket{le="0.1"}'
        """
        if part and self.kind != "histogram":
            raise ValueError(f"{self.name}: expected a histogram for part {part!r}, found a {self.kind}")
        allowed = {*self.label_names, *(("le",) if part == "bucket" else ())}
        if unknown := sorted(labels.keys() - allowed):
            raise ValueError(f"{self.name}: expected labels of {sorted(allowed)}, found {', '.join(unknown)}")
        name = f"{self.name}_{part}" if part else self.name
        matchers = ", ".join(f'{label}="{escape(value)}"' for label, value in labels.items())
        return f"{name}{{{matchers}}}" if matchers else name


class Family:
    """The samples of one metric in one scrape; made anew for each, so that no vanished label set stays.

    >>> family = UPSTREAM_UP.family()
    >>> family.add(1)
    >>> family.samples
    [((), 1)]
    """

    __slots__ = ("histograms", "metric", "samples")

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.samples: list[tuple[tuple[str, ...], Number]] = []
        """Label values in declared order, value."""
        self.histograms: list[tuple[tuple[str, ...], Sequence[int], float]] = []
        """Label values, cumulative counts by bucket with +Inf last, sum of the observations."""

    def add(self, value: Number | None, /, *labels: str) -> None:
        """Add a sample; None and NaN mean that the number is not known: no sample."""
        if len(labels) != len(self.metric.label_names):
            raise ValueError(f"{self.metric.name}: expected labels {self.metric.label_names}, found {labels}")
        if value is None or value != value:
            return
        self.samples.append((labels, value))

    def add_histogram(self, cumulative: Sequence[int], total: float, /, *labels: str) -> None:
        """Add a histogram: *cumulative* counts by bucket, +Inf last, and the sum of the observations."""
        if len(labels) != len(self.metric.label_names):
            raise ValueError(f"{self.metric.name}: expected labels {self.metric.label_names}, found {labels}")
        expected = len(self.metric.buckets) + 1
        if len(cumulative) != expected:
            raise ValueError(f"{self.metric.name}: expected {expected} buckets, found {len(cumulative)}")
        self.histograms.append((labels, cumulative, total))

    @property
    def series(self) -> int:
        """How many series this family has, those of its histograms included."""
        return len(self.samples) + len(self.histograms) * (len(self.metric.buckets) + 3)


def escape(value: str) -> str:
    """*value* as it stands between quotes, in the exposition formats and in PromQL alike."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


# Labels

UNKNOWN = "unknown"
"""Model and version of requests that no model has answered successfully."""

MODEL = Label(
    "model", "Model name from the wire.", bound="limits.models; `unknown` before a success, `other` above"
)
VERSION = Label("version", "Model version that answered, never empty.", bound="limits.models")
PROTOCOL = Label(
    "protocol", "Protocol of the listener.", bound="`http`, `grpc`, `ingest`, as far as listened for"
)
ROLE = Label("role", "What the column is to the model.", ("feature", "prediction"))
COLUMN = Label("column", "Column name.", bound="limits.columns per model version")
BINS = Label("bins", "8 hex digits of the bin edges: two baselines never add up.", bound="1 per column")
BIN = Label("bin", "Bin as interval or category; sorts in bin order.", bound="bins of the baseline, about 20")
WINDOW = Label("window", "Length of the window.", ("1h", "1d"))
SCOPE = Label("scope", "Who judged: this sidecar or the exporter of the fleet.", ("pod", "fleet"))
VERDICT = Label("verdict", "State; `drifted` pages.", ("ok", "drifted", "ticket", "insufficient", "learning"))
DETECTOR = Label(
    "detector",
    "What it looks at.",
    (
        *("shape", "bin", "missing", "mismatched", "unseen", "grid", "spike", "far"),
        *("frozen", "replayed", "stuck", "spread", "small shift", "ADWIN", "Page-Hinkley"),
        "unlike the baseline",
    ),
)
FAULT = Label("fault", "What happened.", bound="the names of `exporter.faults`, one at a time")
DETECTABLE = Label(
    "fault",
    "Those that have a strength.",
    ("shift", "scale", "flood", "null_surge", "unseen_category", "clipping"),
)
QUANTILE_RANK = Label("quantile_rank", "Share of the values below.", ("0.05", "0.25", "0.5", "0.75", "0.95"))
FAILURE = Label(
    "reason",
    "4xx, 5xx, an error inside a successful answer, closed before the answer ended.",
    ("client_error", "server_error", "in_band", "closed"),
)
TOKEN = Label("kind", "Tokens read, tokens written.", ("prompt", "completion"))
EVENT = Label(
    "result",
    "Taken; the half of an exchange that was there already, or came too late; not of an inference; answered "
    "503; not readable; too large.",
    ("accepted", "duplicate", "other", "refused", "malformed", "too_large"),
)
LOSS = Label("reason", "Why.", bound="a closed set of the sidecar, all at 0 from the start")
PLACE = Label("reason", "Where it happened.", bound="a closed set, all at 0 from the start")
RESTART = Label(
    "reason",
    "It ended by itself or was killed, stopped beating, or came too near to the memory limit.",
    ("exit", "hang", "memory"),
)
STAGE = Label(
    "reason",
    "What was shed, in this order.",
    ("slices", "secondary_distances", "quantiles", "columns"),
)
BASELINE = Label("baseline", "SHA-256 of the baseline file.", bound="1 per model")
CALIBRATION = Label(
    "calibration",
    "`uncalibrated`: the baseline has no timestamps; `learning`: there is none yet.",
    ("calibrated", "uncalibrated", "learning"),
)
MISMATCH = Label(
    "reason",
    "Columns that do not come, come as another kind or in another's place, are not in the baseline, or were "
    "unlike it on the first day.",
    ("missing", "kind", "order", "extra", "distribution"),
)
SLICE = Label("slice", "Feature by whose values rows are told apart.", bound="`slices` of the model")
SLICE_VALUE = Label(
    "slice_value",
    "Value of it, hashed (`#` and 8 hex digits) where the feature is neither declared nor in the baseline.",
    bound="`slice_values` of the model, and `other` for the rest",
)
OTHER = Label("other", "Version it is compared with: the one with the most rows.", bound="limits.models")
CAUSE = Label(
    "cause",
    "Both alike; the same features and other predictions; features that moved in both alike; other features.",
    ("none", "new_version", "upstream_data", "routing"),
)
COLLECTOR = Label(
    "collector",
    "Part of this page.",
    (
        *("traffic", "coverage", "columns", "verdicts", "slices", "versions"),
        *("baseline", "itself", "process"),
    ),
)
BUILD_VERSION = Label("version", "modelmeter's version.", bound="1")
PYTHON_VERSION = Label("python_version", "Version of Python.", bound="1")
CHECKPOINT = Label(
    "reason",
    "Of other baselines or another time zone, damaged, no checkpoint, in another's use, of another version, "
    "not written.",
    ("baseline", "corrupt", "foreign", "locked", "version", "write"),
)
CONFIG = Label("config", "SHA-256 of the configuration's content.", bound="1")

TRAFFIC_LABELS = (MODEL, VERSION, PROTOCOL)
COLUMN_LABELS = (MODEL, VERSION, ROLE, COLUMN)
BIN_LABELS = (*COLUMN_LABELS, BINS, BIN)
WINDOW_LABELS = (*COLUMN_LABELS, WINDOW)
VERDICT_LABELS = (*COLUMN_LABELS, WINDOW, SCOPE)
SLICE_LABELS = (MODEL, VERSION, SLICE, SLICE_VALUE)
PAIR_LABELS = (MODEL, VERSION, OTHER)

# Traffic

# One paragraph per metric: name and type, meaning, labels and origin.
# fmt: off
REQUESTS = Metric("modelmeter_requests_total", "counter",
    "Requests seen on the wire whose answer ended, failures included.",
    TRAFFIC_LABELS, source="exporter.traffic")
REQUEST_FAILURES = Metric("modelmeter_request_failures_total", "counter",
    "Requests that failed, in-band errors included.",
    (*TRAFFIC_LABELS, FAILURE), source="exporter.traffic")
# The bounds of exporter.traffic, which the tests hold equal; this file imports nothing.
REQUEST_DURATION = Metric("modelmeter_request_duration_seconds", "histogram",
    "Time from the first byte of the request to the last byte of its answer.",
    TRAFFIC_LABELS, unit="seconds", source="exporter.traffic",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
        30.0, 60.0))
REQUEST_BYTES = Metric("modelmeter_request_bytes_total", "counter",
    "Bytes of requests as on the wire, heads included.",
    TRAFFIC_LABELS, unit="bytes", source="exporter.traffic")
RESPONSE_BYTES = Metric("modelmeter_response_bytes_total", "counter",
    "Bytes of answers as on the wire, heads included.",
    TRAFFIC_LABELS, unit="bytes", source="exporter.traffic")
TOKENS = Metric("modelmeter_tokens_total", "counter",
    "Tokens, as answers of language models tell; of streams only where the client asked for usage.",
    (*TRAFFIC_LABELS, TOKEN), source="exporter.traffic", stability="experimental")
REQUESTS_IN_FLIGHT = Metric("modelmeter_requests_in_flight", "gauge",
    "Requests begun and not yet answered.",
    (PROTOCOL,), source="sidecar.ledger")
ROWS_RECORDED = Metric("modelmeter_rows_recorded_total", "counter",
    "Rows decoded and added to the profiles.",
    (MODEL, VERSION), source="exporter.monitor")

# Coverage: seen = recorded + sampled_out + dropped + undecodable + unobservable + ignored + unsettled

EXCHANGES_SEEN = Metric("modelmeter_exchanges_seen_total", "counter",
    "Exchanges (a request and its answer) that passed; the sum of all that became of them.",
    (PROTOCOL,), source="sidecar.ledger")
EXCHANGES_RECORDED = Metric("modelmeter_exchanges_recorded_total", "counter",
    "Exchanges whose rows were recorded.",
    (PROTOCOL,), source="sidecar.ledger")
EXCHANGES_SAMPLED_OUT = Metric("modelmeter_exchanges_sampled_out_total", "counter",
    "Exchanges left out by sampling, as configured.",
    (PROTOCOL,), source="sidecar.ledger")
EXCHANGES_DROPPED = Metric("modelmeter_exchanges_dropped_total", "counter",
    "Exchanges that were forwarded and not recorded for want of room or of a recorder.",
    (PROTOCOL, LOSS), source="sidecar.ledger")
EXCHANGES_UNDECODABLE = Metric("modelmeter_exchanges_undecodable_total", "counter",
    "Exchanges that looked like inference and could not be decoded.",
    (PROTOCOL, LOSS), source="sidecar.ledger")
EXCHANGES_UNOBSERVABLE = Metric("modelmeter_exchanges_unobservable_total", "counter",
    "Exchanges whose content does not pass in a form that can be read.",
    (PROTOCOL, LOSS), source="sidecar.ledger")
EXCHANGES_IGNORED = Metric("modelmeter_exchanges_ignored_total", "counter",
    "Exchanges with nothing to record: probes, metadata, failures.",
    (PROTOCOL, LOSS), source="sidecar.ledger")
EXCHANGES_UNSETTLED = Metric("modelmeter_exchanges_unsettled", "gauge",
    "Exchanges seen of which it is not yet known what becomes of them; 0 at rest.",
    (PROTOCOL,), source="sidecar.ledger")

# Columns

COLUMN_ROWS = Metric("modelmeter_column_rows_total", "counter",
    "Rows in which the column had its place, missing values included.",
    COLUMN_LABELS, source="exporter.profile", stability="experimental")
COLUMN_BIN_OBSERVATIONS = Metric("modelmeter_column_bin_observations_total", "counter",
    "Observations per bin of the baseline; adds up over pods and time.",
    BIN_LABELS, source="exporter.profile")
COLUMN_MISSING = Metric("modelmeter_column_missing_total", "counter",
    "Missing values: null or NaN.",
    COLUMN_LABELS, source="exporter.profile")
COLUMN_TYPE_MISMATCH = Metric("modelmeter_column_type_mismatch_total", "counter",
    "Values of a type that the column's kind does not take.",
    COLUMN_LABELS, source="exporter.profile")
COLUMN_INFINITE = Metric("modelmeter_column_infinite_total", "counter",
    "Infinite values; they are in the outer bins and in no mean.",
    COLUMN_LABELS, source="exporter.profile", stability="experimental")
COLUMN_OUT_OF_RANGE = Metric("modelmeter_column_out_of_range_total", "counter",
    "Values outside the declared range.",
    COLUMN_LABELS, source="exporter.profile")
COLUMN_FAR = Metric("modelmeter_column_far_total", "counter",
    "Values more than half the baseline's range outside of it.",
    COLUMN_LABELS, source="exporter.profile")
COLUMN_GRID = Metric("modelmeter_column_grid_total", "counter",
    "Values that are whole multiples of a step of which few of the baseline's are.",
    COLUMN_LABELS, source="exporter.profile")
COLUMN_UNSEEN_CATEGORY = Metric("modelmeter_column_unseen_category_total", "counter",
    "Values of a category that the baseline does not know.",
    COLUMN_LABELS, source="exporter.profile")
# Counters, since scaled values are held within 0 and 1, so neither sum can fall. (A sum that can is none:
# rate() takes every fall for a restart and adds the whole sum again. promtool's lint sees only the name.)
# With the label `bins`, as the scale is the baseline's.
COLUMN_SCALED_SUM = Metric("modelmeter_column_scaled_sum_total", "counter",
    "Sum of the finite values, scaled to 0 at the far low end of the baseline and 1 at its far high end.",
    (*COLUMN_LABELS, BINS), source="exporter.profile")
COLUMN_SCALED_SQUARE = Metric("modelmeter_column_scaled_square_total", "counter",
    "Sum of the squares of the finite values, scaled in the same way.",
    (*COLUMN_LABELS, BINS), source="exporter.profile")
COLUMN_PSI = Metric("modelmeter_column_psi", "gauge",
    "Population stability index of the sliding window against the baseline; absent with too few rows.",
    WINDOW_LABELS, source="exporter.statistics")
COLUMN_JENSEN_SHANNON = Metric("modelmeter_column_jensen_shannon_distance", "gauge",
    "Jensen-Shannon distance (base 2) of the sliding window from the baseline; absent with too few rows.",
    WINDOW_LABELS, source="exporter.statistics")
COLUMN_KOLMOGOROV_SMIRNOV = Metric("modelmeter_column_kolmogorov_smirnov_distance", "gauge",
    "Kolmogorov-Smirnov distance of the sliding window from the baseline, from quantiles; of numbers only.",
    WINDOW_LABELS, source="exporter.statistics")
COLUMN_WASSERSTEIN = Metric("modelmeter_column_wasserstein_distance", "gauge",
    "Wasserstein distance of the sliding window from the baseline, in standard deviations of the baseline.",
    WINDOW_LABELS, source="exporter.statistics")
COLUMN_EMBEDDING_MMD = Metric("modelmeter_column_embedding_mmd", "gauge",
    "Squared maximum mean discrepancy, 0 to 2, of the sliding window's vectors from the baseline's.",
    WINDOW_LABELS, source="exporter.embedding", stability="experimental")
COLUMN_WINDOW_ROWS = Metric("modelmeter_column_window_rows", "gauge",
    "Rows in the sliding window; there even when the statistics are absent.",
    WINDOW_LABELS, source="exporter.window")
COLUMN_VALUE = Metric("modelmeter_column_value", "gauge",
    "Value at this rank of the sliding window, from a sketch of this pod alone.",
    (*WINDOW_LABELS, QUANTILE_RANK), source="exporter.window")
COLUMN_MEAN = Metric("modelmeter_column_mean", "gauge",
    "Mean of the finite values of the sliding window.",
    WINDOW_LABELS, source="exporter.window")
COLUMN_DISTINCT_VALUES = Metric("modelmeter_column_distinct_values", "gauge",
    "Distinct values in the sliding window, estimated.",
    WINDOW_LABELS, source="exporter.window")

# Verdicts

COLUMN_DRIFT_SCORE = Metric("modelmeter_column_drift_score", "gauge",
    "Score of the last complete window; above 1 is abnormal; absent while insufficient.",
    VERDICT_LABELS, source="exporter.verdict")
COLUMN_DRIFT_CRITICAL_PSI = Metric("modelmeter_column_drift_critical_psi", "gauge",
    "The PSI at which the score would have been 1 with as many rows.",
    VERDICT_LABELS, source="exporter.verdict")
COLUMN_VERDICT = Metric("modelmeter_column_verdict", "gauge",
    "1 for the verdict on the last complete window, 0 for the other four.",
    (*VERDICT_LABELS, VERDICT), source="exporter.verdict")
VERDICT_COLUMNS = Metric("modelmeter_verdict_columns", "gauge",
    "Columns by the verdict on their last complete window, those too that the series budget leaves out.",
    (MODEL, VERSION, WINDOW, SCOPE, VERDICT), source="exporter.verdict")
COLUMN_DETECTOR_FIRED = Metric("modelmeter_column_detector_fired", "gauge",
    "1 for each detector whose score was above 1 in the last complete window, the three highest; or absent.",
    (*VERDICT_LABELS, DETECTOR), source="exporter.verdict")
COLUMN_FAULT = Metric("modelmeter_column_fault_info", "info",
    "1 with the name of what happened, while the last verdict is `drifted` or `ticket`. It may change while "
    "an incident lasts: for annotations, never for the labels of an alert.",
    (*VERDICT_LABELS, FAULT), source="exporter.faults")
COLUMN_DETECTABLE = Metric("modelmeter_column_detectable_strength", "gauge",
    "Blind below: the smallest strength of a fault that is found on nearly every day of the baseline; +Inf "
    "where none is. Unit: standard deviations of a shift, the factor of a scale, else a share of entries.",
    (*COLUMN_LABELS, DETECTABLE), source="exporter.baseline")
COLUMN_INCIDENT_START = Metric("modelmeter_column_incident_start_timestamp_seconds", "gauge",
    "When the open incident began, as estimated; absent when none is open.",
    VERDICT_LABELS, unit="seconds", source="exporter.verdict")

# Slices

SLICE_ROWS = Metric("modelmeter_slice_rows_total", "counter",
    "Rows whose feature has this value.",
    SLICE_LABELS, source="exporter.slices", stability="experimental")
SLICE_ENTRIES = Metric("modelmeter_slice_entries_total", "counter",
    "Values in all columns of these rows, missing ones included; predictions where their rows are known.",
    (*SLICE_LABELS, ROLE), source="exporter.slices", stability="experimental")
SLICE_MISSING = Metric("modelmeter_slice_missing_total", "counter",
    "Missing values in these rows.",
    (*SLICE_LABELS, ROLE), source="exporter.slices", stability="experimental")
SLICE_BIN_OBSERVATIONS = Metric("modelmeter_slice_column_bin_observations_total", "counter",
    "Observations of a prediction column in these rows, per bin of the baseline.",
    (*SLICE_LABELS, ROLE, COLUMN, BINS, BIN), source="exporter.slices", stability="experimental")
SLICE_DRIFT_SCORE = Metric("modelmeter_slice_drift_score", "gauge",
    "Score of these rows' predictions in the last complete window, of the column that moved most.",
    (*SLICE_LABELS, WINDOW, SCOPE), source="exporter.slices", stability="experimental")
SLICE_VERDICT = Metric("modelmeter_slice_verdict", "gauge",
    "1 for the verdict on these rows' predictions, 0 for the other four.",
    (*SLICE_LABELS, WINDOW, SCOPE, VERDICT), source="exporter.slices", stability="experimental")

# Versions

VERSION_COLUMN_SCORE = Metric("modelmeter_version_column_score", "gauge",
    "How far a column of two versions is apart in the same hours; above 1 they differ.",
    (*PAIR_LABELS, ROLE, COLUMN, WINDOW, SCOPE), source="exporter.versions", stability="experimental")
VERSION_DIFFERENCE_INFO = Metric("modelmeter_version_difference_info", "info",
    "What two versions with traffic in the same window differ by: the data or the new version.",
    (*PAIR_LABELS, WINDOW, SCOPE, CAUSE), source="exporter.versions", stability="experimental")

# Baseline

COLUMN_BASELINE_BIN_RATIO = Metric("modelmeter_column_baseline_bin_ratio", "gauge",
    "Share of the baseline's observations in the bin.",
    BIN_LABELS, unit="ratio", source="exporter.baseline")
COLUMN_BASELINE_ROWS = Metric("modelmeter_column_baseline_rows", "gauge",
    "Rows of the column in the baseline.",
    COLUMN_LABELS, source="exporter.baseline")
BASELINE_INFO = Metric("modelmeter_baseline_info", "info",
    "The baseline by which the model is judged.",
    (MODEL, BASELINE, CALIBRATION), source="exporter.baseline")
BASELINE_CREATED = Metric("modelmeter_baseline_created_timestamp_seconds", "gauge",
    "When the baseline was built.",
    (MODEL,), unit="seconds", source="exporter.baseline")
BASELINE_MISMATCHED = Metric("modelmeter_baseline_mismatched_columns", "gauge",
    "Columns in which the traffic does not match the baseline: by the first rows, and by the first day.",
    (MODEL, VERSION, MISMATCH), source="exporter.monitor", stability="experimental")
LEARNING_ROWS = Metric("modelmeter_learning_rows", "gauge",
    "Rows from which a model without a baseline has learnt.",
    (MODEL,), source="exporter.learning", stability="experimental")
LEARNING_FROZEN = Metric("modelmeter_learning_frozen", "gauge",
    "1 when learning is over and what was learnt can be promoted (`modelmeter baseline learn`).",
    (MODEL,), source="exporter.learning", stability="experimental")
LEARNING_FREEZE = Metric("modelmeter_learning_freeze_timestamp_seconds", "gauge",
    "When learning will be over, as estimated; absent when it is.",
    (MODEL,), unit="seconds", source="exporter.learning", stability="experimental")

# About ourselves

UPSTREAM_UP = Metric("modelmeter_upstream_up", "gauge",
    "1 when the model server accepts connections.",
    source="sidecar.supervisor")
RECORDER_UP = Metric("modelmeter_recorder_up", "gauge",
    "1 when the recorder reads the copies.",
    source="sidecar.supervisor")
RECORDER_RESTARTS = Metric("modelmeter_recorder_restarts_total", "counter",
    "Recorders that ended, hung or grew too large, and were replaced.", (RESTART,),
    source="sidecar.supervisor")
TAP_RESTARTS = Metric("modelmeter_tap_restarts_total", "counter",
    "Taps that ended and were replaced; their connections ended with them.",
    source="sidecar.supervisor")
UPSTREAM_FAILURES = Metric("modelmeter_upstream_connection_failures_total", "counter",
    "Connections of clients that were reset because the model server could not be reached.",
    source="sidecar.tap")
SAMPLING = Metric("modelmeter_sampling_ratio", "gauge",
    "Share of exchanges drawn for recording, at this moment; below `sampling` to keep to `recorder_cpu`.",
    unit="ratio", source="sidecar.pace", stability="experimental")
INGEST_EVENTS = Metric("modelmeter_ingest_events_total", "counter",
    "Events that came in at --ingest-listen; requests where not readable or too large. Absent without it.",
    (EVENT,), source="sidecar.ingest", stability="experimental")
RECORDER_START = Metric("modelmeter_recorder_start_timestamp_seconds", "gauge",
    "When this recorder started, on its own clock.",
    unit="seconds", source="sidecar.recorder", stability="experimental")
RECORDER_QUEUE = Metric("modelmeter_recorder_queue_bytes", "gauge",
    "Bytes copied and not yet read by the recorder.",
    unit="bytes", source="sidecar.ring")
RECORDER_QUEUE_CAPACITY = Metric("modelmeter_recorder_queue_capacity_bytes", "gauge",
    "Bytes that fit between the tap and the recorder.",
    unit="bytes", source="sidecar.ring", stability="experimental")
RECORDER_LAG = Metric("modelmeter_recorder_lag_seconds", "gauge",
    "Age of the oldest copied byte that is not yet read.",
    unit="seconds", source="sidecar.ring")
CONNECTIONS_OPEN = Metric("modelmeter_connections_open", "gauge",
    "Client connections open at the tap.",
    source="sidecar.tap", stability="experimental")
LATE_ROWS = Metric("modelmeter_late_rows_total", "counter",
    "Rows that came after their five-minute slot was gone; in the totals, in no window.",
    source="exporter.window", stability="experimental")
LAYOUTS_DROPPED = Metric("modelmeter_layouts_dropped_total", "counter",
    "Columns and model versions not followed because of limits.columns and limits.models.",
    source="exporter.monitor", stability="experimental")
SERIES_DROPPED = Metric("modelmeter_series_dropped_total", "counter",
    "Series left out of a scrape by the series budget, summed over the scrapes.",
    (STAGE,), source="exporter.collectors.budget")
INTERNAL_ERRORS = Metric("modelmeter_internal_errors_total", "counter",
    "Errors of our own that were survived and logged.",
    (PLACE,), source="exporter.errors", stability="experimental")
CLOCK_TIMESTAMP = Metric("modelmeter_clock_timestamp_seconds", "gauge",
    "The recorder's clock, which --clock may simulate.",
    unit="seconds", source="sidecar.clock", stability="experimental")
CLOCK_RATE = Metric("modelmeter_clock_rate", "gauge",
    "Seconds of the recorder's clock per second; 1 unless simulated.",
    source="sidecar.clock", stability="experimental")
BUILD_INFO = Metric("modelmeter_build_info", "info",
    "The running version.",
    (BUILD_VERSION, PYTHON_VERSION), source="exporter")
CHECKPOINT_TIMESTAMP = Metric("modelmeter_checkpoint_timestamp_seconds", "gauge",
    "When this recorder last wrote its checkpoint; absent until then, and without --state.",
    unit="seconds", source="sidecar.keeper", stability="experimental")
CHECKPOINT_BYTES = Metric("modelmeter_checkpoint_bytes", "gauge",
    "Size of the checkpoint; absent without --state.",
    unit="bytes", source="sidecar.keeper", stability="experimental")
CHECKPOINT_FAILURES = Metric("modelmeter_checkpoint_failures_total", "counter",
    "Checkpoints that could not be used and were set aside, or could not be written.",
    (CHECKPOINT,), source="exporter.checkpoint", stability="experimental")
CONFIG_INFO = Metric("modelmeter_config_info", "info",
    "The configuration in use.",
    (CONFIG,), source="exporter.configuration")
COLLECTOR_SUCCESS = Metric("modelmeter_collector_success", "gauge",
    "1 when this part of the page could be collected.",
    (COLLECTOR,), source="exporter.collectors", stability="experimental")
COLLECTOR_DURATION = Metric("modelmeter_collector_duration_seconds", "gauge",
    "Time that this part of the page took to collect.",
    (COLLECTOR,), unit="seconds", source="exporter.collectors", stability="experimental")

# The recorder's process, under the names that all Prometheus clients share

_CLIENT = "prometheus_client.ProcessCollector"
PROCESS = (
    Metric("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.",
        unit="bytes", source=_CLIENT),
    Metric("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
        unit="bytes", source=_CLIENT),
    Metric("process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.",
        unit="seconds", source=_CLIENT),
    Metric("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.",
        unit="seconds", source=_CLIENT),
    Metric("process_open_fds", "gauge", "Number of open file descriptors.", source=_CLIENT),
    Metric("process_max_fds", "gauge", "Maximum number of open file descriptors.", source=_CLIENT),
)
# fmt: on

METRICS: tuple[Metric, ...] = (
    *(value for value in list(vars().values()) if isinstance(value, Metric)),
    *PROCESS,
)
"""Every metric, in the order of this file and of /metrics."""

SECTIONS = {
    REQUESTS: "Traffic",
    EXCHANGES_SEEN: "Coverage",
    COLUMN_ROWS: "Columns",
    COLUMN_DRIFT_SCORE: "Verdicts",
    SLICE_ROWS: "Slices",
    VERSION_COLUMN_SCORE: "Versions",
    COLUMN_BASELINE_BIN_RATIO: "Baseline",
    UPSTREAM_UP: "About ourselves",
    PROCESS[0]: "The recorder's process",
}
"""The first metric of each section of the documentation, and its heading."""

INTRODUCTION = """\
<!-- Generated from exporter/metrics.py by `python -m exporter.metrics > docs/metrics.md`. Do not edit. -->

# Metrics

Served at `/metrics` in the Prometheus text format 0.0.4 and in OpenMetrics 1.0.0, whichever is asked for.
Counters count from the start of the recorder; with `--state` those of rows and columns go on where they
were. A number that is not known has no series; nothing is ever NaN.
A *stable* name keeps its type and labels until the next major version.

Conservation law, per protocol, exact at any moment:
seen = recorded + sampled out + dropped + undecodable + unobservable + ignored + unsettled.

Above the series budget (`series_budget`, 10,000) whole things are left out, in this order: slices (and
versions beside each other), secondary distances (all but PSI), quantiles (`column_value`), columns; never
single bins. Columns stay in this order: predictions before features, columns of a baseline before others,
then by the names of model, version and column. What a column may need is counted, not what it has at the
moment, so none comes and goes between scrapes, and every pod of a model shows the same ones. What each
distance is and how much of it chance gives:
[statistics.md](statistics.md).
"""


def table() -> str:
    """The text of ``docs/metrics.md``."""
    return "\n".join([INTRODUCTION, *_metric_tables(), *_bucket_list(), *_label_table()]) + "\n"


def _metric_tables() -> Iterable[str]:
    for metric in METRICS:
        if metric in SECTIONS:
            yield f"\n## {SECTIONS[metric]}\n"
            yield "| name | type | labels | meaning | from | since |"
            yield "|---|---|---|---|---|---|"
        labels = ", ".join(f"`{name}`" for name in metric.label_names) or "none"
        since = metric.since if metric.stability == "stable" else f"{metric.since} ({metric.stability})"
        yield f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} | `{metric.source}` | {since} |"


def _bucket_list() -> Iterable[str]:
    for metric in METRICS:
        if metric.buckets:
            bounds = ", ".join(f"{bound:g}" for bound in metric.buckets)
            yield f"\nBuckets of `{metric.name}`, upper bounds in {metric.unit}: {bounds}, +Inf."


def _label_table() -> Iterable[str]:
    yield "\n## Labels\n"
    yield "| label | on | meaning | values |"
    yield "|---|---|---|---|"
    users: dict[Label, list[str]] = {}
    for metric in METRICS:
        for label in metric.labels:
            users.setdefault(label, []).append(metric.name.removeprefix("modelmeter_"))
    for label, names in users.items():
        on = f"{len(names)} families" if len(names) > 3 else ", ".join(f"`{name}`" for name in names)
        values = ", ".join(f"`{value}`" for value in label.values) or label.bound
        yield f"| `{label.name}` | {on} | {label.help} | {values} |"


if __name__ == "__main__":
    print(table(), end="")
