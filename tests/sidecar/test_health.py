"""Probes are answered by the supervisor, whatever they send."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request

import pytest

from sidecar.health import MOST_CLIENTS, HealthServer, answer
from sidecar.launch import Address, listen

CHECKS = {"/-/healthy": lambda: None, "/-/ready": lambda: "draining"}


@pytest.mark.parametrize(
    ("line", "status", "body"),
    [
        (b"GET /-/healthy HTTP/1.1\r\n", b"200 OK", b"ok\n"),
        (b"GET /-/healthy?verbose HTTP/1.0\r\n", b"200 OK", b"ok\n"),
        (b"HEAD /-/healthy HTTP/1.1\r\n", b"200 OK", b""),
        (b"GET /-/ready HTTP/1.1\r\n", b"503 Service Unavailable", b"draining\n"),
        (b"GET / HTTP/1.1\r\n", b"404 Not Found", b"/-/healthy and /-/ready are answered here\n"),
        (b"POST /-/ready HTTP/1.1\r\n", b"405 Method Not Allowed", b"GET and HEAD are answered here\n"),
        (b"\x16\x03\x01\x02\x00", b"400 Bad Request", b"not an HTTP/1 request\n"),
        (b"", b"400 Bad Request", b"not an HTTP/1 request\n"),
    ],
)
def test_each_request_line_has_its_answer(line: bytes, status: bytes, body: bytes) -> None:
    head, _, found = answer(line, CHECKS).partition(b"\r\n\r\n")
    assert (head.split(b"\r\n")[0], found) == (b"HTTP/1.1 " + status, body)


def test_a_real_client_is_answered_while_a_silent_one_waits() -> None:
    descriptor = listen("--health-listen", Address("127.0.0.1", 0))
    with socket.socket(fileno=socket.dup(descriptor)) as view:
        port = view.getsockname()[1]
    server = HealthServer(descriptor, CHECKS["/-/healthy"], CHECKS["/-/ready"])
    server.start()
    try:
        with socket.create_connection(("127.0.0.1", port)):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/healthy", timeout=5) as found:
                assert (found.status, found.read()) == (200, b"ok\n")
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5)
            assert (caught.value.code, caught.value.read()) == (503, b"draining\n")
            caught.value.close()
    finally:
        server.stop()


def test_a_probe_is_answered_however_many_clients_hold_a_place() -> None:
    descriptor = listen("--health-listen", Address("127.0.0.1", 0))
    with socket.socket(fileno=socket.dup(descriptor)) as view:
        port = view.getsockname()[1]
    server = HealthServer(descriptor, CHECKS["/-/healthy"], CHECKS["/-/ready"])
    server.start()
    holders = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(3 * MOST_CLIENTS)]
    try:
        for _ in range(3):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/healthy", timeout=5) as found:
                assert (found.status, found.read()) == (200, b"ok\n")
    finally:
        for holder in holders:
            holder.close()
        server.stop()
