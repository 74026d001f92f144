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
class ServerTls:
    """TLS towards clients: `ssl`'s own values, checked by the command line (`sidecar.tlsfile`)."""

    cert_file: str
    key_file: str
    client_ca_file: str | None
    client_auth: int
    """Of ssl.VerifyMode."""
    client_allowed_sans: tuple[str, ...]
    minimum: int
    """Of ssl.TLSVersion, as *maximum*."""
    maximum: int


@dataclass(frozen=True)
class UpstreamTls:
    """TLS towards the model server."""

    ca_file: str | None
    """None: the authorities of the system."""
    cert_file: str | None
    key_file: str | None
    server_name: str | None
    """None: the host of --upstream."""
    insecure_skip_verify: bool
    minimum: int
    maximum: int


@dataclass(frozen=True)
class TapPlan:
    """One tap process."""

    listeners: tuple[ListenerPlan, ...]
    sampling: float
    body_limit: int
    large_sampling: float = 0.0
    large_limit: int = 0
    tls: ServerTls | None = None
    upstream_tls: UpstreamTls | None = None


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
    state: str | None = None
    """Directory of the checkpoint; None: what is known ends with the process."""
    state_seconds: float = 60.0


@dataclass(frozen=True)
class IngestPlan:
    """The second door: its listening socket, the memory of its books, and who may come in."""

    listener: int
    memory: int
    web_configuration: str | None


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
    finish_seconds: float = 10.0
    """How long running requests may take once the window of *drain_seconds* is over."""
    last_scrape_seconds: float = 5.0
    ingest: IngestPlan | None = None

    def descriptors(self) -> tuple[int, ...]:
        """Every descriptor that the tap and the recorder inherit."""
        channels = {listener.channel for tap in self.taps for listener in tap.listeners}
        listeners = {listener.descriptor for tap in self.taps for listener in tap.listeners}
        ingest = {self.ingest.listener, self.ingest.memory} if self.ingest else set()
        ours = {self.recorder.metrics_listener, self.board, self.lifeline}
        return tuple(sorted({*channels, *listeners, *ingest, *ours}))

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
                tap["large_sampling"],
                tap["large_limit"],
                _server_tls(tap.get("tls")),
                UpstreamTls(**tap["upstream_tls"]) if tap.get("upstream_tls") else None,
            )
            for tap in document.pop("taps")
        )
        recorder = document.pop("recorder")
        clock = ClockPlan(**recorder.pop("clock"))
        command = tuple(document.pop("command"))
        ingest = document.pop("ingest")
        return Plan(
            taps=taps,
            recorder=RecorderPlan(clock=clock, **recorder),
            command=command,
            ingest=IngestPlan(**ingest) if ingest else None,
            **document,
        )


def _server_tls(document: dict[str, Any] | None) -> ServerTls | None:
    if document is None:
        return None
    return ServerTls(client_allowed_sans=tuple(document.pop("client_allowed_sans")), **document)
