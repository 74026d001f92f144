"""Real model servers for the demo and the tests: how each is given the model and started.

A server is a function from a trained model, a folder and ports to a `Launch`; nothing is started here.
The model answers the same requests in each of them: KServe v2 under ``/v2/models/flights``.
"""

from __future__ import annotations

import http.client
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from sidecar.demo.process import LOOPBACK, Ports, Process, Processes

ServerName: TypeAlias = Literal["mlserver", "triton", "kserve"]
SERVER_NAMES: tuple[ServerName, ...] = get_args(ServerName)
"""In the order of preference: the first whose Python this machine has is the demo's default."""

TITLES: dict[ServerName, str] = {"mlserver": "MLServer", "triton": "Triton", "kserve": "KServe"}

MODEL = "flights"
VERSION = "1"

READY_SECONDS = 90.0
"""MLServer is ready in 4 to 6 s, Triton in 3 to 5; the first start of all compiles bytecode before."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run, and where it will answer."""

    name: ServerName
    command: tuple[str, ...]
    folder: Path
    http_port: int
    environment: Mapping[str, str] = field(default_factory=dict)
    grpc_port: int | None = None

    def ready(self) -> bool:
        """Whether the model answers."""
        return answers(self.http_port, f"/v2/models/{MODEL}/ready")

    def start(self, processes: Processes) -> Process:
        """Start it and wait until the model is ready; DemoError when it does not get so."""
        process = processes.start(self.name, self.command, self.environment, self.folder)
        process.wait_until(self.ready, READY_SECONDS)
        return process


def answers(port: int, path: str) -> bool:
    """Whether ``GET path`` on the loopback *port* gives 200."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


Prepare: TypeAlias = Callable[[Path, Path, Path, Ports], Launch]
"""(python of the environment, folder of the trained model, empty folder, ports) → what to run."""


def prepare(name: ServerName) -> Prepare:
    """How server *name* is set up: ``prepare`` of the module of that name."""
    module = importlib.import_module(f"{__name__}.{name}")
    prepared: Prepare = module.prepare
    return prepared
