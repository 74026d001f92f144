"""The golden table: sent in any dialect, the same rows make the same profiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exporter.monitor import Monitor
from exporter.profile import ColumnProfile, infer_kind
from exporter.rows import Values
from exporter.schema import Limits
from exporter.sketch import Bins, CategoryBins, NumericBins
from sidecar.decode import Decoded, decode, make_routes
from sidecar.decode.batch import Batcher
from tests.decode.golden import CATEGORIES, FEATURES, MODEL, PREDICTIONS, SENT, TABLE, WAYS, Way

TIME = 1_700_000_000.0


def profile(name: str, values: Values) -> dict[str, Any]:
    """All that a profile knows of *values*."""
    kind = infer_kind(values)
    assert kind is not None
    bins: Bins | None = None
    if kind == "numeric":
        bins = NumericBins(np.array([0.0, 0.5, 10.0, 1000.0]))
    elif name in CATEGORIES:
        bins = CategoryBins(CATEGORIES[name])
    made = ColumnProfile(kind, bins)
    made.update(values)
    moments, quantiles = made.moments, made.quantiles
    return {
        "kind": kind,
        "counters": made.tally.counts.tolist(),
        "moments": None if moments is None else [
            f"{number:.12g}" for number in (moments.count, moments.mean, moments.m2, moments.minimum, moments.maximum)
        ],
        "quantiles": None if quantiles is None else quantiles.quantile([0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0]).tolist(),
        "distinct": made.distinct.estimate(),
        "frequent": made.frequent.top(),
    }  # fmt: skip


def plain(role: str, name: str) -> list[Any]:
    return [row[role == "prediction"][name] for row in TABLE]


EXPECTED = {
    (role, name): profile(name, plain(role, name))
    for role, names in (("feature", FEATURES), ("prediction", PREDICTIONS))
    for name in names
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_same_rows_make_the_same_profiles_in_every_dialect(way: Way) -> None:
    configuration = way.configuration()
    routes = make_routes(configuration)
    batcher = Batcher(configuration)
    monitor = Monitor(configuration, {}, 60.0, TIME)
    for rows in SENT:
        features, predictions = ([dict(row[role]) for row in rows] for role in (0, 1))
        outcome = decode(way.encode(features, predictions), Limits(), routes)
        assert isinstance(outcome, Decoded), outcome
        assert (outcome.model, outcome.rows, outcome.holes) == (MODEL, len(rows), 0)
        batcher.add(outcome, TIME)
    batches = batcher.flush()
    assert len(batches) == 2  # all requests of a role together
    assert (batcher.columns_refused, batcher.models_refused) == (0, 0)
    expected = {key: known for key, known in EXPECTED.items() if key[1] in way.only}
    assert {
        (rows.role, name): profile(name, values) for rows in batches for name, values in rows.columns.items()
    } == expected
    for rows in batches:
        monitor.record(rows)
    assert monitor.errors == {"record": 0, "judge": 0, "view": 0}
    views, _, _ = monitor.views(TIME)
    assert {
        (view.role, view.column): (view.kind, view.rows, view.missing, view.type_mismatch, view.unseen)
        for view in views
    } == {
        key: (known["kind"], len(TABLE), *(known["counters"][place] for place in (1, 2, 5)))
        for key, known in expected.items()
    }
