"""Halves: the two sides of a connection, client's and server's, each handing its bytes to the other.

Promises: bytes, their order, half-closes and resets arrive as they were sent; a slow reader slows its sender
and nothing else; copying comes after the bytes have been written, and a fault of it switches itself off.
Refuses: to parse, to retry, to pool.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from time import monotonic_ns
from typing import TYPE_CHECKING, cast

from sidecar.copier import ANSWER, REQUEST, Copier, Flow

if TYPE_CHECKING:
    from sidecar.listener import Listener

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

READ_AHEAD = 65_536
"""Bytes kept of a client that talks before the server has accepted; more is left in its socket. asyncio
streams and uvicorn hold as much (64 KiB)."""

PIECES_AHEAD = 64
"""In so many pieces at most: each costs, and a client may send bytes one by one."""

REST_READS = 64
"""Reads of what a server had said before it closed on us: 4 MiB, more than a receive buffer holds."""


class Half(asyncio.Protocol):
    """One side of a connection: the client's or the server's."""

    __slots__ = (
        "copier", "deaf", "descriptor", "direction", "ended", "flow", "full", "held", "peer", "told",
        "transport",
    )  # fmt: skip

    def __init__(self, direction: int, copier: Copier, flow: Flow) -> None:
        self.direction = direction
        self.copier = copier
        self.flow = flow
        self.peer: Half | None = None
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
            switch_off(self.copier, flow)

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
            close_flow(self.copier, self.flow)
        elif not other.is_closing():
            # A reset would discard what is still on its way to the other side: a refusal, say, that a server
            # sent before it closed on an upload.
            answered = self.deaf and self.flow.direction == self.direction
            if exc is not None and not answered and other.get_write_buffer_size() == 0:
                reset(other)
            else:
                peer.close()

    def _read_the_rest(self, peer: Half) -> None:
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


def switch_off(copier: Copier, flow: Flow) -> None:
    """A fault of ours while copying: this connection goes on without a copy."""
    try:
        copier.fault(flow, monotonic_ns())
    except Exception:
        flow.off = True


def open_flow(copier: Copier) -> Flow:
    try:
        return copier.open(monotonic_ns())
    except Exception:
        flow = Flow(0, 0)
        flow.off = True
        return flow


def close_flow(copier: Copier, flow: Flow) -> None:
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


class Server(Half):
    """The server's side: joined to its client the moment it stands, before a byte of it is read."""

    __slots__ = ("client",)

    def __init__(self, client: Half) -> None:
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
            close_flow(self.copier, self.flow)
            transport.abort()
            return
        client.peer, self.peer = self, client
        held, client.held = client.held, []
        for data in held:
            Half.data_received(client, data)  # opened already, where it is sealed
        if client.ended and not self.deaf:
            self.end()
        if not self.full and not client.transport.is_closing():
            client.transport.resume_reading()


class Client(Half):
    """The client's side: it asks for the server's when it stands."""

    __slots__ = ("awaited", "listener")

    def __init__(self, listener: Listener, copier: Copier, flow: Flow) -> None:
        super().__init__(REQUEST, copier, flow)
        self.listener = listener
        self.awaited: Half | None = None
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
