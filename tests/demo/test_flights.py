"""Flights as requests, and the fault."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from sidecar.demo import columns, data, flights
from sidecar.demo.flights import Flight

FLIGHT = Flight(1383660000.0, "B6", "JFK", "SYR", 81.0, 209.0, 22.0)


def test_a_request_has_one_tensor_per_column_and_one_row_per_flight() -> None:
    other = FLIGHT._replace(carrier="UA", dep_delay=-3.0)

    request = json.loads(flights.request_body([FLIGHT, other]))

    assert request["outputs"] == [{"name": "predict"}, {"name": "predict_proba"}]
    assert {
        tensor["name"]: (tensor["datatype"], tensor["shape"], tensor["data"]) for tensor in request["inputs"]
    } == {
        "carrier": ("BYTES", [2, 1], ["B6", "UA"]),
        "origin": ("BYTES", [2, 1], ["JFK", "JFK"]),
        "dest": ("BYTES", [2, 1], ["SYR", "SYR"]),
        "dep_delay": ("FP64", [2, 1], [81.0, -3.0]),
        "distance": ("FP64", [2, 1], [209.0, 209.0]),
        "hour": ("FP64", [2, 1], [22.0, 22.0]),
    }


def test_the_fault_changes_the_distance_alone() -> None:
    faulted = FLIGHT.in_kilometres()

    assert faulted.distance == pytest.approx(336.353)
    assert faulted._replace(distance=209.0) == FLIGHT


def test_reading_keeps_the_asked_time_alone_and_sorts(tmp_path: Path) -> None:
    path = tmp_path / "replay.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time", *columns.FEATURES])
        for minute in ("05:02", "05:01", "05:03", "04:59"):
            writer.writerow([f"2013-11-05T{minute}:00Z", "B6", "JFK", "SYR", 81, 209, 22])

    start = 1383627660.0  # 05:01
    found = flights.read(path, start, start + 120)

    assert found == [FLIGHT._replace(time=start), FLIGHT._replace(time=start + 60)]


def test_the_departures_are_those_of_the_package() -> None:
    table = data.flights()

    # 336,776 flights, of which 8,255 were cancelled and so have no departure (the package's own figures).
    assert len(table) == 336_776 - 8_255
    assert list(table.columns) == ["month", *columns.FEATURES, "time", "late"]
    assert table["time"].is_monotonic_increasing
    # The first flight that left: UA 1545, scheduled 05:15 on New Year's Day in New York, 2 minutes late; one
    # of 05:15 that left 2 minutes early would be before it.
    first = table.iloc[0]
    assert (str(first["time"]), first["carrier"], first["dep_delay"]) == (
        "2013-01-01 10:17:00+00:00",
        "UA",
        2.0,
    )
    assert set(table["late"].dropna()) == {0.0, 1.0}
    assert int(table["late"].isna().sum()) == 1_175  # departed, never arrived where they were meant to
    assert np.isfinite(table[["dep_delay", "distance", "hour"]].to_numpy()).all()
