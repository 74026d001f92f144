"""The end of a sidecar: nobody meets a closed door or a cut answer, and the last numbers are scraped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.sidecar.harness import free_port, server, wait_for
from tests.sidecar.load import Load, Scraper
from tests.sidecar.whole import (
    Sidecar,
    infer_body,
    patient_model_server,
    read_message,
    request,
    scripted_model_server,
    sidecar,
)

pytestmark = pytest.mark.real
QUICK = ("--drain-seconds", "1", "--finish-seconds", "5", "--last-scrape-seconds", "3")
MODELMETER = str(Path(sys.executable).with_name("modelmeter"))

HAPROXY = """
global
    nbthread 1
defaults
    mode http
    retries 0
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    option httpchk GET /-/ready
frontend all
    bind 127.0.0.1:{port}
    default_backend sidecars
backend sidecars
    balance roundrobin
    server one 127.0.0.1:{one} check port {one_health} inter 100ms fall 1 rise 1
    server two 127.0.0.1:{two} check port {two_health} inter 100ms fall 1 rise 1
"""


@contextmanager
def haproxy(program: str, folder: Path, one: Sidecar, two: Sidecar) -> Iterator[int]:
    port = free_port()
    configuration = folder / "haproxy.cfg"
    configuration.write_text(
        HAPROXY.format(
            port=port, one=one.port, one_health=one.health_port, two=two.port, two_health=two.health_port
        )
    )
    process = subprocess.Popen([program, "-db", "-f", str(configuration)], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(port), "HAProxy answers")
        yield port
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(request(infer_body([1.0])))
        return read_message(client).startswith(b"HTTP/1.1 200")
    return False


def drain(running: Sidecar) -> int:
    return subprocess.run([MODELMETER, "drain", "--pid", str(running.process.pid)], timeout=30).returncode


@pytest.mark.parametrize("way", ["SIGTERM", "modelmeter drain"])
def test_a_rolling_restart_under_load_fails_no_request_and_loses_no_count(
    way: str, tmp_path: Path, part: Callable[[str], str]
) -> None:
    program = part("haproxy")
    with server(patient_model_server) as model:
        replicas = [Sidecar(model.port, *QUICK), Sidecar(model.port, *QUICK)]
        for replica in replicas:
            replica.wait_until_ready()
        scrapers = [Scraper(replica) for replica in replicas]
        with haproxy(program, tmp_path, *replicas) as port:
            load = Load(port, kept=3, short=2)
            time.sleep(0.5)
            for number, old in enumerate(list(replicas)):
                if way == "modelmeter drain":
                    assert drain(old) == 0
                    assert old.process.poll() is None
                old.process.send_signal(signal.SIGTERM)
                assert old.process.wait(20) == 0
                replicas[number] = Sidecar(model.port, *QUICK, ports=old.ports)
                replicas[number].wait_until_ready()
                scrapers.append(Scraper(replicas[number]))
                time.sleep(0.5)
            sent = load.stop()
        for replica in replicas:
            replica.process.send_signal(signal.SIGTERM)
        assert [replica.process.wait(20) for replica in replicas] == [0, 0]
    laws = [scraper.stop() for scraper in scrapers]
    assert load.failures == []
    assert all(law["unsettled"] == 0 for law in laws)
    warm_up = 1  # `answers`
    assert sum(law["seen_total"] for law in laws) == sent + warm_up
    assert sum(law["recorded_total"] + law["dropped_total"] for law in laws) == sent + warm_up
    assert all(count > 20 for count in load.counts)


def test_a_long_inference_finishes_after_sigterm_and_idle_connections_do_not_prolong_it() -> None:
    def slow(connection: socket.socket) -> None:
        while message := read_message(connection):
            if b"/slow" in message:
                time.sleep(3.0)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")

    with server(slow) as model, sidecar(model.port, *QUICK) as running:
        idle = socket.create_connection(("127.0.0.1", running.port), timeout=10)
        idle.sendall(request(b""))
        assert read_message(idle).endswith(b"late")
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
            client.sendall(request(b"", path="/slow"))
            time.sleep(0.2)
            running.process.send_signal(signal.SIGTERM)
            wait_for(lambda: running.health("/-/ready") == 503, "readiness is off at once")
            late = socket.create_connection(("127.0.0.1", running.port), timeout=10)  # within the window
            late.sendall(request(b""))
            assert read_message(late).endswith(b"late")
            assert read_message(client).endswith(b"late")
        assert idle.recv(1) == b""  # held to the end, and closed then: not cut by a reset
        status, log = running.stop(0)
        idle.close()
        late.close()
    assert status == 0
    assert "in_flight=0" in log


def test_a_second_sigterm_ends_at_once() -> None:
    def never(connection: socket.socket) -> None:
        read_message(connection)
        connection.recv(1)

    with (
        server(never) as model,
        sidecar(model.port, "--drain-seconds", "3000") as running,
        socket.create_connection(("127.0.0.1", running.port), timeout=10) as client,
    ):
        client.sendall(request(infer_body([1.0])))
        running.process.send_signal(signal.SIGTERM)
        wait_for(lambda: running.health("/-/ready") == 503, "draining")
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(10) == 0


def test_an_unused_sidecar_ends_without_a_window() -> None:
    with server(scripted_model_server) as model:
        running = Sidecar(model.port, "--drain-seconds", "3000")
        wait_for(lambda: running.health("/-/healthy") == 200, "healthy")  # never asked whether it is ready
        assert running.stop(signal.SIGTERM)[0] == 0


def test_drain_waits_is_idempotent_and_the_sidecar_goes_on_to_serve_until_sigterm() -> None:
    with server(scripted_model_server) as model, sidecar(model.port, *QUICK) as running:
        assert [drain(running), drain(running)] == [0, 0]
        assert running.health("/-/ready") == 503
        assert answers(running.port)
        time.sleep(1.0)
        assert running.process.poll() is None
        assert running.value("exchanges_seen_total", protocol="http") == 1
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(10) == 0


def test_a_last_scrape_is_waited_for_and_no_longer_than_asked() -> None:
    arguments = ("--drain-seconds", "0", "--last-scrape-seconds", "3000")
    with server(scripted_model_server) as model, sidecar(model.port, *arguments) as running:
        assert answers(running.port)
        running.process.send_signal(signal.SIGTERM)
        wait_for(lambda: running.health("/-/ready") == 503, "draining")
        time.sleep(1.5)
        assert running.process.poll() is None
        assert running.value("exchanges_seen_total", protocol="http") == 1  # this is it
        assert running.process.wait(10) == 0
    with server(scripted_model_server) as model, sidecar(model.port, *QUICK) as running:
        assert answers(running.port)
        running.process.send_signal(signal.SIGTERM)
        assert "the last exchanges are in no scrape" in running.stop(0)[1]


def test_a_recorder_that_is_down_leaves_open_connections_as_the_measure() -> None:
    arguments = ("--drain-seconds", "1", "--finish-seconds", "2", "--recorder-timeout", "3000")
    with (
        server(scripted_model_server) as model,
        sidecar(model.port, *arguments) as running,
        socket.create_connection(("127.0.0.1", running.port), timeout=10) as client,
    ):
        client.sendall(request(infer_body([1.0])))
        assert read_message(client)
        os.kill(running.child("sidecar.recorder"), signal.SIGSTOP)
        time.sleep(1.5)  # longer than a beat may be late
        running.process.send_signal(signal.SIGTERM)
        status, log = running.stop(0)
    assert status == 0
    assert "in_flight=1" in log


def test_no_request_is_refused_while_the_door_closes() -> None:
    """Clients that connect to the last moment are either served or refused, never let in and dropped."""
    dropped: list[str] = []
    stop = threading.Event()

    def knock(port: int) -> None:
        while not stop.is_set():
            try:
                client = socket.create_connection(("127.0.0.1", port), timeout=10)
            except OSError:
                return
            with client:
                try:
                    client.sendall(request(infer_body([1.0])))
                    if not read_message(client):
                        dropped.append("closed")
                except OSError as error:
                    dropped.append(repr(error))

    with server(scripted_model_server) as model, sidecar(model.port, *QUICK) as running:
        threads = [threading.Thread(target=knock, args=(running.port,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0
        stop.set()
        for thread in threads:
            thread.join(10)
    assert dropped == []
