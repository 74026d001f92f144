"""Listener: one listening socket; each client that comes is joined to a connection of its own to the server.

A server that cannot be reached resets the client's connection, which is what the client would have met
without us.
"""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from collections.abc import Sequence
from typing import cast

from sidecar.copier import REQUEST, Copier
from sidecar.half import Client, Half, Server, close_flow, open_flow, reset
from sidecar.log import log
from sidecar.plan import ListenerPlan
from sidecar.sealed import SealedClient, SealedServer
from sidecar.tls import Contexts, Layer
from sidecar.words import Tap, Words

RECENT_SECONDS = 1.0
"""A server that has spoken within it may be in the middle of an answer."""

TELL_SECONDS = 10.0
"""At most one line in the log for so long about clients whose TLS is refused: anybody can cause it."""

TCP_INFO_BYTES = 104
LAST_DATA_RECEIVED = 52
"""Of struct tcp_info in linux/tcp.h: its offset of tcpi_last_data_recv, in milliseconds."""


class Listener:
    """Accepts clients of one listening socket and joins each to a connection of its own to the server."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        copier: Copier,
        page: Words,
        plan: ListenerPlan,
        tls: Contexts | None = None,
        upstream_tls: Contexts | None = None,
        *,
        allowed_names: Sequence[str] = (),
        server_name: str | None = None,
    ) -> None:
        self._loop = loop
        self._copier = copier
        self._words = page
        self._plan = plan
        self._tls = tls
        self._upstream_tls = upstream_tls
        self._server_name = server_name or plan.upstream_host
        self._tasks: set[asyncio.Task[None]] = set()
        self.allowed_names = frozenset(allowed_names)
        self.clients: set[Client] = set()
        self._refusals = 0
        self._told_at = -TELL_SECONDS

    def accept(self) -> asyncio.Protocol:
        """The protocol for a client that has connected (asyncio's protocol factory)."""
        if self._tls is None:
            return Client(self, self._copier, open_flow(self._copier))
        context = self._tls.get(self._plan.protocol)
        if context is None:
            return _Refused()
        layer = Layer(context, server_side=True)
        return SealedClient(self, self._copier, open_flow(self._copier), layer)

    def join(self, client: Client) -> None:
        """Connect to the server on behalf of *client*."""
        task = self._loop.create_task(self._connect(client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, client: Client) -> None:
        plan = self._plan
        try:
            await self._loop.create_connection(
                lambda: self._server(client), plan.upstream_host, plan.upstream_port
            )
        except (
            Exception
        ):  # refused, no descriptors left, no such name: the client meets what it would without us
            self.unreachable(client)
        else:
            self._words[Tap.UPSTREAM_CONNECTS] += 1

    def _server(self, client: Client) -> Server:
        if self._upstream_tls is None:
            return Server(client)
        context = self._upstream_tls.get(self._plan.protocol)
        if context is None:
            raise ValueError("no certificates")
        return SealedServer(client, Layer(context, server_side=False, hostname=self._server_name))

    def unreachable(self, client: Half) -> None:
        """There is no server for *client*."""
        self._words[Tap.UPSTREAM_FAILURES] += 1
        if client.peer is None:
            close_flow(self._copier, client.flow)
            if client.transport is not None:
                reset(client.transport)

    def refused(self, why: str) -> None:
        """Tell of clients whose TLS was refused, now and then."""
        self._refusals += 1
        now = self._loop.time()
        if now - self._told_at >= TELL_SECONDS:
            self._told_at = now
            log("warning", "TLS with clients was refused", times=self._refusals, reason=why)

    def busy(self) -> int:
        """Connections on which something may be under way: whose client spoke last, or whose server has
        just spoken, or that have bytes queued. The recorder knows better what it can read."""
        count = 0
        for client in self.clients:
            server = client.peer
            if server is None:
                count += bool(client.held)
            elif client.flow.direction == REQUEST or client.busy() or server.busy():
                count += 1
            else:
                count += silent_seconds(server) < RECENT_SECONDS
        return count


class _Refused(asyncio.Protocol):
    """A client that can not be served, since there are no certificates."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).abort()


def silent_seconds(half: Half) -> float:
    """Since when no bytes have come from this side, by the kernel's own count."""
    connection = half.transport.get_extra_info("socket") if half.transport is not None else None
    if connection is None:
        return math.inf
    try:
        found = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
        milliseconds: int = struct.unpack_from("=I", found, LAST_DATA_RECEIVED)[0]
    except (OSError, struct.error):
        return math.inf
    return milliseconds * 1e-3
