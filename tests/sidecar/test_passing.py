"""What else passes the tap as it is: crowds, silence, strangers, late servers, slow readers, no descriptors left."""

from __future__ import annotations

import ast
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

import sidecar.tap
from exporter.schema import Limits
from sidecar.launch import Address, Settings, make_plan
from sidecar.processes import cpu_seconds, resident_bytes
from sidecar.words import Tap
from tests.sidecar.harness import TapProcess, free_port, read_exactly, read_to_end, server, tap, wait_for

ECHO = """
import asyncio, resource, sys
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
class Echo(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data): self.transport.write(data)
async def main():
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    await server.serve_forever()
asyncio.run(main())
"""


def echo(port: int) -> subprocess.Popen[bytes]:
    """A server of its own process, for more connections than this one may hold on both sides."""
    process = subprocess.Popen([sys.executable, "-c", ECHO, str(port)])

    def accepts() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
        return False

    wait_for(accepts, "the server accepts")
    return process


def descriptors(wanted: int) -> int:
    """Raise the limit of descriptors towards *wanted*; how many there may be now."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # root alone may raise the hard one
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < min(wanted, hard):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@pytest.mark.real
def test_ten_thousand_idle_connections_are_held_and_each_still_answers() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(10_000, (descriptors(24_000) - 500) // 2)  # the tap holds two for each
    port = free_port()
    model = echo(port)
    try:
        with tap(port) as running, ExitStack() as stack:
            with running.connect() as client:
                client.sendall(b"warm")
                assert read_exactly(client, 4) == b"warm"
            empty = resident_bytes(running.process.pid)
            clients = [stack.enter_context(running.connect()) for _ in range(count)]
            wait_for(lambda: running.words[Tap.UPSTREAM_CONNECTS] == count + 1, "all stand", 60)
            each = (resident_bytes(running.process.pid) - empty) / count
            print(f"{count} idle connections: {each:.0f} bytes each")  # pytest -s
            assert each < 20_000
            for client in clients:
                client.sendall(b"still here")
            assert {read_exactly(client, 10) for client in clients} == {b"still here"}
            stack.close()
            wait_for(lambda: running.open_connections() == 0, "all are closed", 60)
    finally:
        model.kill()
        model.wait()
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[0], resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


@pytest.mark.real
def test_a_storm_of_4096_connections_at_once_is_answered_whole() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(4096, descriptors(12_000) - 500)
    port = free_port()
    model = echo(port)
    try:
        with tap(port) as running, ExitStack() as stack:
            clients = []
            for _ in range(count):
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                with suppress(BlockingIOError):
                    client.connect(("127.0.0.1", running.port))
                clients.append(client)
            for client in clients:
                client.settimeout(60)
                while True:
                    try:
                        client.sendall(b"question")
                        break
                    except BlockingIOError:  # not connected yet
                        time.sleep(0.01)
            assert {read_exactly(client, 8) for client in clients} == {b"question"}
            assert running.words[Tap.UPSTREAM_FAILURES] == 0
    finally:
        model.kill()
        model.wait()
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[0], resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


@pytest.mark.real
def test_without_descriptors_the_tap_neither_ends_nor_spins_and_serves_again_when_there_are_some() -> None:
    def handle(connection: socket.socket) -> None:
        with suppress(ConnectionError):
            connection.sendall(read_exactly(connection, 2))
            connection.recv(1)

    with server(handle) as model, tap(model.port) as running:
        with running.connect() as kept:
            kept.sendall(b"hi")
            assert read_exactly(kept, 2) == b"hi"
            pid = running.process.pid
            used = len(os.listdir(f"/proc/{pid}/fd"))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 21, used + 21))  # ten pairs and a half
            clients = []
            for _ in range(200):
                with suppress(ConnectionResetError):  # it may be closed again before connect() has returned
                    clients.append(running.connect())
            time.sleep(0.5)
            spent = cpu_seconds(pid)[1]
            time.sleep(1.0)
            assert cpu_seconds(pid)[1] - spent < 0.5, "it spins"
            assert running.process.poll() is None
            kept.sendall(b"x")  # who had a place keeps it
            for client in clients:
                client.close()
        wait_for(lambda: running.open_connections() == 0, "all are closed")
        with running.connect() as client:
            client.sendall(b"hi")
            assert read_exactly(client, 2) == b"hi"


def test_a_server_that_speaks_first_and_bytes_of_no_known_protocol_pass() -> None:
    generator = os.urandom
    blocks = [generator(1 + number * 97) for number in range(40)]

    def handle(connection: socket.socket) -> None:
        connection.sendall(b"220 model ESMTP\r\n")
        for block in blocks:
            assert read_exactly(connection, len(block)) == block
            connection.sendall(block[::-1])

    with server(handle) as model, tap(model.port) as running, running.connect() as client:
        assert read_exactly(client, 17) == b"220 model ESMTP\r\n"
        for block in blocks:
            client.sendall(block)
            assert read_exactly(client, len(block)) == block[::-1]


def test_the_bytes_of_a_websocket_pass_both_ways_after_the_upgrade() -> None:
    upgrade = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    up, down = os.urandom(200_000), os.urandom(300_000)

    def handle(connection: socket.socket) -> None:
        assert read_exactly(connection, len(upgrade)) == upgrade
        connection.sendall(switched)
        sender = threading.Thread(target=connection.sendall, args=(down,))
        sender.start()
        assert read_exactly(connection, len(up)) == up
        sender.join()

    with server(handle) as model, tap(model.port) as running, running.connect() as client:
        client.sendall(upgrade)
        assert read_exactly(client, len(switched)) == switched
        sender = threading.Thread(target=client.sendall, args=(up,))
        sender.start()
        assert read_exactly(client, len(down)) == down
        sender.join()


def test_a_slow_client_slows_the_server_and_has_every_byte_after_the_server_has_closed() -> None:
    total = 64 << 20
    block = os.urandom(1 << 20)
    sent = [0]

    def handle(connection: socket.socket) -> None:
        connection.recv(10)
        for _ in range(total >> 20):
            connection.sendall(block)
            sent[0] += len(block)

    with server(handle) as model, tap(model.port) as running, running.connect() as client:
        before = resident_bytes(running.process.pid)
        client.sendall(b"GET ")
        time.sleep(1.0)  # as much as goes into the sockets has gone
        assert sent[0] < total, "the server was never slowed"
        # The ring may be touched meanwhile (16 MiB); what is queued for the client is 64 KiB and a read.
        assert resident_bytes(running.process.pid) - before < 40 << 20
        received = read_to_end(client)
    assert (len(received), received[-len(block) :] == block) == (total, True)


def test_a_server_that_accepts_late_is_waited_for() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        tap(listening.getsockname()[1]) as running,
        running.connect() as client,
    ):
        client.sendall(b"early")
        time.sleep(0.5)
        connection, _ = listening.accept()
        with connection:
            connection.settimeout(10)
            assert read_exactly(connection, 5) == b"early"
            connection.sendall(b"late")
        assert read_to_end(client) == b"late"


@pytest.mark.parametrize("host", ["::1", "localhost"])
def test_addresses_of_version_6_and_names_are_listened_on_and_connected_to(host: str) -> None:
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    try:
        listening = socket.create_server((host if host == "::1" else "127.0.0.1", 0), family=family)
    except OSError:
        pytest.skip("there is no IPv6 here")
    port = free_port()
    plan_settings = Settings(
        [("http", Address(host, port), Address(host, listening.getsockname()[1]))],
        *(Address("127.0.0.1", 0), None, None, None, None, 1, 0.0, 5.0, 0, ()),
    )
    running = TapProcess.__new__(TapProcess)
    running.adopt(make_plan(plan_settings, 1.0, Limits()), port)
    try:
        with listening, socket.create_connection((host, port), timeout=10) as client:
            client.sendall(b"question")
            connection, _ = listening.accept()
            with connection:
                assert read_exactly(connection, 8) == b"question"
                connection.sendall(b"answer")
            assert read_to_end(client) == b"answer"
    finally:
        running.stop()


def test_no_timer_of_ours_can_end_a_connection() -> None:
    """A long inference has no time-out: nothing in the tap waits on a clock, but for its own housekeeping."""
    timed = {"call_later", "call_at", "wait_for", "timeout", "timeout_at", "settimeout", "sleep"}
    found = set()
    for module in ("tap.py", "listener.py", "half.py", "sealed.py", "tls.py", "copier.py", "frames.py"):
        tree = ast.parse((Path(sidecar.tap.__file__).with_name(module)).read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    if isinstance(node, ast.Call):
                        name = (
                            node.func.attr
                            if isinstance(node.func, ast.Attribute)
                            else getattr(node.func, "id", "")
                        )
                        if name in timed or any(
                            keyword.arg and "timeout" in keyword.arg for keyword in node.keywords
                        ):
                            found.add((module, function.name, name))
    assert found == {("tap.py", "run", "wait_for"), ("tap.py", "close", "sleep")}
