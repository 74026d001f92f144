"""Real model servers, started once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from sidecar.demo.process import Ports, Processes
from sidecar.demo.servers import SERVER_NAMES
from tests.real import flights, golden, servers
from tests.real.flights import Served
from tests.real.golden import Golden
from tests.real.servers import Server

Serving: TypeAlias = Callable[[str], Server]


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


@pytest.fixture(scope="package")
def serving(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """``serving("triton")`` is that server with the model of `tests.real.servers`, ready.

    All that the collected tests ask for (their parameter ``server``) start at once, with the first one.
    """
    folder = tmp_path_factory.mktemp("servers")
    wanted = {
        item.callspec.params["server"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and "server" in getattr(item, "callspec", _NONE).params
    }
    started: dict[str, Server | pytest.skip.Exception] = {}
    with Processes(folder / "logs") as processes:
        ports = Ports()

        def get(name: str) -> Server:
            for each in [each for each in servers.SERVERS if each in {*wanted, name} - set(started)]:
                try:
                    started[each] = servers.start(each, processes, folder / each, ports)
                except pytest.skip.Exception as skipped:
                    started[each] = skipped
            server = started[name]
            if isinstance(server, pytest.skip.Exception):
                raise server
            server.wait()
            return server

        yield get


class _NONE:
    """A test without parameters."""

    params: dict[str, object] = {}  # noqa: RUF012  (a constant)


@pytest.fixture(scope="package")
def table(tmp_path_factory: pytest.TempPathFactory) -> Golden:
    """The golden table's baseline."""
    folder = tmp_path_factory.mktemp("golden")
    with Processes(folder / "logs") as processes:
        return golden.build(processes, folder)
