"""Every byte of real conversations is the same with and without the sidecar, however it is cut into segments."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest

from tests.sidecar.harness import Server, read_exactly, wait_for
from tests.sidecar.whole import Sidecar
from tests.wire.captures import NAMES, steps

SPLITS = 6
"""How often each conversation is held: once whole, once by the byte (short ones), the others at random."""


class Capture:
    """One conversation with a real server."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.turns: list[tuple[int, bytes]] = []
        for direction, data in steps(name):
            if self.turns and self.turns[-1][0] == direction:
                self.turns[-1] = (direction, self.turns[-1][1] + data)
            else:
                self.turns.append((direction, data))
        self.requests = b"".join(data for direction, data in self.turns if direction == 0)
        self.answers = b"".join(data for direction, data in self.turns if direction == 1)
        self.exchanges = self.requests.count(b" HTTP/1.1\r\n")


CAPTURES = [Capture(name) for name in NAMES]


def pieces(data: bytes, generator: random.Random | None) -> Iterator[bytes]:
    """*data* in random pieces, whole without a generator."""
    if generator is None:
        yield data
        return
    at = 0
    while at < len(data):
        size = generator.choice([1, 2, 7, 100, 1500, 20_000])
        yield data[at : at + size]
        at += size


def send(connection: socket.socket, data: bytes, generator: random.Random | None) -> None:
    for piece in pieces(data, generator):
        connection.sendall(piece)


class ReplayedServer:
    """Sends what the real server sent, once it has received what the real one had received by then."""

    def __init__(self) -> None:
        self.capture: Capture | None = None
        self.generator: random.Random | None = None
        self.received = b""
        self.server = Server(self._handle)

    def _handle(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert self.capture is not None
        received = bytearray()
        for direction, data in self.capture.turns:
            if direction == 0:
                received += read_exactly(connection, len(data))
                if not received:
                    return  # the supervisor's probe, or a client that said nothing
            else:
                send(connection, data, self.generator)
        self.received = bytes(received)


def hold(port: int, capture: Capture, generator: random.Random | None) -> bytes:
    """The client's side of the conversation; returns what it received."""
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for direction, data in capture.turns:
            if direction == 0:
                send(connection, data, generator)
            else:
                received += read_exactly(connection, len(data))
        connection.shutdown(socket.SHUT_WR)
        received += read_exactly(connection, 1 << 20)
    return bytes(received)


def test_every_byte_of_every_capture_is_equal_with_and_without_the_sidecar() -> None:
    replayed = ReplayedServer()
    running = Sidecar(replayed.server.port)
    try:
        wait_for(running.answers, "/metrics answers")
        exchanges = 0
        for capture in CAPTURES:
            for split in range(SPLITS):
                for port in (replayed.server.port, running.port):
                    replayed.capture, replayed.received = capture, b""
                    seed = f"{capture.name} {split}"
                    replayed.generator = random.Random(seed) if split else None
                    answered = hold(port, capture, random.Random(seed + "c") if split else None)
                    assert answered == capture.answers, f"{capture.name}: what the client received"
                    wait_for(lambda: replayed.received, "the server has read all")
                    assert replayed.received == capture.requests, f"{capture.name}: what the server received"
                exchanges += capture.exchanges
        law = running.wait_until_settled(exchanges)
        assert law["seen_total"] == exchanges
        assert sum(value for part, value in law.items() if part != "seen_total") == exchanges
        assert law["dropped_total"] == law["undecodable_total"] == 0
    finally:
        running.stop()


@pytest.mark.parametrize("seed", range(3))
def test_connections_that_end_anywhere_leave_the_books_exact(seed: int) -> None:
    """Cut the conversations at random places, with a reset or an end of either side."""
    generator = random.Random(seed)
    replayed = ReplayedServer()
    running = Sidecar(replayed.server.port)
    try:
        wait_for(running.answers, "/metrics answers")
        for _ in range(40):
            capture = generator.choice(CAPTURES)
            replayed.capture = capture
            with socket.create_connection(("127.0.0.1", running.port), timeout=20) as connection:
                requests = capture.requests
                connection.sendall(requests[: generator.randrange(len(requests) + 1)])
                if generator.random() < 0.5:
                    connection.settimeout(0.02)
                    try:
                        connection.recv(generator.randrange(1, 2000))
                    except (TimeoutError, ConnectionError):
                        continue
        wait_for(lambda: running.value("connections_open") == 0, "all connections are closed")
        law = running.wait_until_settled(0)
        assert law["seen_total"] == sum(value for part, value in law.items() if part != "seen_total")
        assert law["seen_total"] > 0
        assert running.total("internal_errors_total") == 0
    finally:
        running.stop()
