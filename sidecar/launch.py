"""Launch: from checked settings to a plan, with every socket bound and every channel made.

Promises: what can be known to be wrong is told before anything is started; sockets are bound once, here,
so a tap or a recorder that is replaced goes on with the same ones and no connection is refused meanwhile.
"""

from __future__ import annotations

import ipaddress
import os
import re
import signal
import socket
import sys
from dataclasses import dataclass
from time import monotonic_ns
from typing import TYPE_CHECKING

from sidecar.cgroup import cpu_quota, memory_limit_bytes
from sidecar.plan import (
    ClockPlan,
    IngestPlan,
    ListenerPlan,
    Plan,
    RecorderPlan,
    ServerTls,
    TapPlan,
    UpstreamTls,
)
from sidecar.words import DOOR_BYTES, PAGE, create

if TYPE_CHECKING:  # it loads numpy, and a probe runs every few seconds
    from exporter.schema import Limits

PROTOCOLS = ("http", "grpc")
"""What a client of that listener will speak; what is read is what comes, HTTP/1 and HTTP/2 behind either."""

BACKLOG = 4096
"""Connections that may wait to be accepted; the kernel's own limit (net.core.somaxconn) is 4096 too."""

RECORDER_MEMORY_SHARE = 0.7
"""Of the container's memory; one OOM kill takes the whole container on current kubelets, tap included."""


class SettingError(ValueError):
    """What is wrong with a flag: *flag*, what was expected, what was found."""

    def __init__(self, flag: str, expected: str, found: str) -> None:
        super().__init__(f"{flag}: expected {expected}, found {found}")


@dataclass(frozen=True)
class Address:
    """A host and a port.

    >>> Address.parse("--metrics-listen", "[::1]:9464")
    Address(host='::1', port=9464)
    """

    host: str
    port: int

    @staticmethod
    def parse(flag: str, text: str) -> Address:
        """HOST:PORT, HOST in brackets when it is IPv6; raises `SettingError`."""
        match = re.fullmatch(r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:\[\]]*)):(?P<port>\d{1,5})", text)
        if match is None or not int(match["port"]) <= 65535:
            raise SettingError(flag, "HOST:PORT", repr(text))
        host = match["v6"] or match["host"] or "0.0.0.0"
        try:
            host.encode("idna")
        except UnicodeError:
            raise SettingError(flag, "a host name with parts of 1 to 63 characters", repr(host)) from None
        return Address(host, int(match["port"]))

    @property
    def loopback(self) -> bool:
        """Whether only this machine (in a pod: its containers) can connect.

        >>> Address("127.0.0.1", 80).loopback, Address("0.0.0.0", 80).loopback
        (True, False)
        """
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_route(flag: str, text: str) -> tuple[str, Address]:
    """PROTOCOL=HOST:PORT; raises `SettingError`.

    >>> parse_route("--listen", "http=127.0.0.1:8080")
    ('http', Address(host='127.0.0.1', port=8080))
    """
    protocol, equals, address = text.partition("=")
    if not equals or protocol not in PROTOCOLS:
        raise SettingError(
            flag, f"PROTOCOL=HOST:PORT with PROTOCOL one of {', '.join(PROTOCOLS)}", repr(text)
        )
    return protocol, Address.parse(flag, address)


def pair(listens: tuple[str, ...], upstreams: tuple[str, ...]) -> list[tuple[str, Address, Address]]:
    """Each listener with the server of the same protocol; raises `SettingError`."""
    servers: dict[str, Address] = {}
    for text in upstreams:
        protocol, address = parse_route("--upstream", text)
        if protocol in servers:
            raise SettingError("--upstream", f"one server for {protocol}", f"{text!r} as a second one")
        if address.port == 0:
            raise SettingError("--upstream", "a port from 1 to 65535", repr(text))
        servers[protocol] = address
    routes = []
    for text in listens:
        protocol, address = parse_route("--listen", text)
        if protocol not in servers:
            raise SettingError("--upstream", f"{protocol}=HOST:PORT, since --listen {text} needs it", "none")
        routes.append((protocol, address, servers[protocol]))
    if not routes:
        raise SettingError("--listen", "at least one PROTOCOL=HOST:PORT", "none")
    if unused := set(servers) - {protocol for protocol, _, _ in routes}:
        protocol = min(unused)
        raise SettingError(
            "--listen", f"{protocol}=HOST:PORT, since --upstream {protocol}=… is given", "none"
        )
    return routes


def listen(flag: str, address: Address) -> int:
    """A socket that listens on *address*, as a descriptor children inherit; raises `SettingError`."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address.host, address.port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        reason = (error.strerror or str(error)).lower()
        raise SettingError(flag, "an address that is free here", f"{address} ({reason})") from None
    listening.setblocking(False)
    listening.set_inheritable(True)
    return listening.detach()


def default_taps() -> int:
    """Half of the processors the container may use, at least one: the model server wants the rest."""
    return max(1, int(cpu_quota()) // 2)


@dataclass(frozen=True)
class Settings:
    """What the command line says, checked."""

    routes: list[tuple[str, Address, Address]]
    metrics: Address
    health: Address | None
    configuration: str | None
    web_configuration: str | None
    clock: tuple[float, float] | None
    taps: int
    drain_seconds: float
    hang_seconds: float
    recorder_nice: int
    command: tuple[str, ...]
    finish_seconds: float = 10.0
    last_scrape_seconds: float = 5.0
    ingest: Address | None = None
    ingest_configuration: str | None = None
    listen_tls: ServerTls | None = None
    upstream_tls: UpstreamTls | None = None
    state: str | None = None
    state_seconds: float = 60.0


def make_plan(settings: Settings, sampling: float, limits: Limits) -> Plan:
    """Bind the sockets and make the channels; raises `SettingError` when an address is taken."""
    descriptors = [(route, listen("--listen", route[1])) for route in settings.routes]
    taps = tuple(
        TapPlan(
            listeners=tuple(
                ListenerPlan(
                    protocol=protocol,
                    address=str(address),
                    descriptor=descriptor,
                    upstream_host=upstream.host,
                    upstream_port=upstream.port,
                    channel=create(f"modelmeter-channel-{protocol}-{number}", PAGE + limits.ring_bytes),
                    backlog=BACKLOG,
                )
                for (protocol, address, upstream), descriptor in descriptors
            ),
            sampling=sampling,
            # A head is never cut, whatever the limit of bodies.
            body_limit=limits.header_bytes + limits.body_bytes,
            large_sampling=limits.large_sampling,
            large_limit=limits.header_bytes + limits.large_body_bytes,
            tls=settings.listen_tls,
            upstream_tls=settings.upstream_tls,
        )
        for number in range(settings.taps)
    )
    lifeline, lifeline_writer = os.pipe()
    os.set_inheritable(lifeline, True)
    os.set_inheritable(lifeline_writer, True)  # over one exec, to the supervisor, which keeps it to itself
    start, rate = settings.clock or (None, 1.0)
    memory = memory_limit_bytes()
    return Plan(
        taps=taps,
        recorder=RecorderPlan(
            configuration=os.path.abspath(settings.configuration) if settings.configuration else None,
            web_configuration=os.path.abspath(settings.web_configuration)
            if settings.web_configuration
            else None,
            metrics_listener=listen("--metrics-listen", settings.metrics),
            clock=ClockPlan(start, rate, monotonic_ns()),
            nice=settings.recorder_nice,
            state=os.path.abspath(settings.state) if settings.state else None,
            state_seconds=settings.state_seconds,
        ),
        board=create("modelmeter-board", PAGE),
        lifeline=lifeline,
        lifeline_writer=lifeline_writer,
        health_listener=listen("--health-listen", settings.health) if settings.health else None,
        command=settings.command,
        drain_seconds=settings.drain_seconds,
        memory_limit_bytes=int(memory * RECORDER_MEMORY_SHARE) if memory else None,
        hang_seconds=settings.hang_seconds,
        finish_seconds=settings.finish_seconds,
        last_scrape_seconds=settings.last_scrape_seconds,
        ingest=_ingest_plan(settings),
    )


def _ingest_plan(settings: Settings) -> IngestPlan | None:
    if settings.ingest is None:
        return None
    path = settings.ingest_configuration
    return IngestPlan(
        listener=listen("--ingest-listen", settings.ingest),
        memory=create("modelmeter-ingest", DOOR_BYTES),
        web_configuration=os.path.abspath(path) if path else None,
    )


def state_directory(path: str | None) -> str | None:
    """*path*, made if it was not there; raises `SettingError` when nothing can be written to it."""
    if path is not None:
        try:
            os.makedirs(path, exist_ok=True)
        except OSError as error:
            raise SettingError(
                "--state", "a directory", f"{path!r} ({(error.strerror or str(error)).lower()})"
            ) from None
        if not os.access(path, os.W_OK | os.X_OK):
            raise SettingError("--state", "a directory that can be written to", repr(path))
    return path


def become_supervisor(plan: Plan) -> None:
    """Replace this process, which has grown by checking everything, by the small supervisor."""
    descriptor = plan.write()
    # `modelmeter drain` may find the supervisor before it has begun to listen for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    os.execv(  # noqa: S606  (no shell is what we want)
        sys.executable, [sys.executable, "-P", "-m", "sidecar.supervisor", str(descriptor)]
    )
