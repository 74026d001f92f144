"""A real model server with the demo's model, started once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.demo.process import Processes
from sidecar.demo.servers import SERVER_NAMES
from tests.real import flights
from tests.real.flights import Served


@pytest.fixture(scope="session", params=SERVER_NAMES)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The flights' model behind a running server, with its baseline: once on MLServer, once on Triton."""
    folder = tmp_path_factory.mktemp(request.param)
    with Processes(folder / "logs") as processes:
        yield flights.serve(request.param, processes, folder)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts what one test needs; ended after it."""
    with Processes(tmp_path / "logs") as processes:
        yield processes
