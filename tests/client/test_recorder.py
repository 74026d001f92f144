"""The recorder inside of a server: whatever becomes of the sidecar, nobody waits and every loss is counted."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from sidecar import Recorder
from sidecar.client import sender
from tests.client.server import Sink, sinking


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(sender, "LONGEST_WAIT_SECONDS", 0.02)


def balanced(recorder: Recorder) -> dict[str, int]:
    """The counts that are not 0; that they add up is checked."""
    counts = recorder.counts()
    assert counts["recorded"] == counts["sent"] + counts["waiting"] + sum(counts["dropped"].values())
    flat: dict[str, int] = {name: counts[name] for name in ("recorded", "sent", "waiting")} | counts[
        "dropped"
    ]
    return {name: count for name, count in flat.items() if count}


def row(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"x": [float(number)]}, {"y": [number]}


def test_a_record_is_two_events_with_one_request_id_and_all_that_is_needed_to_decode() -> None:
    with sinking() as sink:
        recorder = Recorder(sink.url, model="mödel/1", version="3")
        recorder.record({"x": [1.5]}, {"y": "late"}, id="7", seconds=0.5)
        assert recorder.flush(20)
        assert balanced(recorder) == {"recorded": 1, "sent": 1}
        recorder.close()
        request, response = sink.events()
    assert request.keys() - response.keys() == {"path"}
    assert response.keys() - request.keys() == {"status"}
    assert (request["specversion"], request["type"], request["id"]) == (
        "1.0",
        "io.modelmeter.inference.request",
        "7/request",
    )
    assert (response["type"], response["id"], response["status"]) == (
        "io.modelmeter.inference.response",
        "7/response",
        200,
    )
    assert request["requestid"] == response["requestid"] == "7"
    assert request["source"] == response["source"] == f"//{socket.gethostname()}/{os.getpid()}"
    assert request["path"] == "/v2/models/m%C3%B6del%2F1/versions/3/infer"
    assert json.loads(base64.b64decode(response["data_base64"])) == {
        "model_name": "mödel/1",
        "model_version": "3",
        "outputs": [{"name": "y", "shape": [1], "datatype": "BYTES", "data": ["late"]}],
    }
    assert sink.paths == ["/ingest"]
    assert sink.headers[0]["Content-Type"] == "application/cloudevents-batch+json"


def test_many_go_in_batches_over_one_connection() -> None:
    with sinking() as sink:
        recorder = Recorder(sink.url)
        for number in range(1000):
            recorder.record(*row(number))
        assert recorder.flush(20)
        recorder.close()
        assert balanced(recorder) == {"recorded": 1000, "sent": 1000}
        assert len(sink.events()) == 2000
        assert len(sink.batches) < 50
        assert len(sink.clients) == 1
        assert len({event["requestid"] for event in sink.events()}) == 1000


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"token": "abc"}, "Bearer abc"),
        ({"auth": ("user", "pä:ss")}, f"Basic {base64.b64encode('user:pä:ss'.encode()).decode()}"),
        ({}, None),
    ],
)
def test_credentials_are_sent(arguments: dict[str, Any], expected: str | None) -> None:
    with sinking() as sink:
        recorder = Recorder(sink.url + "/other?a=1", **arguments)
        recorder.record(*row(1))
        recorder.close(20)
        assert sink.headers[0].get("Authorization") == expected
        assert sink.paths == ["/other?a=1"]


def test_credentials_in_the_url_are_sent() -> None:
    with sinking() as sink:
        recorder = Recorder(sink.url.replace("//", "//us%40er:pass@"))
        recorder.record(*row(1))
        recorder.close(20)
        assert sink.headers[0]["Authorization"] == f"Basic {base64.b64encode(b'us@er:pass').decode()}"


@pytest.mark.parametrize("url", ["", "127.0.0.1:9466", "ftp://x", "http://"])
def test_a_url_that_is_none_is_told_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="expected http"):
        Recorder(url)


@pytest.mark.parametrize(
    "failures", [[503, 503], [500], [401], [429, 404], ["close"], ["close", 503, "close"]]
)
def test_what_may_pass_is_tried_again_until_it_is_taken(failures: list[int | str]) -> None:
    with sinking() as sink:
        sink.script = list(failures)
        recorder = Recorder(sink.url)
        recorder.record(*row(1))
        assert recorder.flush(20)
        assert balanced(recorder) == {"recorded": 1, "sent": 1}
        assert len(sink.batches) == len(failures) + 1
        assert sink.batches == [sink.batches[0]] * len(sink.batches)
        recorder.close()


@pytest.mark.parametrize("status", [400, 413, 415])
def test_what_the_sidecar_can_not_read_is_dropped_and_counted(status: int) -> None:
    with sinking() as sink:
        sink.script = [status]
        recorder = Recorder(sink.url)
        recorder.record(*row(1))
        assert recorder.flush(20)
        recorder.record(*row(2))
        assert recorder.flush(20)
        assert balanced(recorder) == {"recorded": 2, "sent": 1, "refused": 1}
        recorder.close()


def test_a_sidecar_that_hangs_holds_nobody_up_and_what_does_not_fit_is_counted() -> None:
    with sinking() as sink:
        sink.go.clear()
        recorder = Recorder(sink.url, capacity_bytes=20_000)
        recorder.record(*row(0))
        assert sink.asked.wait(20)
        for number in range(1, 1000):
            recorder.record(*row(number))
        # Every call has come back, and the sidecar has answered nothing yet.
        assert sink.batches == []
        counts = balanced(recorder)
        assert counts.keys() == {"recorded", "waiting", "full"}
        assert counts["recorded"] == 1000
        assert 10 < counts["waiting"] < 100
        assert not recorder.flush(0.0)
        sink.go.set()
        assert recorder.flush(20)
        assert balanced(recorder) == {"recorded": 1000, "sent": counts["waiting"], "full": counts["full"]}
        recorder.close()


def test_a_sidecar_that_is_not_there_costs_only_what_does_not_fit() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        recorder = Recorder(f"http://127.0.0.1:{nobody.getsockname()[1]}", capacity_bytes=20_000)
        for number in range(1000):
            recorder.record(*row(number))
        counts = balanced(recorder)
        assert counts["recorded"] == 1000
        assert "sent" not in counts
        recorder.close(0.0)
        after = balanced(recorder)
        assert after == {"recorded": 1000, "full": counts["full"], "closed": counts["waiting"]}
        recorder.record(*row(1))
        assert balanced(recorder)["closed"] == counts["waiting"] + 1
        recorder.close()


def test_what_has_waited_too_long_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    with sinking() as sink:
        sink.script = [503]
        recorder = Recorder(sink.url)
        monkeypatch.setattr(sender, "STALE_SECONDS", 0.0)
        recorder.record(*row(1))
        assert recorder.flush(20)
        assert balanced(recorder) == {"recorded": 1, "stale": 1}
        assert len(sink.batches) == 1
        recorder.close()


class Hostile:
    """A value that raises when it is looked at."""

    def __str__(self) -> str:
        raise RuntimeError("not for you")

    def __iter__(self) -> Any:
        raise RuntimeError("not for you")


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (None, "invalid"),
        (7, "invalid"),
        ({"x": [1, 2], "z": [1]}, "invalid"),
        ({"x": [[1], [1, 2]]}, "invalid"),
        ({"x": Hostile()}, "fault"),
        ({"x": [Hostile()]}, "fault"),
    ],
)
def test_nothing_that_is_recorded_raises_and_the_others_are_sent(inputs: Any, reason: str) -> None:
    with sinking() as sink:
        recorder = Recorder(sink.url)
        recorder.record(inputs, {"y": [1]})
        recorder.record(*row(1))
        assert recorder.flush(20)
        assert balanced(recorder) == {"recorded": 2, "sent": 1, reason: 1}
        recorder.close()


def test_from_many_threads_the_counts_are_exact() -> None:
    with sinking() as sink:
        sink.script = [503, "close", 400] * 3
        recorder = Recorder(sink.url, capacity_bytes=200_000)
        threads = [
            threading.Thread(target=lambda: [recorder.record(*row(number)) for number in range(300)])
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert recorder.flush(30)
        counts = balanced(recorder)
        assert counts["recorded"] == 2400
        assert "waiting" not in counts
        recorder.close()


def fork(action: Any) -> Any:
    """What *action* returns in a child process."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.write(writing, json.dumps(action()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with open(reading, "rb") as file:
        result = file.read()
    assert os.waitpid(child, 0)[1] == 0
    return json.loads(result)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forking beside threads, from 3.12 on
def test_after_a_fork_child_and_parent_send_what_is_theirs() -> None:
    with sinking() as sink:
        recorder = Recorder(sink.url)
        sink.go.clear()
        recorder.record(*row(1))
        assert sink.asked.wait(20)
        recorder.record(*row(2))  # waits in the parent while it forks

        def child() -> dict[str, Any]:
            assert recorder.counts()["recorded"] == 0
            recorder.record(*row(3))
            recorder.flush(0.0)
            return recorder.counts()

        assert fork(child)["waiting"] == 1

        def sending_child() -> dict[str, Any]:
            recorder.record(*row(4))
            recorder.close(20)
            return recorder.counts()

        sink.go.set()
        assert fork(sending_child)["sent"] == 1
        assert recorder.flush(20)
        assert balanced(recorder) == {"recorded": 2, "sent": 2}
        sources = {event["source"] for event in sink.events()}
        assert len(sources) >= 2
        recorder.close()


PROGRAM = """
import sys
from sidecar import Recorder
recorder = Recorder(sys.argv[1])
recorder.record({"x": [1.0]}, {"y": [2.0]})
"""


def run(sink: Sink, program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, sink.url], capture_output=True, text=True, timeout=60
    )


def test_the_end_of_the_process_sends_what_waits() -> None:
    with sinking() as sink:
        ended = run(sink, PROGRAM)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
        assert len(sink.events()) == 2


def test_the_end_of_the_process_does_not_wait_for_a_sidecar_that_hangs() -> None:
    with sinking() as sink:
        sink.go.clear()
        ended = run(sink, PROGRAM)  # would time out
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
        assert sink.batches == []


def test_importing_it_loads_the_standard_library_alone() -> None:
    program = "import sys; from sidecar import Recorder; print(*(m for m in sys.modules if m.split('.')[0] not in sys.stdlib_module_names and not m.startswith('__')))"
    found = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True)
    modules = set(found.stdout.split())
    assert {module for module in modules if not module.startswith("sidecar")} <= {"_virtualenv"}
    assert {"sidecar.client.recorder"} <= modules
    assert not any(module.startswith(("sidecar.decode", "sidecar.tap")) for module in modules)


def test_the_package_has_no_other_names() -> None:
    import sidecar

    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = sidecar.Nothing


def test_a_moment_is_written_as_rfc_3339() -> None:
    from sidecar.client.recorder import _moment

    assert _moment(1_700_000_000.25) == "2023-11-14T22:13:20.250000Z"
    assert time.gmtime(1_700_000_000).tm_year == 2023
