"""Child processes of the demo: each with a log, all ended together.

Promises: every child leads a process group of its own (so that Ctrl-C in the terminal reaches the demo
alone, which then ends the children in order); leaving the ``with`` block ends all of them, the last
started first, asked (SIGTERM), then forced (SIGKILL) with whatever they started themselves.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from sidecar.demo.errors import DemoError

LOOPBACK = "127.0.0.1"

#: How long a child may take to end when asked. MLServer needs 1 to 2 s, the sidecar as long as its requests.
STOP_SECONDS = 8.0


class Process:
    """One child: its name, its log, and whether it still runs."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        folder: Path | None,
    ) -> None:
        self.name = name
        self.log = log
        self.finished = False
        """Whether it was meant to end, and did."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            self._child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                cwd=folder,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Also the id of its process group."""
        return self._child.pid

    def exit_status(self) -> int | None:
        """None while it runs."""
        return self._child.poll()

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Return as soon as *ready*() is true.

        Raises DemoError, naming the log, when the child ends before or *seconds* have passed.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if self.exit_status() is not None:
                raise DemoError(
                    f"{self.name} ended with status {self.exit_status()} instead of starting; see {self.log}"
                )
            if time.monotonic() > deadline:
                raise DemoError(f"{self.name} was not ready within {seconds:.0f} s; see {self.log}")
            time.sleep(0.05)

    def finish(self, seconds: float) -> None:
        """Wait until it has done its work; DemoError, naming the log, when it fails or takes too long."""
        try:
            status = self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise DemoError(f"{self.name} took more than {seconds:.0f} s; see {self.log}") from None
        if status:
            raise DemoError(f"{self.name} failed with status {status}; see {self.log}")
        self.finished = True

    def stop(self) -> None:
        """Ask it to end, as an orchestrator would; after `STOP_SECONDS` end its whole group, in any case."""
        if self._child.poll() is None:
            self._child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._child.wait()


class Processes:
    """Starts children and ends them all when the ``with`` block is left."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[Process] = []

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> Process:
        """Start *command* as *name*; its output goes to ``NAME.log``."""
        process = Process(name, command, self._logs / f"{name}.log", environment or {}, folder)
        self._running.append(process)
        return process

    def check(self) -> None:
        """Raise DemoError, naming the log, when one of them has ended by itself."""
        for process in self._running:
            status = process.exit_status()
            if status is not None and not process.finished:
                raise DemoError(f"{process.name} ended unexpectedly with status {status}; see {process.log}")

    def stop(self) -> None:
        """End all of them, the last started first."""
        while self._running:
            self._running.pop().stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Ports:
    """Hands out TCP ports of the loopback address on which nothing listens, none of them twice.

    >>> ports = Ports()
    >>> ports.take() != ports.take()
    True
    """

    def __init__(self) -> None:
        self._given: set[int] = set()

    def take(self, preferred: int = 0) -> int:
        """*preferred* when it is free, else one that the kernel chooses."""
        for candidate in self._candidates(preferred):
            with socket.socket() as probe:
                # As servers do: a port whose old connections linger in TIME_WAIT is free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((LOOPBACK, candidate))
                except OSError:
                    continue
                port: int = probe.getsockname()[1]
            if port not in self._given:
                self._given.add(port)
                return port
        raise DemoError("no TCP port is free on 127.0.0.1")

    @staticmethod
    def _candidates(preferred: int) -> Iterator[int]:
        if preferred:
            yield preferred
        for _ in range(100):
            yield 0
