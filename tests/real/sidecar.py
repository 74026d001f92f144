"""The real sidecar: started as a user starts it, and read as Prometheus reads it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import requests
from prometheus_client.parser import text_string_to_metric_families

from sidecar.demo.process import Ports, Process, Processes
from sidecar.demo.servers import answers
from sidecar.demo.stage import modelmeter

Labels = frozenset[tuple[str, str]]
Samples = dict[tuple[str, Labels], float]

LAW = ("recorded", "sampled_out", "dropped", "undecodable", "unobservable", "ignored")
"""What an exchange that was seen can have become."""


def labels(**values: str) -> Labels:
    """Labels as `Samples` has them."""
    return frozenset(values.items())


@dataclass(frozen=True)
class Sidecar:
    """A running sidecar on the loopback address."""

    process: Process
    port: int
    metrics_port: int
    health_port: int

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self.port}"

    def samples(self) -> Samples:
        """One scrape: (name, labels) → value."""
        answer = requests.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10)
        answer.raise_for_status()
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    def at_rest(self, seen: int, seconds: float = 20.0) -> Samples:
        """A scrape once *seen* exchanges are seen and settled, and the law holds with nothing between.

        Raises AssertionError with the last figures when that does not come about.
        """
        deadline = time.monotonic() + seconds
        while True:
            samples = self.samples()
            law = law_of(samples)
            if law["seen"] == seen and law["unsettled"] == 0:
                assert law["seen"] == sum(law[part] for part in LAW), law
                return samples
            assert time.monotonic() < deadline, f"expected {seen} exchanges at rest, found {law}"
            time.sleep(0.05)


def law_of(samples: Samples) -> dict[str, float]:
    """The sums of the conservation law's families, over protocols and reasons."""
    law = dict.fromkeys(("seen", "unsettled", *LAW), 0.0)
    for (name, _), value in samples.items():
        part = name.removeprefix("modelmeter_exchanges_").removesuffix("_total")
        if name.startswith("modelmeter_exchanges_"):
            law[part] += value
    return law


def family(samples: Samples, name: str) -> dict[Labels, float]:
    """The samples of *name* that are not 0: labels → value."""
    return {found: value for (each, found), value in samples.items() if each == name and value}


def books(samples: Samples) -> dict[tuple[str, str], float]:
    """(part of the law, reason) → exchanges, where there are any."""
    return {
        (
            name.removeprefix("modelmeter_exchanges_").removesuffix("_total"),
            dict(found).get("reason", ""),
        ): value
        for (name, found), value in samples.items()
        if name.startswith("modelmeter_exchanges_") and value
    }


def start(
    processes: Processes,
    upstream_port: int,
    *flags: str,
    configuration: Path | None = None,
    command: Sequence[str] = (),
    name: str = "sidecar",
    protocol: Literal["http", "grpc"] = "http",
) -> Sidecar:
    """Start it in front of *upstream_port* (or around *command*) and wait until it answers."""
    ports = Ports()
    port, metrics_port, health_port = ports.take(), ports.take(), ports.take()
    process = processes.start(
        name,
        [
            *(modelmeter(), "sidecar"),
            *(
                "--listen",
                f"{protocol}=127.0.0.1:{port}",
                "--upstream",
                f"{protocol}=127.0.0.1:{upstream_port}",
            ),
            *("--metrics-listen", f"127.0.0.1:{metrics_port}", "--health-listen", f"127.0.0.1:{health_port}"),
            *("--drain-seconds", "1", "--finish-seconds", "3", "--last-scrape-seconds", "0"),
            *(("--config", str(configuration)) if configuration else ()),
            *flags,
            *(("--", *command) if command else ()),
        ],
    )
    process.wait_until(
        lambda: answers(metrics_port, "/metrics") and answers(health_port, "/-/healthy"), seconds=30
    )
    return Sidecar(process, port, metrics_port, health_port)
