"""Traffic: requests, failures, durations, sizes and tokens per model version, and rows recorded."""

from __future__ import annotations

from collections.abc import Iterable

from exporter import metrics
from exporter.collectors.scrape import Scrape
from exporter.metrics import UNKNOWN, Family
from exporter.views import ModelView


def collect(scrape: Scrape) -> Iterable[Family]:
    """The families of traffic, with those of ``unknown`` at 0 before the first request."""
    requests = metrics.REQUESTS.family()
    failures = metrics.REQUEST_FAILURES.family()
    durations = metrics.REQUEST_DURATION.family()
    request_bytes = metrics.REQUEST_BYTES.family()
    response_bytes = metrics.RESPONSE_BYTES.family()
    tokens = metrics.TOKENS.family()
    for traffic in _with_unknown(scrape):
        labels = (traffic.model, traffic.version, traffic.protocol)
        requests.add(traffic.requests, *labels)
        for reason, count in traffic.failures.items():
            failures.add(count, *labels, reason)
        durations.add_histogram(traffic.duration_buckets, traffic.duration_sum, *labels)
        request_bytes.add(traffic.request_bytes, *labels)
        response_bytes.add(traffic.response_bytes, *labels)
        if traffic.tokens or traffic.model == UNKNOWN:  # most models have no tokens, and so no such series
            for kind in metrics.TOKEN.values:
                tokens.add(traffic.tokens.get(kind, 0), *labels, kind)
    rows = metrics.ROWS_RECORDED.family()
    for recorded in scrape.view.rows:
        rows.add(recorded.rows, recorded.model, recorded.version)
    return requests, failures, durations, request_bytes, response_bytes, tokens, rows


def _with_unknown(scrape: Scrape) -> Iterable[ModelView]:
    # A series that begins at 0 lets rate() see the first failure (jupyterhub/metrics.py says it best).
    yield from scrape.view.traffic
    seen = {traffic.protocol for traffic in scrape.view.traffic if traffic.model == UNKNOWN}
    for law in scrape.view.law:
        if law.protocol not in seen:
            yield ModelView(
                model=UNKNOWN,
                version=UNKNOWN,
                protocol=law.protocol,
                requests=0,
                failures=dict.fromkeys(metrics.FAILURE.values, 0),
                duration_buckets=(0,) * (len(metrics.REQUEST_DURATION.buckets) + 1),
                duration_sum=0.0,
                request_bytes=0,
                response_bytes=0,
            )
