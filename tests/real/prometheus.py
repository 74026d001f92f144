"""A real Prometheus on the shipped configuration, and its answers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from sidecar.demo import prometheus
from sidecar.demo.process import Ports, Processes
from tests.real import parts


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    port: int

    def query(self, expression: str) -> dict[frozenset[tuple[str, str]], float]:
        """The instant vector of *expression*: labels (without name, job and instance) → value."""
        answer = requests.get(
            f"http://127.0.0.1:{self.port}/api/v1/query", params={"query": expression}, timeout=10
        )
        document = answer.json()
        assert document["status"] == "success", document
        return {
            frozenset(
                (name, value)
                for name, value in sample["metric"].items()
                if name not in ("__name__", "job", "instance")
            ): float(sample["value"][1])
            for sample in document["data"]["result"]
        }

    def wait_for(self, expression: str, value: float, seconds: float = 30.0) -> None:
        """Return once the one sample of *expression* has *value*: a scrape since the traffic has been stored."""
        deadline = time.monotonic() + seconds
        while (found := list(self.query(expression).values())) != [value]:
            assert time.monotonic() < deadline, f"{expression}: expected {value}, found {found}"
            time.sleep(0.2)


def start(processes: Processes, folder: Path, metrics_port: int) -> Prometheus:
    """Start it on ``examples/prometheus.yml``; the test is skipped where the machine has none."""
    started = prometheus.start(processes, folder, metrics_port, Ports())
    if started is None:
        pytest.skip(parts.absence("prometheus"))
    return Prometheus(started[1])
