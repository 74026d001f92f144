"""Itself: the recorder, its queue and clock, what was left out, and which version and configuration run."""

from __future__ import annotations

import platform
from collections.abc import Iterable

from exporter import __version__, metrics
from exporter.collectors.scrape import Scrape
from exporter.metrics import Family, Metric, Number
from exporter.views import CheckpointView


def collect(scrape: Scrape) -> Iterable[Family]:
    """The families about ourselves."""
    about = scrape.view.about
    plain: tuple[tuple[Metric, Number], ...] = (
        (metrics.UPSTREAM_UP, int(about.upstream_up)),
        (metrics.RECORDER_UP, int(about.recorder_up)),
        (metrics.TAP_RESTARTS, about.tap_restarts),
        (metrics.UPSTREAM_FAILURES, about.upstream_failures),
        (metrics.SAMPLING, about.sampling),
        (metrics.RECORDER_START, about.started),
        (metrics.RECORDER_QUEUE, about.queue_bytes),
        (metrics.RECORDER_QUEUE_CAPACITY, about.queue_capacity_bytes),
        (metrics.RECORDER_LAG, about.lag_seconds),
        (metrics.CONNECTIONS_OPEN, about.connections_open),
        (metrics.LATE_ROWS, about.late_rows),
        (metrics.LAYOUTS_DROPPED, about.layouts_dropped),
        (metrics.CLOCK_TIMESTAMP, about.now),
        (metrics.CLOCK_RATE, about.clock_rate),
    )
    for metric, value in plain:
        family = metric.family()
        family.add(value)
        yield family
    events = metrics.INGEST_EVENTS.family()
    for result, count in about.ingest_events.items():
        events.add(count, result)
    restarts = metrics.RECORDER_RESTARTS.family()
    for reason, count in about.recorder_restarts.items():
        restarts.add(count, reason)
    dropped = metrics.SERIES_DROPPED.family()
    for stage, count in scrape.series_dropped.items():
        dropped.add(count, stage)
    errors = metrics.INTERNAL_ERRORS.family()
    for place in (*about.errors, *(place for place in scrape.errors if place not in about.errors)):
        errors.add(about.errors.get(place, 0) + scrape.errors.get(place, 0), place)
    yield from _checkpoint(about.checkpoint)
    build = metrics.BUILD_INFO.family()
    build.add(1, __version__, platform.python_version())
    config = metrics.CONFIG_INFO.family()
    config.add(1, about.config_sha256)
    yield from (events, restarts, dropped, errors, build, config)


def _checkpoint(checkpoint: CheckpointView | None) -> Iterable[Family]:
    written = metrics.CHECKPOINT_TIMESTAMP.family()
    size = metrics.CHECKPOINT_BYTES.family()
    failures = metrics.CHECKPOINT_FAILURES.family()
    if checkpoint is not None:
        written.add(checkpoint.written)
        size.add(checkpoint.bytes)
        for reason, count in checkpoint.failures.items():
            failures.add(count, reason)
    return written, size, failures
