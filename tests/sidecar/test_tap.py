"""The tap forwards what was sent, as it was sent: bytes, order, half-closes, resets, back-pressure."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import socket
import struct
import threading
import time

import pytest

from sidecar.ring import Kind, Record
from sidecar.words import Tap
from tests.sidecar.harness import (
    Server,
    TapProcess,
    free_port,
    read_exactly,
    read_to_end,
    server,
    tap,
    wait_for,
)


def test_every_byte_arrives_in_order_in_both_directions() -> None:
    up, down = os.urandom(3_000_000), os.urandom(2_000_000)

    def handle(connection: socket.socket) -> None:
        sender = threading.Thread(target=connection.sendall, args=(down,))
        sender.start()
        assert read_exactly(connection, len(up)) == up
        sender.join()

    with server(handle) as model_server, tap(model_server.port) as running, running.connect() as client:
        sender = threading.Thread(target=client.sendall, args=(up,))
        sender.start()
        assert read_exactly(client, len(down)) == down
        sender.join()
        assert read_to_end(client) == b""
        client.close()
        wait_for(lambda: running.open_connections() == 0, "the connection is closed")
        assert running.words[Tap.COPY_ERRORS] == 0


def test_a_client_that_talks_before_the_server_accepts_loses_nothing() -> None:
    def handle(connection: socket.socket) -> None:
        connection.sendall(read_exactly(connection, 300_000))

    message = os.urandom(300_000)
    with server(handle) as model_server, tap(model_server.port) as running:
        for _ in range(20):
            with running.connect() as client:
                sender = threading.Thread(target=client.sendall, args=(message,))
                sender.start()
                assert read_exactly(client, len(message)) == message
                sender.join()


def test_a_half_close_of_the_client_reaches_the_server_and_the_answer_still_comes() -> None:
    def handle(connection: socket.socket) -> None:
        assert read_to_end(connection) == b"question"
        time.sleep(0.1)
        connection.sendall(b"answer" * 100_000)

    with server(handle) as model_server, tap(model_server.port) as running, running.connect() as client:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert read_to_end(client) == b"answer" * 100_000
        wait_for(lambda: running.open_connections() == 0, "the connection is closed")


def test_a_half_close_of_the_server_reaches_the_client_and_the_rest_still_goes_up() -> None:
    received: list[bytes] = []

    def handle(connection: socket.socket) -> None:
        connection.sendall(b"early")
        connection.shutdown(socket.SHUT_WR)
        received.append(read_to_end(connection))

    with server(handle) as model_server, tap(model_server.port) as running, running.connect() as client:
        assert read_to_end(client) == b"early"
        client.sendall(b"late" * 50_000)
        client.shutdown(socket.SHUT_WR)
        wait_for(lambda: received, "the server has read to the end")
    assert received == [b"late" * 50_000]


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_reset_arrives_as_a_reset(who: str) -> None:
    seen: list[str] = []
    ready = threading.Event()

    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    def watch(connection: socket.socket) -> None:
        try:
            seen.append(repr(connection.recv(10)))
        except ConnectionResetError:
            seen.append("reset")

    def handle(connection: socket.socket) -> None:
        assert connection.recv(10) == b"hello"
        connection.sendall(b"hello")
        ready.wait(10)
        (reset if who == "server" else watch)(connection)

    with server(handle) as model_server, tap(model_server.port) as running:
        client = running.connect()
        client.sendall(b"hello")
        assert client.recv(10) == b"hello"
        if who == "server":
            ready.set()
            watch(client)
            client.close()
        else:
            reset(client)
            ready.set()
        wait_for(lambda: seen, "the other side has noticed")
    assert seen == ["reset"]


def test_a_slow_reader_slows_its_sender_and_no_memory_of_ours_grows() -> None:
    total = 64 << 20
    go = threading.Event()

    def handle(connection: socket.socket) -> None:
        go.wait(20)
        assert len(read_exactly(connection, total)) == total

    with server(handle) as model_server, tap(model_server.port) as running, running.connect() as client:
        client.settimeout(0.3)
        sent = 0
        try:
            while sent < total:
                sent += client.send(bytes(1 << 16))
        except TimeoutError:
            pass
        assert sent < total, "the sender was never slowed"
        with open(f"/proc/{running.process.pid}/statm", encoding="ascii") as file:
            resident, shared = map(int, file.read().split()[1:3])
        go.set()
        client.settimeout(20)
        while sent < total:
            sent += client.send(bytes(min(1 << 16, total - sent)))
        assert read_to_end(client) == b""
    assert (resident - shared) * os.sysconf("SC_PAGE_SIZE") < 40 << 20


def test_a_slow_reader_slows_a_sender_who_came_before_it_had_accepted() -> None:
    """As much as is held for a server that accepts late can fill what the kernel takes for it at once."""
    listening = socket.socket()
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # a network's, not loopback's
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    with listening, tap(listening.getsockname()[1]) as running:
        running.connect().close()
        os.kill(running.process.pid, signal.SIGSTOP)
        with running.connect() as client:
            client.setblocking(False)
            sent = 0
            with contextlib.suppress(BlockingIOError):
                while sent < 1 << 20:
                    sent += client.send(bytes(1 << 16))
            os.kill(running.process.pid, signal.SIGCONT)
            client.settimeout(1.0)
            with contextlib.suppress(TimeoutError):
                while sent < 64 << 20:
                    sent += client.send(bytes(1 << 16))
            assert sent < 64 << 20, "the sender was never slowed"


def keepalive(local: int, remote: int) -> bool:
    """Whether the established connection between these ports has proc(5)'s keepalive timer running."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        rows = [line.split() for line in file]
    return any(
        row[1].endswith(f":{local:04X}") and row[2].endswith(f":{remote:04X}") and row[5].startswith("02:")
        for row in rows[1:]
    )


def test_a_peer_that_is_gone_without_a_word_is_noticed_by_the_system_on_both_sides() -> None:
    peers: list[int] = []

    def handle(connection: socket.socket) -> None:
        assert connection.recv(2) == b"hi"
        peers.append(connection.getpeername()[1])
        connection.recv(1)

    with server(handle) as model_server, tap(model_server.port) as running, running.connect() as client:
        client.sendall(b"hi")
        wait_for(lambda: peers, "the server was reached")
        own = client.getsockname()[1]
        wait_for(lambda: keepalive(running.port, own), "keepalive towards the client")
        wait_for(lambda: keepalive(peers[0], model_server.port), "keepalive towards the server")


def ask(client: socket.socket) -> bytes:
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    return client.recv(10)


def test_a_server_that_is_not_there_resets_the_client_and_is_counted() -> None:
    with tap(free_port()) as running:
        for count in range(1, 4):
            with pytest.raises(ConnectionResetError), running.connect() as client:
                ask(client)
            wait_for(
                lambda count=count: running.words[Tap.UPSTREAM_FAILURES] == count, "the failure is counted"
            )
        wait_for(lambda: running.open_connections() == 0, "the connections are closed")


def test_many_connections_that_come_and_go_leave_none_open() -> None:
    def handle(connection: socket.socket) -> None:
        connection.sendall(read_exactly(connection, 10))

    with server(handle) as model_server, tap(model_server.port) as running:
        generator = random.Random(7)
        for _ in range(200):
            with running.connect() as client:
                if generator.random() < 0.8:
                    client.sendall(b"0123456789")
                    assert read_exactly(client, 10) == b"0123456789"
        wait_for(lambda: running.open_connections() == 0, "the connections are closed")
        records = [Record(*record) for record in running.reader.read(1 << 30)]
    assert sum(r.kind == Kind.OPEN for r in records) == 200
    assert sum(r.kind == Kind.CLOSE for r in records) == 200


def test_a_tap_that_is_killed_is_followed_by_one_on_the_same_port_that_tells_readers_to_forget() -> None:
    def handle(connection: socket.socket) -> None:
        connection.sendall(read_exactly(connection, 5))
        connection.recv(1)

    with server(handle) as model_server:
        running = TapProcess(model_server.port)
        with running.connect() as client:
            client.sendall(b"POST ")
            assert read_exactly(client, 5) == b"POST "
            time.sleep(0.2)  # bytes are copied after they have been forwarded
            running.process.kill()
            running.process.wait(10)
            running.start()
            with running.connect() as second:  # was never refused: the listening socket is not the tap's
                second.sendall(b"POST ")
                assert read_exactly(second, 5) == b"POST "
        kinds = [r.kind for r in map(Record._make, running.reader.read(1 << 30))]
        running.stop()
    assert kinds[:5] == [Kind.OPEN, Kind.REQUEST, Kind.ANSWER, Kind.RESET, Kind.OPEN]


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"])
def test_a_server_that_closes_at_once_is_met_as_without_us(greeting: bytes) -> None:
    def handle(connection: socket.socket) -> None:
        connection.sendall(greeting)

    with server(handle) as model_server, tap(model_server.port) as running:
        for _ in range(100):
            with running.connect() as client:
                assert read_to_end(client) == greeting
        wait_for(lambda: running.open_connections() == 0, "the connections are closed")


def test_a_refusal_that_a_server_sends_before_it_closes_on_an_upload_reaches_the_client() -> None:
    refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    def handle(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(refusal)  # and closes, with most of the upload unread

    with server(handle) as model_server, tap(model_server.port) as running:
        for _ in range(50):
            with running.connect() as client:
                with contextlib.suppress(ConnectionError):
                    for _ in range(200):
                        client.sendall(bytes(20_000))
                received = bytearray()
                with contextlib.suppress(ConnectionError):
                    while data := client.recv(1000):
                        received += data
                assert received == refusal


def test_more_clients_than_the_soft_limit_of_descriptors_are_served() -> None:
    limit = 64
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard == resource.RLIM_INFINITY or hard > 4 * limit

    def handle(connection: socket.socket) -> None:
        connection.sendall(read_exactly(connection, 2))
        connection.recv(1)

    model_server = Server(handle)
    running = TapProcess(model_server.port, soft_descriptors=limit)
    clients = [running.connect() for _ in range(limit)]
    for client in clients:
        client.sendall(b"hi")
    assert [read_exactly(client, 2) for client in clients] == [b"hi"] * limit
    for client in clients:
        client.close()
    wait_for(lambda: running.open_connections() == 0, "all are closed")  # or the tap's end would reset them
    running.stop()
    model_server.stop()
