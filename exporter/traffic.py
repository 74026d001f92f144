"""Traffic: requests, failures, durations, sizes and tokens per model version, protocol.

Promises: constant memory per model version; a model version gets series of its own only after one of
its requests was answered successfully, until then it is counted under ``unknown`` (so that clients
cannot make series); what names no version counts with the version of its model that answered last; at most
*limit* model versions, the rest are ``other``.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal, TypeAlias, get_args

from exporter.views import ModelView

FailureReason: TypeAlias = Literal["client_error", "server_error", "in_band", "closed"]
FAILURE_REASONS: tuple[FailureReason, ...] = get_args(FailureReason)
"""4xx, 5xx, an error inside a successful answer, and a connection that closed before the answer ended."""

TokenKind: TypeAlias = Literal["prompt", "completion"]
TOKEN_KINDS: tuple[TokenKind, ...] = get_args(TokenKind)

DURATION_BUCKETS: tuple[float, ...] = (
    # From a cached tree model (under a millisecond) to a long generation; factor about 2 to 2.5, as in
    # Prometheus' own request histograms, so that histogram_quantile is off by at most that factor.
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip

UNKNOWN = "unknown"
OTHER = "other"


@dataclass(slots=True)
class _Series:
    """Sums of one model version and protocol."""

    requests: int = 0
    failures: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FAILURE_REASONS, 0))
    buckets: list[int] = field(default_factory=lambda: [0] * (len(DURATION_BUCKETS) + 1))
    duration_sum: float = 0.0
    request_bytes: int = 0
    response_bytes: int = 0
    tokens: dict[str, int] = field(default_factory=dict)


class Traffic:
    """Counts exchanges; one writer, read under the monitor's lock.

    >>> traffic = Traffic(limit=10)
    >>> traffic.add("m", "1", "http", 0.004, 420, 260, None)
    >>> traffic.add("no-such-model", "", "http", 0.001, 420, 60, "client_error")
    >>> [(view.model, view.requests) for view in traffic.views()]
    [('m', 1), ('unknown', 1)]
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: set[tuple[str, str]] = set()
        self._latest: dict[str, str] = {}
        """The version that last answered for a model; failures and answers that were cut do not name one."""
        self._series: dict[tuple[str, str, str], _Series] = {}
        self.refused = 0

    def name(self, model: str, version: str, *, succeeded: bool) -> tuple[str, str]:
        """The labels under which an exchange of *model* and *version* counts."""
        key = (model, version or self._latest.get(model, UNKNOWN))
        if key in self._known:
            if succeeded and version:
                self._latest[model] = version
            return key
        if not succeeded or not model:
            return (UNKNOWN, UNKNOWN)
        if len(self._known) >= self._limit:
            self.refused += 1
            return (OTHER, OTHER)
        self._known.add(key)
        if version:
            self._latest[model] = version
        return key

    def add(
        self,
        model: str,
        version: str,
        protocol: str,
        seconds: float,
        request_bytes: int,
        response_bytes: int,
        failure: FailureReason | None,
    ) -> None:
        """Count one exchange that took *seconds* from its first byte to the last byte of its answer."""
        key = (*self.name(model, version, succeeded=failure is None), protocol)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series()
        series.requests += 1
        if failure is not None:
            series.failures[failure] += 1
        series.buckets[bisect_left(DURATION_BUCKETS, seconds)] += 1
        series.duration_sum += seconds
        series.request_bytes += request_bytes
        series.response_bytes += response_bytes

    def add_tokens(self, model: str, version: str, protocol: str, tokens: tuple[int, int]) -> None:
        """Count the *tokens* of prompt and completion of an answer that was counted by `add` just before.

        >>> traffic = Traffic(limit=10)
        >>> traffic.add("m", "1", "http", 0.9, 420, 260, None)
        >>> traffic.add_tokens("m", "1", "http", (26, 10))
        >>> traffic.views()[0].tokens
        {'prompt': 26, 'completion': 10}
        """
        key = (model, version or self._latest.get(model, UNKNOWN))
        if key not in self._known:
            key = (OTHER, OTHER) if model else (UNKNOWN, UNKNOWN)
        series = self._series.get((*key, protocol))
        if series is None:
            series = self._series[*key, protocol] = _Series()
        for kind, count in zip(TOKEN_KINDS, tokens, strict=True):
            series.tokens[kind] = series.tokens.get(kind, 0) + count

    def views(self) -> tuple[ModelView, ...]:
        """One view per model version and protocol, in order of their names."""
        return tuple(
            ModelView(
                model=model,
                version=version,
                protocol=protocol,
                requests=series.requests,
                failures=dict(series.failures),
                duration_buckets=tuple(accumulate(series.buckets)),
                duration_sum=series.duration_sum,
                request_bytes=series.request_bytes,
                response_bytes=series.response_bytes,
                tokens=dict(series.tokens),
            )
            for (model, version, protocol), series in sorted(self._series.items())
        )
