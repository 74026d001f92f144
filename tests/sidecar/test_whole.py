"""The sidecar as a whole: traffic passes untouched whatever becomes of the recorder, and all of it is counted."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from h2.connection import H2Connection

from exporter.metrics import METRICS
from tests.sidecar.harness import free_port, server, wait_for
from tests.sidecar.load import Load
from tests.sidecar.whole import (
    AT_ONCE,
    Sidecar,
    alive,
    infer_body,
    read_message,
    request,
    scripted_model_server,
    sidecar,
)


def test_what_is_sent_is_recorded_and_stands_in_metrics_status_and_page() -> None:
    with server(scripted_model_server) as model, sidecar(model.port) as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
            for number in range(50):
                client.sendall(request(infer_body([float(number), 2.0])))
                assert b'"data": [%d.0]' % (number + 2) in read_message(client)
            client.sendall(request(b""))
            assert read_message(client).startswith(b"HTTP/1.1 400 ")
            client.sendall(b"GET /v2/health/ready HTTP/1.1\r\nHost: test\r\n\r\n")
            assert read_message(client).startswith(b"HTTP/1.1 400 ")
        law = running.wait_until_settled(52)
        assert law == {
            "seen_total": 52, "recorded_total": 50, "sampled_out_total": 0, "dropped_total": 0,
            "undecodable_total": 0, "unobservable_total": 0, "ignored_total": 2, "unsettled": 0,
        }  # fmt: skip
        assert running.value("requests_total", model="m", version="1", protocol="http") == 51
        assert running.total("request_failures_total", model="m", reason="client_error") == 1
        assert running.value("rows_recorded_total", model="m", version="1") == 50
        assert (
            running.value(
                "column_window_rows", model="m", version="1", role="feature", column="x[0]", window="1h"
            )
            == 50
        )
        (found,) = running.status()["models"]
        columns = {(c["role"], c["column"]) for c in (*found["features"], *found["predictions"])}
        assert columns == {("feature", "x[0]"), ("feature", "x[1]"), ("prediction", "y")}
        status, page = running.get("/")
        assert status == 200
        assert "x[0]" in page


@pytest.mark.parametrize(("number", "reason"), [(signal.SIGKILL, "exit"), (signal.SIGSTOP, "hang")])
def test_a_recorder_killed_or_stopped_under_load_fails_no_request_and_is_back_within_seconds(
    number: int, reason: str
) -> None:
    with (
        server(scripted_model_server) as model,
        sidecar(model.port, "--recorder-timeout", "2") as running,
    ):
        load = Load(running.port, kept=8)
        time.sleep(1.0)
        recorder = running.child("sidecar.recorder")
        before = sum(load.counts)
        os.kill(recorder, number)
        wait_for(lambda: not alive(recorder), "the old recorder is gone")
        wait_for(running.answers, "/metrics answers again", 15)
        back = sum(load.counts)
        assert running.health("/-/ready") == 200
        time.sleep(1.0)
        sent = load.stop()
        assert load.failures == []
        assert before < back < sent, "the load did not go on"
        law = running.exact_law(sent)
        assert law["dropped_total"] == running.total("exchanges_dropped_total")
        assert law["recorded_total"] > 0
        assert running.total("recorder_restarts_total") == 1
        assert running.total("recorder_restarts_total", reason=reason) == 1


def test_the_tap_is_replaced_on_the_same_port_when_it_dies() -> None:
    with server(scripted_model_server) as model, sidecar(model.port) as running:
        old = running.child("sidecar.tap")
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: not alive(old), "the old tap is gone")
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
            client.sendall(request(infer_body([1.0, 2.0])))
            assert b'"data": [3.0]' in read_message(client)
        assert running.wait_until_settled(1)["recorded_total"] == 1


def test_without_a_server_clients_are_closed_and_the_sidecar_is_not_ready_until_there_is_one() -> None:
    port = free_port()
    running = Sidecar(port)
    try:
        wait_for(lambda: running.health("/-/healthy") == 200, "healthy")
        wait_for(running.answers, "/metrics answers")
        assert running.health("/-/ready") == 503
        assert running.value("upstream_up") == 0
        with (
            pytest.raises(ConnectionResetError),  # at once, or with the first read
            socket.create_connection(("127.0.0.1", running.port), timeout=10) as client,
        ):
            client.recv(10)
        late = subprocess.Popen(
            [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], stderr=subprocess.DEVNULL
        )
        try:
            wait_for(lambda: running.health("/-/ready") == 200, "ready once the server accepts")
            wait_for(lambda: running.value("upstream_up") == 1, "upstream_up")
        finally:
            late.kill()
            late.wait()
    finally:
        running.stop()


def test_around_a_server_its_exit_status_is_ours() -> None:
    running = Sidecar(
        free_port(), command=(sys.executable, "-c", "import time; time.sleep(1); raise SystemExit(7)")
    )
    assert running.process.wait(20) == 7
    running.stop()


def test_around_a_server_the_server_is_reached_through_us_and_ends_with_us(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "hello").write_text("from the wrapped server")
    command = (
        sys.executable,
        "-m",
        "http.server",
        str(port),
        "--bind",
        "127.0.0.1",
        "--directory",
        str(tmp_path),
    )
    with sidecar(port, *AT_ONCE, command=command) as running:
        wrapped = running.child("http.server")
        assert running.get("/hello", running.port) == (200, "from the wrapped server")
        assert running.wait_until_settled(1)["ignored_total"] == 1
        assert running.stop(signal.SIGTERM)[0] == 0
    assert not alive(wrapped)


def test_what_a_wrapped_server_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    running = Sidecar(free_port(), command=("sh", "-c", f"sleep 987 & echo $! > {note}; sleep 1; exit 3"))
    assert running.process.wait(20) == 3
    running.stop()
    left = int(note.read_text())
    wait_for(lambda: not alive(left), "the orphan has ended")


def test_a_wrapped_server_has_the_environment_and_signals_it_would_have_without_us(tmp_path: Path) -> None:
    note = tmp_path / "environment"
    # exec: a shell that waits for a child blocks signals of its own for a moment.
    command = ("sh", "-c", f"env > {note}; exec cat /proc/self/status >> {note}")
    running = Sidecar(free_port(), command=command)
    assert running.process.wait(20) == 0
    running.stop()
    lines = note.read_text().splitlines()
    found = dict(re.split(r"[=:]\s*", line, maxsplit=1) for line in lines if re.match(r"\w+[=:]", line))
    ours = {"OPENBLAS_NUM_THREADS", "MALLOC_ARENA_MAX"}
    assert found.keys() & ours == os.environ.keys() & ours
    assert int(found["SigBlk"], 16) == 0
    assert int(found["SigIgn"], 16) & (1 << (signal.SIGPIPE - 1)) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_and_leaves_no_process(number: int) -> None:
    with server(scripted_model_server) as model, sidecar(model.port, *AT_ONCE) as running:
        children = [running.child("sidecar.recorder"), running.child("sidecar.tap")]
        status, log = running.stop(number)
    assert status == 0
    assert 'event="stopped"' in log
    wait_for(lambda: not any(map(alive, children)), "no process is left")


def test_when_the_supervisor_is_killed_the_others_end_too() -> None:
    with server(scripted_model_server) as model, sidecar(model.port) as running:
        children = [running.child("sidecar.recorder"), running.child("sidecar.tap")]
        running.process.kill()
        running.process.wait(10)
        wait_for(lambda: not any(map(alive, children)), "no process is left")


def test_a_running_request_finishes_after_sigterm() -> None:
    def slow(connection: socket.socket) -> None:
        if read_message(connection):
            time.sleep(1.5)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate")

    with server(slow) as model, sidecar(model.port, "--drain-seconds", "0") as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
            client.sendall(request(infer_body([1.0])))
            time.sleep(0.2)
            running.process.send_signal(signal.SIGTERM)
            wait_for(lambda: running.health("/-/ready") == 503, "readiness is off at once")
            assert read_message(client).endswith(b"late")
        assert running.process.wait(10) == 0


def test_no_value_name_or_header_of_a_request_is_in_the_log() -> None:
    secret = "s3cr3t-value"
    with server(scripted_model_server) as model, sidecar(model.port) as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
            body = json.dumps(
                {"inputs": [{"name": secret, "shape": [1], "datatype": "FP64", "data": [31337.25]}]}
            )
            client.sendall(
                request(body.encode()).replace(b"Host: test", b"Authorization: " + secret.encode())
            )
            read_message(client)
            client.sendall(b"nonsense " + secret.encode() + b"\r\n\r\n")
            client.shutdown(socket.SHUT_WR)
            client.recv(1000)
        running.wait_until_settled(1)
        log = running.stop()[1]
    assert secret not in log
    assert "31337" not in log


def test_the_end_of_a_terminal_does_not_end_the_forwarding() -> None:
    with server(scripted_model_server) as model, sidecar(model.port) as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
            client.sendall(request(infer_body([1.0])))
            assert read_message(client)
            for pid in (running.process.pid, running.child("sidecar.tap"), running.child("sidecar.recorder")):
                os.kill(pid, signal.SIGHUP)
            time.sleep(0.5)
            client.sendall(request(infer_body([2.0])))
            assert b"[2.0]" in read_message(client)
        assert running.wait_until_settled(2)["recorded_total"] == 2


def test_a_log_that_nobody_reads_does_not_end_the_forwarding() -> None:
    with server(scripted_model_server) as model, sidecar(model.port) as running:
        assert running.process.stderr is not None
        running.process.stderr.close()
        os.kill(running.child("sidecar.recorder"), signal.SIGKILL)
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
            client.sendall(request(infer_body([1.0])))
            assert b"[1.0]" in read_message(client)
        wait_for(running.answers, "/metrics answers again")
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(15) == 0


def test_live_metrics_are_those_declared() -> None:
    with server(scripted_model_server) as model, sidecar(model.port) as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
            client.sendall(request(infer_body([1.0])))
            read_message(client)
        running.wait_until_settled(1)
        page = running.get("/metrics")[1]
    live = {line.split()[2]: line.split()[3] for line in page.splitlines() if line.startswith("# TYPE ")}
    declared = {metric.name: metric.kind.replace("info", "gauge") for metric in METRICS}
    assert live.items() <= declared.items()
    # Without a baseline nothing is compared, nor without slices, versions, embeddings, tokens and a state what
    # is of these; all the rest is there from the start.
    needs_baseline = (
        "baseline",
        "bin_",
        "psi",
        "jensen",
        "score",
        "critical",
        "incident",
        "scaled",
        "unseen",
        "ingest",
        *("kolmogorov", "wasserstein", "grid", "detect", "fault"),
        *("slice", "version_", "embedding", "tokens", "checkpoint"),
    )
    assert [
        name for name in declared.keys() - live.keys() if not any(word in name for word in needs_baseline)
    ] == []


def one_call() -> bytes:
    """What a client of HTTP/2 says first: a call of a service that nobody knows."""
    talk = H2Connection()
    talk.initiate_connection()
    head = {":method": "POST", ":scheme": "http", ":authority": "here", ":path": "/some.Service/Do"}
    talk.send_headers(1, [*head.items(), ("content-type", "application/grpc")], end_stream=True)
    return talk.data_to_send()


def test_several_taps_and_listeners_are_one_law_for_each_protocol(tmp_path: Path) -> None:
    grpc_port = free_port()
    with (
        server(scripted_model_server) as model,
        sidecar(
            model.port,
            "--taps",
            "2",
            "--listen",
            f"grpc=127.0.0.1:{grpc_port}",
            "--upstream",
            f"grpc=127.0.0.1:{model.port}",
        ) as running,
    ):
        load = Load(running.port, kept=12)
        time.sleep(1.0)
        with socket.create_connection(("127.0.0.1", grpc_port), timeout=10) as client:
            client.sendall(one_call())
            client.shutdown(socket.SHUT_WR)
            client.recv(100)
        sent = load.stop()
        assert load.failures == []
        law = running.wait_until_settled(sent)
        assert (law["seen_total"], law["recorded_total"] + law["dropped_total"]) == (sent, sent)
        assert running.value("exchanges_seen_total", protocol="grpc") == 1
        assert running.value("exchanges_ignored_total", protocol="grpc", reason="unknown_dialect") == 1
