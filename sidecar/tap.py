"""The tap: forwards bytes both ways between clients and the model server, and copies them.

Promises: bytes, their order, half-closes and resets arrive as they were sent; a slow reader slows its
sender and nothing else; no time-out of ours ends a connection (whose other end is gone without a word, the
system's keepalive does, which servers ask for too); nothing of the copying can delay, change or
fail the forwarding (it happens after the bytes have been written, and a fault of it switches itself off).
Refuses: to parse, to retry, to pool. A server that cannot be reached resets the client's connection,
which is what the client would have met without us.

Runs as a process of its own: ``python -m sidecar.tap PLAN`` with an inherited plan (`sidecar.plan`).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import resource
import select
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from time import monotonic_ns
from typing import cast

import uvloop

from sidecar.copier import ANSWER, REQUEST, Copier, Flow
from sidecar.drain import Phase
from sidecar.log import log
from sidecar.plan import ListenerPlan, Plan
from sidecar.ring import RingWriter
from sidecar.tls import CHECK_SECONDS, Contexts, Layer, reason
from sidecar.words import Board, Tap, Words, attach, words

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

READ_AHEAD = 65_536
"""Bytes kept of a client that talks before the server has accepted; more is left in its socket. asyncio
streams and uvicorn hold as much (64 KiB)."""

PIECES_AHEAD = 64
"""In so many pieces at most: each costs, and a client may send bytes one by one."""

REST_READS = 64
"""Reads of what a server had said before it closed on us: 4 MiB, more than a receive buffer holds."""

NOTES_SECONDS = 0.05
"""How often notes that wait for room in the ring are tried again."""

BUSY_SECONDS = 0.25
"""How often busy connections are counted while the sidecar drains: 10,000 take 30 ms."""

RECENT_SECONDS = 1.0
"""A server that has spoken within it may be in the middle of an answer."""

TELL_SECONDS = 10.0
"""At most one line in the log for so long about clients whose TLS is refused: anybody can cause it."""

CLOSING_LOOKS = 10_000
"""Turns of the loop in which those who wait at a door that closes are let in."""

TCP_INFO_BYTES = 104
LAST_DATA_RECEIVED = 52
"""Of struct tcp_info in linux/tcp.h: its offset of tcpi_last_data_recv, in milliseconds."""


class _Half(asyncio.Protocol):
    """One side of a connection: the client's or the server's."""

    __slots__ = (
        "copier", "deaf", "descriptor", "direction", "ended", "flow", "full", "held", "peer", "told",
        "transport",
    )  # fmt: skip

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
        self.told = False
        """This side has been told that nothing more comes."""
        self.full = False
        """So much is queued for this side that the other is not read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        connection = transport.get_extra_info("socket")
        self.descriptor = connection.fileno()
        # Whoever is gone without a word is noticed when the system says (tcp_keepalive_time). A server that
        # asks its own sockets reaches no further than us.
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        peer = self.peer
        if peer is None:
            self.held.append(data)
            much = len(self.held) >= PIECES_AHEAD or sum(map(len, self.held)) > READ_AHEAD
            if much and self.transport is not None:
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
        if not self.told:  # TLS has words of its own even then, and uvloop raises
            transport.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        peer = self.peer
        if peer is not None and peer.transport is not None and not peer.transport.is_closing():
            if peer.ended:
                # Both have said all: closing flushes what is queued.
                peer.close()
                return False
            if not peer.deaf:
                peer.end()
        return True

    def end(self) -> None:
        """Tell this side that nothing more comes from the other."""
        if self.transport is not None:
            self.told = True
            self.transport.write_eof()

    def close(self) -> None:
        """End this side; what is queued for it is still sent."""
        if self.transport is not None:
            self.transport.close()

    def busy(self) -> bool:
        """Whether something is still queued for this side."""
        return self.transport is not None and self.transport.get_write_buffer_size() > 0

    def pause_writing(self) -> None:
        self.full = True
        transport = self.peer.transport if self.peer is not None else None
        if transport is not None and not transport.is_closing():
            transport.pause_reading()

    def resume_writing(self) -> None:
        self.full = False
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
                peer.close()

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
        self.join()

    def join(self) -> None:
        """From now on the two sides hear each other."""
        client, transport = self.client, self.transport
        assert transport is not None
        if client.transport is None:  # it has left meanwhile
            _close(self.copier, self.flow)
            transport.abort()
            return
        client.peer, self.peer = self, client
        held, client.held = client.held, []
        for data in held:
            _Half.data_received(client, data)  # opened already, where it is sealed
        if client.ended and not self.deaf:
            self.end()
        if not self.full and not client.transport.is_closing():
            client.transport.resume_reading()


class _Client(_Half):
    """The client's side: it asks for the server's when it stands."""

    __slots__ = ("awaited", "listener")

    def __init__(self, listener: Listener, copier: Copier, flow: Flow) -> None:
        super().__init__(REQUEST, copier, flow)
        self.listener = listener
        self.awaited: _Half | None = None
        """The server's side while it shakes hands."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.listener.clients.add(self)
        self.listener.join(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.listener.clients.discard(self)
        super().connection_lost(exc)
        awaited = self.awaited
        if awaited is not None and awaited.peer is None and awaited.transport is not None:
            awaited.transport.abort()


class _Sealed(_Half):
    """A side that speaks TLS: what it says is opened before it is passed on, what it hears is sealed.

    The transport below is a plain one, so all that is said of a plain side holds here too.
    """

    __slots__ = ()

    layer: Layer

    def data_received(self, data: bytes) -> None:
        layer = self.layer
        shaken = layer.shaken
        try:
            opened = layer.receive(data)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            super().send(layer.outgoing())  # an alert: why
            self.refuse(error)
            return
        if answer := layer.outgoing():
            super().send(answer)
        if layer.shaken and not shaken:
            self.shaken()
        if opened:
            super().data_received(opened)
        if layer.ended and not self.ended and not super().eof_received() and self.transport is not None:
            self.close()

    def eof_received(self) -> bool:
        # Without a close_notify, as many end; or after it, when all has been done.
        if not self.layer.shaken:
            return False
        return True if self.ended else super().eof_received()

    def send(self, data: bytes) -> None:
        try:
            sealed = self.layer.seal(data)
        except (OSError, ValueError) as error:
            self.refuse(error)
            return
        super().send(sealed)

    def end(self) -> None:
        super().send(self.layer.end())
        super().end()

    def close(self) -> None:
        super().send(self.layer.end())
        super().close()

    def shaken(self) -> None:
        """The handshake is done."""

    def refuse(self, error: Exception) -> None:
        """Not TLS, or not TLS that we take."""
        if self.transport is None:
            return
        if self.layer.shaken:
            self.transport.abort()
        else:
            self.transport.close()  # the alert is still sent
        _close_or_reset(self.peer)


def _close_or_reset(peer: _Half | None) -> None:
    if peer is not None and peer.transport is not None and not peer.transport.is_closing():
        reset(peer.transport)


class _SealedClient(_Sealed, _Client):
    """A client that speaks TLS: the server is asked for when the handshake is done."""

    __slots__ = ("layer",)

    def __init__(self, listener: Listener, copier: Copier, flow: Flow, layer: Layer) -> None:
        _Client.__init__(self, listener, copier, flow)
        self.layer = layer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        _Half.connection_made(self, transport)
        self.listener.clients.add(self)

    def shaken(self) -> None:
        allowed = self.listener.allowed_names
        if allowed and not self.layer.names() & allowed:
            self.listener.refused("names")
            assert self.transport is not None
            _close(self.copier, self.flow)
            self.transport.close()
            return
        self.listener.join(self)

    def refuse(self, error: Exception) -> None:
        if not self.layer.shaken:
            self.listener.refused(reason(error))
        super().refuse(error)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self.layer.shaken:
            _close(self.copier, self.flow)


class _SealedServer(_Sealed, _Server):
    """A server that speaks TLS: joined to its client when the handshake is done."""

    __slots__ = ("joined", "layer")

    def __init__(self, client: _Client, layer: Layer) -> None:
        _Server.__init__(self, client)
        self.layer = layer
        self.joined = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        _Half.connection_made(self, transport)
        client = cast(_Client, self.client)
        client.awaited = self
        if client.transport is None:  # it has left meanwhile
            self.transport.abort()  # type: ignore[union-attr]
        else:
            self.data_received(b"")  # begins the handshake

    def shaken(self) -> None:
        self.joined = True
        self.join()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self.joined:  # whoever it is, it is not the server that the client is to meet
            client = cast(_Client, self.client)
            if client.transport is None:  # it has left meanwhile, which is no fault of the server's
                _close(self.copier, self.flow)
            else:
                client.listener.unreachable(client)


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
        self.clients: set[_Client] = set()
        self._refusals = 0
        self._told_at = -TELL_SECONDS

    def accept(self) -> asyncio.Protocol:
        """The protocol for a client that has connected (asyncio's protocol factory)."""
        if self._tls is None:
            return _Client(self, self._copier, _open(self._copier))
        context = self._tls.get(self._plan.protocol)
        if context is None:
            return _Refused()
        layer = Layer(context, server_side=True)
        return _SealedClient(self, self._copier, _open(self._copier), layer)

    def join(self, client: _Client) -> None:
        """Connect to the server on behalf of *client*."""
        task = self._loop.create_task(self._connect(client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, client: _Client) -> None:
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

    def _server(self, client: _Client) -> _Server:
        if self._upstream_tls is None:
            return _Server(client)
        context = self._upstream_tls.get(self._plan.protocol)
        if context is None:
            raise ValueError("no certificates")
        return _SealedServer(client, Layer(context, server_side=False, hostname=self._server_name))

    def unreachable(self, client: _Half) -> None:
        """There is no server for *client*."""
        self._words[Tap.UPSTREAM_FAILURES] += 1
        if client.peer is None:
            _close(self._copier, client.flow)
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


def silent_seconds(half: _Half) -> float:
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


class _Door:
    """One listening socket and what accepts on it."""

    def __init__(self, descriptor: int, server: asyncio.Server) -> None:
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._server = server

    async def close(self) -> None:
        """Take in who waits already, then close: a connection that stands is not to be reset."""
        for _ in range(CLOSING_LOOKS):
            if not self._poll.poll(0):
                break
            await asyncio.sleep(0)
        self._server.close()


async def run(plan: Plan, number: int) -> None:
    """Forward as tap *number* until SIGTERM, or until the supervisor is gone (it holds the other end of the
    lifeline)."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_unexpected)
    own, board = plan.taps[number], words(attach(plan.board))
    protocols = sorted({listener.protocol for listener in own.listeners})
    tls = Contexts(own.tls, protocols) if own.tls is not None else None
    upstream_tls = Contexts(own.upstream_tls, protocols) if own.upstream_tls is not None else None
    doors, copiers, listeners = [], [], []
    for listener in own.listeners:
        memory = attach(listener.channel)
        page = words(memory)
        copier = Copier(
            RingWriter(memory), page, own.sampling, own.body_limit, own.large_sampling, own.large_limit
        )
        if page[Tap.HEAD]:  # a tap before us died, and its connections with it
            page[Tap.CONNECTIONS_CLOSED] = page[Tap.CONNECTIONS_OPENED]
            copier.reset(monotonic_ns())
        copiers.append(copier)
        accepting = Listener(
            loop,
            copier,
            page,
            listener,
            tls,
            upstream_tls,
            allowed_names=own.tls.client_allowed_sans if own.tls is not None else (),
            server_name=own.upstream_tls.server_name if own.upstream_tls is not None else None,
        )
        listeners.append((accepting, page))
        listening = socket.socket(fileno=listener.descriptor)
        server = await loop.create_server(accepting.accept, sock=listening, backlog=listener.backlog)
        doors.append(_Door(listener.descriptor, server))
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # The terminal's Ctrl-C reaches the whole group; the supervisor decides when forwarding ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    loop.add_reader(plan.lifeline, stop.set)
    next_check = next_look = 0.0
    while not stop.is_set():
        now = monotonic_ns()
        for _, page in listeners:
            page[Tap.BEAT] = now
        for copier in copiers:
            copier.flush(now)
        if now * 1e-9 >= next_check:
            next_check = now * 1e-9 + CHECK_SECONDS
            for contexts in (tls, upstream_tls):
                if contexts is not None:
                    contexts.check()
        phase = board[Board.DRAINING]
        if phase and now * 1e-9 >= next_look:
            next_look = now * 1e-9 + BUSY_SECONDS
            for accepting, page in listeners:
                page[Tap.BUSY] = accepting.busy()
        if phase == Phase.CLOSING:
            while doors:
                await doors.pop().close()
        try:
            await asyncio.wait_for(stop.wait(), NOTES_SECONDS)
        except TimeoutError:
            continue
    for door in doors:
        await door.close()


def _unexpected(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """A fault where no other hand catches it: told without what passed, and the forwarding goes on."""
    log("error", "a fault in the tap", kind=type(context.get("exception")).__name__)


def main(arguments: list[str]) -> None:
    """``python -m sidecar.tap NUMBER DESCRIPTOR``: run tap NUMBER of the plan behind DESCRIPTOR."""
    number, descriptor = map(int, arguments)
    plan = Plan.read(descriptor)
    # Each client costs two descriptors, and the soft limit is 1,024 on most systems.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(run(plan, number))


if __name__ == "__main__":
    main(sys.argv[1:])
