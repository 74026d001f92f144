"""The plan: everything the three processes need to know, written once by the command line.

Promises: frozen, made of plain values and inherited descriptors, and cheap to read (standard library
only: the supervisor and the tap import nothing else of ours that is large).
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ListenerPlan:
    """One listening socket, the server behind it, and the channel its bytes are copied to."""

    protocol: str
    address: str
    descriptor: int
    upstream_host: str
    upstream_port: int
    channel: int
    backlog: int


@dataclass(frozen=True)
class TapPlan:
    """One tap process."""

    listeners: tuple[ListenerPlan, ...]
    sampling: float
    body_limit: int


@dataclass(frozen=True)
class ClockPlan:
    """The recorder's clock: Unix *start* at monotonic *origin* nanoseconds, running *rate* times as fast;
    None as start is the wall clock."""

    start: float | None
    rate: float
    origin: int


@dataclass(frozen=True)
class RecorderPlan:
    """The recorder."""

    configuration: str | None
    web_configuration: str | None
    metrics_listener: int
    clock: ClockPlan
    nice: int


@dataclass(frozen=True)
class Plan:
    """The whole sidecar."""

    taps: tuple[TapPlan, ...]
    recorder: RecorderPlan
    board: int
    lifeline: int
    """Read end of a pipe whose write end only the supervisor holds: it ends when the supervisor does."""
    lifeline_writer: int
    health_listener: int | None
    command: tuple[str, ...]
    """The model server to start, or nothing when it runs beside us."""
    drain_seconds: float
    memory_limit_bytes: int | None
    """What the recorder may use before it is replaced; None when nothing limits us."""
    hang_seconds: float

    def descriptors(self) -> tuple[int, ...]:
        """Every descriptor that the tap and the recorder inherit."""
        channels = {listener.channel for tap in self.taps for listener in tap.listeners}
        listeners = {listener.descriptor for tap in self.taps for listener in tap.listeners}
        return tuple(
            sorted({*channels, *listeners, self.recorder.metrics_listener, self.board, self.lifeline})
        )

    def write(self) -> int:
        """Put the plan into a memory file; returns its descriptor, which children may inherit."""
        descriptor = os.memfd_create("modelmeter-plan")
        os.write(descriptor, json.dumps(asdict(self)).encode())
        os.set_inheritable(descriptor, True)
        return descriptor

    @staticmethod
    def read(descriptor: int) -> Plan:
        """The plan behind *descriptor*, which stays open for whoever is started next."""
        document: dict[str, Any] = json.loads(os.pread(descriptor, os.fstat(descriptor).st_size, 0))
        taps = tuple(
            TapPlan(
                tuple(ListenerPlan(**listener) for listener in tap["listeners"]),
                tap["sampling"],
                tap["body_limit"],
            )
            for tap in document.pop("taps")
        )
        recorder = document.pop("recorder")
        clock = ClockPlan(**recorder.pop("clock"))
        command = tuple(document.pop("command"))
        return Plan(taps=taps, recorder=RecorderPlan(clock=clock, **recorder), command=command, **document)
