"""A fault in one column moves that column, and no other input."""

from __future__ import annotations

import pytest
import requests

from sidecar.demo.flights import Flight, request_body
from sidecar.demo.process import Processes
from tests.real import sidecar
from tests.real.flights import INFER, JSON, Served

pytestmark = pytest.mark.real

FACTOR = 10
"""PSI of the distance in kilometres, at least so many times its clean value over the same day of flights."""


def psi_by_column(
    served: Served, processes: Processes, departures: list[Flight], name: str
) -> dict[str, float]:
    """PSI of every column over *departures*, seen by a sidecar of its own."""
    wrapped = sidecar.start(processes, served.launch.http_port, configuration=served.configuration, name=name)
    parts = [departures[i : i + 50] for i in range(0, len(departures), 50)]
    with requests.Session() as session:
        for part in parts:
            body = request_body(part)
            session.post(wrapped.url + INFER, data=body, headers=JSON, timeout=30).raise_for_status()
    samples = wrapped.at_rest(seen=len(parts))
    assert sidecar.law_of(samples)["recorded"] == len(parts)
    return {
        dict(found)["column"]: value
        for (metric, found), value in samples.items()
        if metric == "modelmeter_column_psi" and dict(found)["window"] == "1h"
    }


def test_kilometres_move_the_distance_and_no_other_input(served: Served, processes: Processes) -> None:
    departures = served.departures()
    clean = psi_by_column(served, processes, departures, "clean")
    faulted = psi_by_column(served, processes, [flight.in_kilometres() for flight in departures], "faulted")

    assert set(clean) == {"carrier", "origin", "dest", "dep_delay", "distance", "late", "late_probability"}
    assert faulted["distance"] > FACTOR * clean["distance"]
    # The other inputs were the same rows.
    inputs = {"carrier", "origin", "dest", "dep_delay"}
    assert {name: faulted[name] for name in inputs} == {name: clean[name] for name in inputs}
    # The answers follow from the inputs, and barely from the distance.
    for name in ("late", "late_probability"):
        assert faulted[name] < 2 * clean[name] + 0.01
