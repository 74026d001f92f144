"""Processes the benchmarks start, and what Linux tells about them.

Promises: what is started here is ended here, by pid; a parked process (SIGSTOP) is woken before it is
asked to end. CPU time is what /proc/PID/stat says, in ticks of 10 ms; memory is /proc/PID/smaps_rollup.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class BenchError(RuntimeError):
    """A benchmark cannot be run; the message says why in one sentence."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probing:
        probing.bind(("127.0.0.1", 0))
        port: int = probing.getsockname()[1]
        return port


def wait_for(port: int, process: Process, seconds: float = 20.0) -> None:
    """Return once something accepts connections on *port*; `BenchError` when *process* ends before."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            return
        except OSError:
            pass
        if process.ended():
            raise BenchError(f"{process.name} ended at once: {process.log_tail()}")
        if time.monotonic() > deadline:
            raise BenchError(f"{process.name} did not listen within {seconds:.0f} s: {process.log_tail()}")
        time.sleep(0.05)


class Process:
    """One command, its output in *directory*, ended when the context ends."""

    def __init__(
        self, name: str, command: Sequence[str], directory: Path, environment: dict[str, str] | None = None
    ) -> None:
        self.name = name
        self._log = directory / f"{name.replace(' ', '-')}.log"
        with self._log.open("wb") as log:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {})},
            )
        self.pid = self._popen.pid

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def ended(self) -> bool:
        """Whether it has ended."""
        return self._popen.poll() is not None

    def log_tail(self) -> str:
        """The last line it wrote."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it wrote nothing"

    def end(self, seconds: float = 10.0) -> None:
        """SIGTERM to it, and SIGKILL to it and its children when it has not ended *seconds* later."""
        if self.ended():
            return
        family = [self.pid, *children(self.pid)]
        unpark(family)
        self._popen.terminate()
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            send(family, signal.SIGKILL)
            self._popen.wait(seconds)


def send(pids: Sequence[int], number: int) -> None:
    """Send signal *number* to each of *pids* that still exists."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def park(pids: Sequence[int]) -> None:
    """Stop *pids*, so that what idles here takes nothing from what is measured elsewhere."""
    send(pids, signal.SIGSTOP)


def unpark(pids: Sequence[int]) -> None:
    """Let *pids* go on."""
    send(pids, signal.SIGCONT)


def children(pid: int) -> list[int]:
    """The processes started by *pid* that still run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == pid:
                    found.append(int(entry.name))
    return found


def command_line(pid: int) -> str:
    """The command of *pid*, its arguments parted by blanks; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def cpu_seconds(pid: int) -> float:
    """CPU seconds used by *pid* so far, its threads included; steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


@dataclass(frozen=True)
class Memory:
    """Resident memory of one process, in MiB.

    *rss* counts every page it maps; *pss* counts shared ones by the share of each sharer, so the sum over
    processes is what the machine gives; *uss* counts private ones only; *peak* is the highest *rss*.
    """

    rss: float
    pss: float
    uss: float
    peak: float


def memory(pid: int) -> Memory:
    """The memory of *pid* now."""
    kilobytes: dict[str, int] = {}
    for name in ("smaps_rollup", "status"):
        for line in Path(f"/proc/{pid}/{name}").read_text().splitlines():
            key, _, rest = line.partition(":")
            if rest.endswith(" kB"):
                kilobytes[key] = int(rest.split()[0])
    private = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
    return Memory(
        rss=kilobytes["Rss"] / 1024,
        pss=kilobytes["Pss"] / 1024,
        uss=private / 1024,
        peak=kilobytes["VmHWM"] / 1024,
    )
