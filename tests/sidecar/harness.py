"""A tap as a process of its own between plain sockets, for tests that look at bytes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from exporter.schema import Limits
from sidecar.launch import Address, Settings, make_plan
from sidecar.plan import Plan
from sidecar.ring import RingReader
from sidecar.words import Tap, Words, attach, words

DEADLINE_SECONDS = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(condition: Callable[[], object], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)


class TapProcess:
    """A tap, its words and the reader of its ring."""

    _prefix: tuple[str, ...] = ()
    """Words before its command."""

    def __init__(
        self,
        upstream: int,
        limits: Limits = Limits(),  # noqa: B008
        sampling: float = 1.0,
        soft_descriptors: int | None = None,
    ) -> None:
        if soft_descriptors is not None:
            self._prefix = ("sh", "-c", 'ulimit -Sn "$0" && exec "$@"', str(soft_descriptors))
        self.port = free_port()
        route = ("http", Address("127.0.0.1", self.port), Address("127.0.0.1", upstream))
        nowhere = Address("127.0.0.1", 0)
        settings = Settings([route], nowhere, None, None, None, None, 1, 0.0, 5.0, 0, ())
        self.adopt(make_plan(settings, sampling, limits), self.port)

    def adopt(self, plan: Plan, port: int) -> None:
        """Run tap 0 of *plan*, which listens on *port*."""
        self.plan, self.port = plan, port
        self._descriptor = self.plan.write()
        memory = attach(self.plan.taps[0].listeners[0].channel)
        self.words: Words = words(memory)
        self.reader = RingReader(memory)
        self.start()

    def start(self) -> None:
        os.set_inheritable(self.plan.lifeline_writer, False)
        arguments = [*self._prefix, sys.executable, "-m", "sidecar.tap", "0", str(self._descriptor)]
        keep = (*self.plan.descriptors(), self._descriptor)
        self.process = subprocess.Popen(arguments, pass_fds=keep)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_SECONDS)

    def open_connections(self) -> int:
        return self.words[Tap.CONNECTIONS_OPENED] - self.words[Tap.CONNECTIONS_CLOSED]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(10)
        for descriptor in (*self.plan.descriptors(), self._descriptor, self.plan.lifeline_writer):
            os.close(descriptor)
        return status


@contextmanager
def tap(upstream: int, limits: Limits = Limits(), sampling: float = 1.0) -> Iterator[TapProcess]:  # noqa: B008
    process = TapProcess(upstream, limits, sampling)
    try:
        yield process
    finally:
        process.stop()


class Server:
    """Accepts one connection after the other and hands each to *handle*, in a thread of its own."""

    def __init__(self, handle: Callable[[socket.socket], None]) -> None:
        self._handle = handle
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.failures: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        connection.settimeout(DEADLINE_SECONDS)
        try:
            self._handle(connection)
        except BaseException as error:
            self.failures.append(error)
        finally:
            connection.close()

    def stop(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(DEADLINE_SECONDS)
        assert self.failures == []


@contextmanager
def server(handle: Callable[[socket.socket], None]) -> Iterator[Server]:
    running = Server(handle)
    try:
        yield running
    finally:
        running.stop()


def read_exactly(connection: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        data = connection.recv(min(65536, count - len(parts)))
        if not data:
            break
        parts += data
    return bytes(parts)


def read_to_end(connection: socket.socket) -> bytes:
    return read_exactly(connection, 1 << 40)
