"""The golden scrape: ``python -m tests.metrics.golden > tests/golden/metrics.prom`` takes it again."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import count
from unittest import mock

from exporter.collectors import COLLECTORS
from exporter.errors import ErrorCounts
from exporter.expose import create_app
from exporter.views import View
from tests.page import example_view


def view() -> View:
    """Three columns of the example (drifted, categorical, insufficient), one that nothing is known of yet, and

    one slice beside the rest, and a version beside another.
    """
    example = example_view.view()
    kept = {column.column: column for column in example.columns}
    # None of them is an embedding, so what such a one has beside stands at the first.
    measured = replace(kept["distance"].windows[0], mmd=0.0171, mmd_chance=0.0024)
    distance = replace(kept["distance"], windows=(measured,))
    unknown = replace(
        kept["air_time"], column="gust", bins="", bin_labels=(), bin_counts=None, scaled_sum=None,
        scaled_square=None, baseline=None, verdicts=(),
        windows=(replace(kept["visib"].windows[0], rows=0, bin_counts=None, mean=None, distinct=None, quantiles={}),),
    )  # fmt: skip
    return replace(
        example,
        columns=(distance, kept["carrier"], kept["visib"], unknown),
        slices=example_view.slices(),
        versions=example_view.versions(),
        learning=(example_view.learning(),),
        matches=(example_view.match(),),
    )


def scraped() -> bytes:
    """The page, with what differs between machines pinned: versions, times, the process."""
    ticks = count()
    app = create_app(
        example_view.Source(view()),
        collectors=[collector for collector in COLLECTORS if collector.name != "process"],
        timer=lambda: next(ticks) / 1024,
        errors=ErrorCounts(),
    )
    with (
        mock.patch("exporter.collectors.itself.__version__", "0.0.0"),
        mock.patch("platform.python_version", return_value="3.11.0"),
    ):
        return app.test_client().get("/metrics").data


if __name__ == "__main__":
    sys.stdout.buffer.write(scraped())
