"""Around a server: the sidecar starts it, passes its end on, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
import requests

from sidecar.demo.flights import request_body
from sidecar.demo.process import Ports, Processes
from sidecar.demo.servers import MODEL, SERVER_NAMES, ServerName, answers
from sidecar.demo.stage import modelmeter
from tests.real import flights, left, sidecar
from tests.real.flights import INFER, JSON

pytestmark = pytest.mark.real


@pytest.mark.parametrize("name", SERVER_NAMES)
def test_around_a_real_server_all_starts_and_ends_together(
    name: ServerName, processes: Processes, tmp_path: Path
) -> None:
    launch, model = flights.prepared(name, tmp_path / "server")
    # `env`, since what a server needs (Triton: its own libraries) is not for the sidecar's Python.
    environment = [f"{key}={value}" for key, value in launch.environment.items()]
    mark = f"MODELMETER_TEST={tmp_path}"
    wrapped = sidecar.start(
        processes,
        launch.http_port,
        command=["env", mark, *environment, *launch.command],
    )
    wrapped.process.wait_until(lambda: answers(wrapped.port, f"/v2/models/{MODEL}/ready"), seconds=120)
    assert left.processes(mark)

    departures = flights.Served(launch, model, tmp_path).departures()[:5]
    answer = requests.post(wrapped.url + INFER, data=request_body(departures), headers=JSON, timeout=30)
    assert answer.status_code == 200
    assert len(answer.json()["outputs"][0]["data"]) == 5

    os.kill(wrapped.process.pid, signal.SIGTERM)
    wrapped.process.finish(seconds=40)  # with exit status 0
    assert left.processes(mark) == []
    assert not answers(wrapped.port, "/v2/health/live")
    assert not answers(launch.http_port, "/v2/health/live")


def test_a_server_that_ends_by_itself_ends_the_sidecar_with_its_status(tmp_path: Path) -> None:
    ports = Ports()
    done = subprocess.run(
        [
            *(modelmeter(), "sidecar", "--listen", f"http=127.0.0.1:{ports.take()}"),
            *("--upstream", f"http=127.0.0.1:{ports.take()}"),
            *("--metrics-listen", f"127.0.0.1:{ports.take()}", "--health-listen", "none"),
            *("--", "env", f"MODELMETER_TEST={tmp_path}", "sh", "-c", "sleep 1; exit 7"),
        ],
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 7, done.stderr.decode()
    assert left.processes(str(tmp_path)) == []
