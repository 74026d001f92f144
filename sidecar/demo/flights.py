"""Flights to replay, as plain values, and each as a request of KServe v2; and the fault.

Promises: no pandas; the request is the same for every server.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sidecar.demo.columns import CATEGORIES, NUMBERS

MILE_KILOMETRES = 1.609344


class Flight(NamedTuple):
    """One departure."""

    time: float
    """When it left the gate, Unix seconds."""
    carrier: str
    origin: str
    dest: str
    dep_delay: float
    distance: float
    hour: float

    def in_kilometres(self) -> Flight:
        """The fault: the distance, which the model expects in miles, sent in kilometres."""
        return self._replace(distance=self.distance * MILE_KILOMETRES)


def read(path: Path, start: float, end: float) -> list[Flight]:
    """The flights of ``replay.csv`` from *start* to before *end* (Unix seconds), in order of time."""
    found = []
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            time = datetime.fromisoformat(row["time"]).timestamp()
            if start <= time < end:
                found.append(
                    Flight(
                        time=time,
                        carrier=row["carrier"],
                        origin=row["origin"],
                        dest=row["dest"],
                        dep_delay=float(row["dep_delay"]),
                        distance=float(row["distance"]),
                        hour=float(row["hour"]),
                    )
                )
    return sorted(found)


def request_body(flights: Sequence[Flight]) -> bytes:
    """An inference request of KServe v2 in JSON, one row per flight, asking for class and probability."""
    shape = [len(flights), 1]
    inputs = [
        {
            "name": name,
            "datatype": "BYTES" if name in CATEGORIES else "FP64",
            "shape": shape,
            "data": [getattr(flight, name) for flight in flights],
        }
        for name in (*CATEGORIES, *NUMBERS)
    ]
    outputs = [{"name": "predict"}, {"name": "predict_proba"}]
    return json.dumps({"inputs": inputs, "outputs": outputs}).encode()
