"""The second door of a whole sidecar: every request id is in the books, also when the recorder is killed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sidecar import Recorder
from tests.ingest.loggers import kserve
from tests.sidecar.harness import free_port, wait_for
from tests.sidecar.whole import Sidecar, alive

pytestmark = pytest.mark.real

PARTS = (
    *("seen_total", "recorded_total", "sampled_out_total", "dropped_total"),
    *("undecodable_total", "unobservable_total", "ignored_total", "unsettled"),
)


class DoorOnly(Sidecar):
    """``modelmeter sidecar`` with nothing inline."""

    def __init__(self, *arguments: str) -> None:
        self.port, self.metrics_port, self.health_port = free_port(), free_port(), free_port()
        self.process = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("modelmeter")),
                "sidecar",
                *("--ingest-listen", f"127.0.0.1:{self.port}"),
                *("--metrics-listen", f"127.0.0.1:{self.metrics_port}"),
                *("--health-listen", f"127.0.0.1:{self.health_port}"),
                *arguments,
            ],
            stderr=subprocess.PIPE,
            text=True,
        )

    def law(self) -> dict[str, float]:
        return {part: self.total(f"exchanges_{part}", protocol="ingest") for part in PARTS}


@contextmanager
def door(*arguments: str) -> Iterator[DoorOnly]:
    running = DoorOnly(*arguments)
    try:
        running.wait_until_ready()
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


class Logger:
    """Sends pairs without pause, as KServe's logger does, but again and again until they are taken."""

    def __init__(self, port: int, name: str) -> None:
        self.sent = 0
        self.tries = 0
        self._stop = threading.Event()
        self._port = port
        self._name = name
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        while not self._stop.is_set():
            number = f"{self._name}-{self.sent}"
            for half, body in (
                ("request", {"instances": [[self.sent, 2.0]]}),
                ("response", {"predictions": [1.0]}),
            ):
                while True:
                    self.tries += 1
                    try:
                        connection.request("POST", "/ingest", json.dumps(body), kserve(half, number))
                        answer = connection.getresponse()
                        answer.read()
                        if answer.status == 200:
                            break
                    except (OSError, http.client.HTTPException):
                        connection.close()
                    self._stop.wait(0.01)
            self.sent += 1

    def stop(self) -> int:
        self._stop.set()
        self._thread.join(20)
        return self.sent


def test_what_loggers_send_is_recorded_and_stands_in_metrics_status_and_page() -> None:
    with door() as running:
        logger = Logger(running.port, "a")
        wait_for(lambda: logger.sent >= 50, "50 pairs are sent")
        sent = logger.stop()
        law = running.wait_until_settled(sent)
        assert law == dict.fromkeys(PARTS, 0) | {"seen_total": sent, "recorded_total": sent}
        assert (
            running.value("requests_total", model="sklearn-iris", version="unknown", protocol="ingest")
            == sent
        )
        assert running.value("ingest_events_total", result="accepted") == 2 * sent
        assert running.total("ingest_events_total") == 2 * sent
        (found,) = running.status()["models"]
        assert {(c["role"], c["column"]) for c in (*found["features"], *found["predictions"])} == {
            ("feature", "instances[0]"),
            ("feature", "instances[1]"),
            ("prediction", "predictions"),
        }
        assert "sklearn-iris" in running.get("/")[1]
        status, log = running.stop(signal.SIGTERM)
    assert status == 0
    assert "instances" not in log


def test_a_recorder_killed_with_the_door_open_leaves_books_exact_to_the_request_id() -> None:
    with door() as running:
        loggers = [Logger(running.port, name) for name in "abcd"]
        lonely = http.client.HTTPConnection("127.0.0.1", running.port, timeout=5)
        lonely.request("POST", "/ingest", b"{}", kserve("request", "lonely"))
        assert lonely.getresponse().status == 200
        wait_for(lambda: all(logger.sent >= 20 for logger in loggers), "pairs are sent")
        for _ in range(2):
            recorder = running.child("sidecar.recorder")
            before = [logger.sent for logger in loggers]
            os.kill(recorder, signal.SIGKILL)
            wait_for(lambda recorder=recorder: not alive(recorder), "the old recorder is gone")  # type: ignore[misc]
            wait_for(
                lambda before=before: all(  # type: ignore[misc]
                    logger.sent > old + 20 for logger, old in zip(loggers, before, strict=True)
                ),
                "pairs are taken again",
            )
        sent = sum(logger.stop() for logger in loggers)
        law = running.wait_until_settled(sent + 1)
        assert law["seen_total"] == sent + 1
        assert sum(value for part, value in law.items() if part != "seen_total") == sent + 1
        lost = running.value("exchanges_dropped_total", protocol="ingest", reason="recorder_restart")
        assert law["dropped_total"] == lost >= 1
        assert running.total("recorder_restarts_total") == 2


def test_the_recorder_for_servers_is_heard() -> None:
    with door() as running:
        recorder = Recorder(f"http://127.0.0.1:{running.port}", model="flights", version="3")
        for number in range(100):
            recorder.record(
                {"distance": [100.0 * number, 5.0], "carrier": ["UA", "AA"]}, {"delay": [1.5, 2.5]}
            )
        recorder.close(20)
        assert recorder.counts()["sent"] == 100
        assert running.wait_until_settled(100)["recorded_total"] == 100
        assert running.value("rows_recorded_total", model="flights", version="3") == 200
        (found,) = running.status()["models"]
        assert {(c["role"], c["column"]) for c in (*found["features"], *found["predictions"])} == {
            ("feature", "distance"),
            ("feature", "carrier"),
            ("prediction", "delay"),
        }
