"""The tap: forwards bytes both ways between clients and the model server, and copies them.

Promises: bytes, their order, half-closes and resets arrive as they were sent; a slow reader slows its
sender and nothing else; no time-out of ours ends a connection; nothing of the copying can delay, change or
fail the forwarding (it happens after the bytes have been written, and a fault of it switches itself off).
Refuses: to parse, to retry, to pool. A server that cannot be reached resets the client's connection,
which is what the client would have met without us.

Runs as a process of its own: ``python -m sidecar.tap PLAN`` with an inherited plan (`sidecar.plan`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import struct
import sys
from time import monotonic_ns
from typing import cast

import uvloop

from sidecar.copier import ANSWER, REQUEST, Copier, Flow
from sidecar.plan import Plan, TapPlan
from sidecar.ring import RingWriter
from sidecar.words import Tap, Words, attach, words

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

READ_AHEAD = 65_536
"""Bytes kept of a client that talks before the server has accepted; more is left in its socket. asyncio
streams and uvicorn hold as much (64 KiB)."""

REST_READS = 64
"""Reads of what a server had said before it closed on us: 4 MiB, more than a receive buffer holds."""

NOTES_SECONDS = 0.05
"""How often notes that wait for room in the ring are tried again."""


class _Half(asyncio.Protocol):
    """One side of a connection: the client's or the server's."""

    __slots__ = ("copier", "deaf", "descriptor", "direction", "ended", "flow", "held", "peer", "transport")

    def __init__(self, direction: int, copier: Copier, flow: Flow) -> None:
        self.direction = direction
        self.copier = copier
        self.flow = flow
        self.peer: _Half | None = None
        self.transport: asyncio.Transport | None = None
        self.descriptor = -1
        self.held: list[bytes] = []
        """Bytes of the client that came before the server had accepted."""
        self.ended = False
        """This side has sent its last byte."""
        self.deaf = False
        """This side can not be written to any more; what it has said may still be on its way to us."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.descriptor = transport.get_extra_info("socket").fileno()

    def data_received(self, data: bytes) -> None:
        peer = self.peer
        if peer is None:
            self.held.append(data)
            if sum(map(len, self.held)) > READ_AHEAD and self.transport is not None:
                self.transport.pause_reading()
            return
        peer.send(data)
        flow = self.flow
        try:
            if flow.off:
                self.copier.uncopied(flow, self.direction, data)
            else:
                self.copier.data(flow, self.direction, data, monotonic_ns())
        except Exception:
            _off(self.copier, flow)

    def send(self, data: bytes) -> None:
        """Write at once when nothing is queued (10 % more requests/s than transport.write), else queue."""
        transport = self.transport
        if transport is None or self.deaf or transport.is_closing():
            return
        if transport.get_write_buffer_size() == 0:
            try:
                written = os.write(self.descriptor, data)
            except (BlockingIOError, InterruptedError):
                written = 0
            except OSError:
                # A server that refuses an upload answers, and closes without reading on. Its answer is
                # still to be read; the end of it ends the connection.
                self.deaf = True
                return
            if written == len(data):
                return
            data = data[written:]
        transport.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        peer = self.peer
        if peer is not None and peer.transport is not None and not peer.transport.is_closing():
            if peer.ended:
                # Both have said all: closing flushes what is queued.
                peer.transport.close()
                return False
            if not peer.deaf:
                peer.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        transport = self.peer.transport if self.peer is not None else None
        if transport is not None and not transport.is_closing():
            transport.pause_reading()

    def resume_writing(self) -> None:
        transport = self.peer.transport if self.peer is not None else None
        if transport is not None and not transport.is_closing():
            transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        peer = self.peer
        if peer is not None and exc is not None:
            self._read_the_rest(peer)
        self.peer = self.transport = None
        if peer is None:
            return
        other = peer.transport
        if other is None:
            _close(self.copier, self.flow)
        elif not other.is_closing():
            # A reset would discard what is still on its way to the other side: a refusal, say, that a server
            # sent before it closed on an upload.
            answered = self.deaf and self.flow.direction == self.direction
            if exc is not None and not answered and other.get_write_buffer_size() == 0:
                reset(other)
            else:
                other.close()  # flushes what is queued

    def _read_the_rest(self, peer: _Half) -> None:
        """Pass on what had arrived when this side failed: uvloop ends a transport without reading on."""
        for _ in range(REST_READS):
            try:
                data = os.read(self.descriptor, READ_AHEAD)
            except OSError:
                return
            if not data or peer.transport is None or peer.transport.is_closing():
                return
            self.data_received(data)
            self.deaf = True


def _off(copier: Copier, flow: Flow) -> None:
    """A fault of ours while copying: this connection goes on without a copy."""
    try:
        copier.fault(flow, monotonic_ns())
    except Exception:
        flow.off = True


def _open(copier: Copier) -> Flow:
    try:
        return copier.open(monotonic_ns())
    except Exception:
        flow = Flow(0, 0)
        flow.off = True
        return flow


def _close(copier: Copier, flow: Flow) -> None:
    try:
        copier.close(flow, monotonic_ns())
    except Exception:
        flow.off = True


def reset(transport: asyncio.Transport) -> None:
    """End *transport* with RST, as the other side's connection was ended."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


class _Server(_Half):
    """The server's side: joined to its client the moment it stands, before a byte of it is read."""

    __slots__ = ("client",)

    def __init__(self, client: _Half) -> None:
        super().__init__(ANSWER, client.copier, client.flow)
        self.client = client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        client = self.client
        if client.transport is None:  # it has left meanwhile
            _close(self.copier, self.flow)
            cast(asyncio.Transport, transport).abort()
            return
        client.peer, self.peer = self, client
        held, client.held = client.held, []
        for data in held:
            client.data_received(data)
        if client.ended and not self.deaf:
            cast(asyncio.Transport, transport).write_eof()
        if not client.transport.is_closing():
            client.transport.resume_reading()


class _Client(_Half):
    """The client's side: it asks for the server's when it stands."""

    __slots__ = ("listener",)

    listener: Listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.listener.join(self)


class Listener:
    """Accepts clients of one listening socket and joins each to a connection of its own to the server."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, copier: Copier, page: Words, host: str, port: int
    ) -> None:
        self._loop = loop
        self._copier = copier
        self._words = page
        self._host = host
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self) -> _Half:
        """The protocol for a client that has connected (asyncio's protocol factory)."""
        client = _Client(REQUEST, self._copier, _open(self._copier))
        client.listener = self
        return client

    def join(self, client: _Half) -> None:
        """Connect to the server on behalf of *client*."""
        task = self._loop.create_task(self._connect(client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, client: _Half) -> None:
        try:
            await self._loop.create_connection(lambda: _Server(client), self._host, self._port)
        except (
            Exception
        ):  # refused, no descriptors left, no such name: the client meets what it would without us
            self._words[Tap.UPSTREAM_FAILURES] += 1
            if client.peer is None:
                _close(self._copier, client.flow)
                if client.transport is not None:
                    reset(client.transport)
        else:
            self._words[Tap.UPSTREAM_CONNECTS] += 1


async def run(plan: TapPlan, lifeline: int) -> None:
    """Forward until SIGTERM, or until the supervisor is gone (it holds the other end of *lifeline*)."""
    loop = asyncio.get_running_loop()
    servers, copiers = [], []
    for listener in plan.listeners:
        memory = attach(listener.channel)
        page = words(memory)
        copier = Copier(RingWriter(memory), page, plan.sampling, plan.body_limit)
        if page[Tap.HEAD]:  # a tap before us died, and its connections with it
            page[Tap.CONNECTIONS_CLOSED] = page[Tap.CONNECTIONS_OPENED]
            copier.reset(monotonic_ns())
        copiers.append(copier)
        accepting = Listener(loop, copier, page, listener.upstream_host, listener.upstream_port)
        listening = socket.socket(fileno=listener.descriptor)
        servers.append(await loop.create_server(accepting.accept, sock=listening, backlog=listener.backlog))
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # The terminal's Ctrl-C reaches the whole group; the supervisor decides when forwarding ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    loop.add_reader(lifeline, stop.set)
    while not stop.is_set():
        now = monotonic_ns()
        for copier in copiers:
            copier.flush(now)
        try:
            await asyncio.wait_for(stop.wait(), NOTES_SECONDS)
        except TimeoutError:
            continue
    for server in servers:
        server.close()


def main(arguments: list[str]) -> None:
    """``python -m sidecar.tap NUMBER DESCRIPTOR``: run tap NUMBER of the plan behind DESCRIPTOR."""
    number, descriptor = map(int, arguments)
    plan = Plan.read(descriptor)
    # Each client costs two descriptors, and the soft limit is 1,024 on most systems.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(run(plan.taps[number], plan.lifeline))


if __name__ == "__main__":
    main(sys.argv[1:])
