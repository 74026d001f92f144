"""What a recorder knows outlives it: killed, ended, or begun from something that can not be used."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.sidecar.harness import server, wait_for
from tests.sidecar.whole import (
    AT_ONCE,
    Sidecar,
    infer_body,
    read_message,
    ready,
    request,
    scripted_model_server,
)

pytestmark = pytest.mark.real
COLUMN = {"model": "m", "version": "1", "role": "feature", "column": "x[0]"}
COUNTERS = ("column_rows_total", "column_missing_total", "rows_recorded_total")


def ask(running: Sidecar, values: list[float]) -> None:
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
        for value in values:
            client.sendall(request(infer_body([value, 1.0])))
            assert read_message(client)


def counters(running: Sidecar) -> list[float]:
    return [running.total(name, **({"model": "m"} if name[0] == "r" else COLUMN)) for name in COUNTERS]


def seen(running: Sidecar, rows: int) -> None:
    wait_for(lambda: counters(running)[0] == rows, f"{rows} rows shown")


def window_rows(running: Sidecar) -> float:
    return running.value("column_window_rows", **COLUMN, window="1h")


def kept(running: Sidecar) -> None:
    """Wait for a checkpoint that was begun after this call."""
    now = running.value("clock_timestamp_seconds")
    key = ("modelmeter_checkpoint_timestamp_seconds", frozenset[tuple[str, str]]())
    wait_for(lambda: running.metrics().get(key, 0.0) > now + 0.5, "a checkpoint")


def kill_recorder(running: Sidecar) -> None:
    os.kill(running.child("sidecar.recorder"), signal.SIGKILL)
    wait_for(lambda: running.answers() and running.total("recorder_restarts_total") == 1, "a new recorder")


def failures(running: Sidecar) -> dict[str, float]:
    return {
        dict(labels)["reason"]: value
        for (name, labels), value in running.metrics().items()
        if name == "modelmeter_checkpoint_failures_total" and value
    }


def test_a_killed_recorders_successor_goes_on_with_its_counts_and_history(tmp_path: Path) -> None:
    arguments = ("--state", str(tmp_path / "state"), "--state-seconds", "1", *AT_ONCE)
    with server(scripted_model_server) as model, ready(Sidecar(model.port, *arguments)) as running:
        ask(running, [float(n) for n in range(40)])
        seen(running, 40)
        kept(running)
        kill_recorder(running)
        assert counters(running) == [40, 0, 40]
        assert window_rows(running) == 40
        ask(running, [1.0] * 5)
        seen(running, 45)
        assert window_rows(running) == 45
        assert running.value("column_mean", **COLUMN, window="1h") == pytest.approx((780 + 5) / 45)
        assert failures(running) == {}
        status, log = running.stop()
    assert status == 0
    assert log.count('event="restored" columns=3 left_out=0') == 1


def test_what_was_shown_is_never_taken_back(tmp_path: Path) -> None:
    arguments = ("--state", str(tmp_path), "--state-seconds", "1.5", *AT_ONCE)
    with server(scripted_model_server) as model, ready(Sidecar(model.port, *arguments)) as running:
        ask(running, [1.0] * 10)
        seen(running, 10)
        kept(running)
        ask(running, [2.0] * 7)
        wait_for(lambda: counters(running)[0] == 17, "shown")
        kill_recorder(running)
        assert counters(running)[0] >= 17
        assert window_rows(running) in (10, 17)  # of the history, the last interval may be lost


def test_an_ended_sidecars_successor_goes_on_to_the_row(tmp_path: Path) -> None:
    arguments = ("--state", str(tmp_path), *AT_ONCE)  # the interval is a minute: only the end writes
    with server(scripted_model_server) as model:
        for turn in range(1, 3):
            with ready(Sidecar(model.port, *arguments)) as running:
                assert counters(running)[0] == (turn - 1) * 12
                ask(running, [float(turn)] * 12)
                seen(running, turn * 12)
                assert window_rows(running) == turn * 12
                assert running.stop(signal.SIGTERM)[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "exposed", "lock"]


def test_a_damaged_checkpoint_is_set_aside_told_and_counted(tmp_path: Path) -> None:
    arguments = ("--state", str(tmp_path), *AT_ONCE)
    with server(scripted_model_server) as model:
        with ready(Sidecar(model.port, *arguments)) as running:
            ask(running, [1.0] * 12)
            seen(running, 12)
            running.stop(signal.SIGTERM)
        checkpoint = tmp_path / "checkpoint"
        data = bytearray(checkpoint.read_bytes())
        data[len(data) // 2] ^= 1
        checkpoint.write_bytes(data)
        with ready(Sidecar(model.port, *arguments)) as running:
            assert failures(running) == {"corrupt": 1}
            assert counters(running)[0] == 0
            ask(running, [1.0] * 3)
            seen(running, 3)
            _, log = running.stop(signal.SIGTERM)
    assert "the checkpoint was set aside" in log
    assert (tmp_path / "checkpoint.corrupt").read_bytes() == data
    assert checkpoint.exists()


def test_without_state_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with server(scripted_model_server) as model, ready(Sidecar(model.port, *AT_ONCE)) as running:
        ask(running, [1.0])
        seen(running, 1)
        assert not any(name.startswith("modelmeter_checkpoint") for name, _ in running.metrics())
        running.stop(signal.SIGTERM)
    assert list(tmp_path.iterdir()) == []


def test_a_second_sidecar_in_the_same_directory_keeps_nothing_and_says_so(tmp_path: Path) -> None:
    arguments = ("--state", str(tmp_path), *AT_ONCE)
    with (
        server(scripted_model_server) as model,
        ready(Sidecar(model.port, *arguments)) as first,
        ready(Sidecar(model.port, *arguments)) as second,
    ):
        assert failures(second) == {"locked": 1}
        ask(second, [1.0])
        seen(second, 1)
        second.stop(signal.SIGTERM)
        assert not (tmp_path / "checkpoint").exists()
        assert failures(first) == {}


def test_a_directory_that_can_not_be_used_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    running = Sidecar(1, "--state", str(tmp_path / "file"))
    status, log = running.stop(0)
    assert status == 2
    assert "--state: expected a directory" in log
