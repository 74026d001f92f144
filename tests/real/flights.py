"""The demo's model on a real server, its baseline, and its clients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sidecar.demo import environment, flights, stage, trained
from sidecar.demo.columns import CATEGORIES, NUMBERS
from sidecar.demo.errors import DemoError
from sidecar.demo.flights import Flight
from sidecar.demo.process import Ports, Processes
from sidecar.demo.servers import MODEL, Launch, ServerName, prepare
from sidecar.demo.trained import Trained

INFER = f"/v2/models/{MODEL}/infer"

JSON = {"Content-Type": "application/json"}
"""KServe refuses JSON without it; the others do not ask."""

TUESDAY = 1383627600.0
"""5 November 2013, midnight in New York: the demo's first day."""


@dataclass(frozen=True)
class Served:
    """The flights' model behind a running server, and the folder with its configuration and baseline."""

    launch: Launch
    model: Trained
    folder: Path

    @property
    def configuration(self) -> Path:
        """A copy of ``examples/modelmeter.yaml`` beside the baseline."""
        return self.folder / "modelmeter.yaml"

    def departures(self, days: float = 1.0, start: float = TUESDAY) -> list[Flight]:
        """Real flights of the months that the model has not seen."""
        return flights.read(self.model.replay, start, start + days * 86_400)


def prepared(name: ServerName, folder: Path) -> tuple[Launch, Trained]:
    """What to run, and the model; the test is skipped, with the reason, where it can not be had."""
    try:
        python = environment.ensure(name)
        model = trained.ensure(name, python)
        return prepare(name)(python, model.folder, folder, Ports()), model
    except DemoError as error:
        pytest.skip(str(error))


def serve(name: ServerName, processes: Processes, folder: Path) -> Served:
    """Start server *name* with the model, and build the model's baseline beside it."""
    launch, model = prepared(name, folder / "server")
    server = processes.start(launch.name, launch.command, launch.environment, launch.folder)
    stage.build_baseline(processes, model.training, folder)
    server.wait_until(launch.ready, seconds=120)
    return Served(launch, model, folder)


def as_arrays(departures: Sequence[Flight]) -> dict[str, np.ndarray[Any, Any]]:
    """Column → values of *departures*: float64 of shape (n,), texts as objects."""
    return {
        name: np.array(
            [getattr(flight, name) for flight in departures],
            dtype=object if name in CATEGORIES else np.float64,
        )
        for name in (*CATEGORIES, *NUMBERS)
    }
