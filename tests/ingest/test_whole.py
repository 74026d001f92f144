"""The second door of a whole sidecar: every request id is in the books, also when the recorder is killed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
from contextlib import AbstractContextManager

import pytest

from sidecar import Recorder
from tests.ingest.loggers import kserve
from tests.sidecar.harness import wait_for
from tests.sidecar.whole import PARTS, Sidecar, alive, ready

pytestmark = pytest.mark.real


class DoorOnly(Sidecar):
    """``modelmeter sidecar`` with nothing inline."""

    protocol = "ingest"

    def doors(self, upstream: int) -> tuple[str, ...]:
        return "--ingest-listen", f"127.0.0.1:{self.port}"


def door(*arguments: str) -> AbstractContextManager[Sidecar]:
    return ready(DoorOnly(0, *arguments))


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
        law = running.exact_law(sent + 1)
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
