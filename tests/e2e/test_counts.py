"""What Prometheus stores equals what is computed offline from the rows that were sent."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import tritonclient.http

from exporter.baseline import Baseline
from exporter.sketch.bins import NumericBins
from sidecar.demo.columns import CATEGORIES
from sidecar.demo.flights import Flight, request_body
from sidecar.demo.process import Processes
from tests.real import prometheus, sidecar, tensors
from tests.real.flights import INFER, JSON, Served, as_arrays
from tests.real.sidecar import labels

pytestmark = pytest.mark.real

Array = np.ndarray[Any, np.dtype[Any]]

NUMBERS = ("dep_delay", "distance", "late_probability")


def send(served: Served, wrapped: sidecar.Sidecar, departures: list[Flight]) -> tuple[dict[str, Array], int]:
    """Send *departures* in requests of 1 to 64 rows with every client; what was asked and answered by column,
    and the number of requests."""
    modes = tensors.MODES_OF[served.launch.name]
    sizes = [1, 64, 7, 32]
    late: list[float] = []
    probability: list[float] = []
    asked = position = 0
    with (
        requests.Session() as session,
        tritonclient.http.InferenceServerClient(f"127.0.0.1:{wrapped.port}") as client,
    ):
        while position < len(departures):
            part = departures[position : position + sizes[asked % len(sizes)]]
            position += len(part)
            if asked % 2:
                answer = tensors.infer(client, part, modes[asked // 2 % len(modes)])
                late += np.ravel(answer["predict"]).tolist()
                probability += [row[1] for row in answer["predict_proba"]]
            else:
                response = session.post(
                    wrapped.url + INFER, data=request_body(part), headers=JSON, timeout=30
                )
                response.raise_for_status()
                outputs = {output["name"]: output["data"] for output in response.json()["outputs"]}
                late += outputs["predict"]
                probability += outputs["predict_proba"][1::2]
            asked += 1
    columns = as_arrays(departures)
    del columns["hour"]  # monitored: false
    return {**columns, "late": np.array(late), "late_probability": np.array(probability)}, asked


def histogram(values: Array, edges: Array) -> Array:
    """Counts of *values* in (-inf, e0), [e0, e1), …, [last, inf), by numpy's own histogram."""
    counts, _ = np.histogram(values, bins=np.concatenate(([-np.inf], edges, [np.inf])))
    return counts


def psi(expected: Array, observed: Array) -> float:
    """Population stability index, half a count per bin added: Siddiqi 2006, written down a second time."""
    p = [(count + 0.5) / (sum(expected) + len(expected) / 2) for count in expected]
    q = [(count + 0.5) / (sum(observed) + len(observed) / 2) for count in observed]
    return math.fsum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))


def test_prometheus_holds_the_counts_of_the_rows_that_were_sent(
    served: Served, processes: Processes, tmp_path: Path
) -> None:
    wrapped = sidecar.start(processes, served.launch.http_port, configuration=served.configuration)
    stored = prometheus.start(processes, tmp_path / "prometheus", wrapped.metrics_port)
    departures = served.departures()

    columns, asked = send(served, wrapped, departures)
    # What is no prediction: two probes, an unknown model, a request that lacks a column.
    without = json.loads(request_body(departures[:1]))
    del without["inputs"][3]
    for path in ("/v2/health/live", "/v2/models/flights"):
        assert requests.get(wrapped.url + path, timeout=30).status_code == 200
    for path, body in (
        ("/v2/models/trains/infer", request_body(departures[:1])),
        (INFER, json.dumps(without)),
    ):
        assert requests.post(wrapped.url + path, data=body, headers=JSON, timeout=30).status_code >= 400

    # The conservation law, exactly, on the sidecar's own page.
    samples = wrapped.at_rest(seen=asked + 4)
    law = {
        (name.removeprefix("modelmeter_exchanges_"), dict(found).get("reason", "")): value
        for (name, found), value in samples.items()
        if name.startswith("modelmeter_exchanges_") and value
    }
    assert law == {
        ("seen_total", ""): asked + 4,
        ("recorded_total", ""): asked,
        ("ignored_total", "not_inference"): 2,
        ("ignored_total", "failed"): 2,
    }
    rows = {
        found: value for (name, found), value in samples.items() if name == "modelmeter_rows_recorded_total"
    }
    assert rows == {labels(model="flights", version="1"): len(departures)}

    # The same, as Prometheus stored it after its next scrape.
    stored.wait_for("modelmeter_exchanges_seen_total", asked + 4)
    assert stored.query("modelmeter_rows_recorded_total") == rows

    baseline = Baseline.load(served.folder / "baseline.json")
    assert {name for _, name in baseline.columns} == set(columns)
    for (role, name), column in baseline.columns.items():
        of = {"model": "flights", "version": "1", "role": role, "column": name}
        if isinstance(column.bins, NumericBins):
            assert name in NUMBERS
            expected = histogram(columns[name], column.bins.edges)
        else:
            assert name in (*CATEGORIES, "late")
            texts = [{0: "false", 1: "true"}.get(value, value) for value in columns[name]]
            own = list(column.bins.categories)
            expected = np.array([*(texts.count(category) for category in own), 0])
            expected[-1] = len(texts) - expected.sum()
        counted = stored.query(f'modelmeter_column_bin_observations_total{{column="{name}"}}')
        assert counted == {
            labels(**of, bins=column.bins.id, bin=label): count
            for label, count in zip(column.bins.labels, expected.tolist(), strict=True)
        }
        assert sum(counted.values()) == len(departures)
        assert stored.query(f'modelmeter_column_psi{{column="{name}", window="1h"}}') == pytest.approx(
            {labels(**of, window="1h"): psi(column.counts, expected)}, rel=1e-9
        )
        assert stored.query(f'modelmeter_column_window_rows{{column="{name}", window="1h"}}') == {
            labels(**of, window="1h"): len(departures)
        }
