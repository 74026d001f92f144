"""Sealed halves: a side of a connection that speaks TLS; what it hands on, and what is copied, is plain.

Promises and refusals as of `sidecar.half`. TLS itself is `sidecar.tls`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from sidecar.copier import Copier, Flow
from sidecar.half import Client, Half, Server, close_flow, reset
from sidecar.tls import Layer, reason

if TYPE_CHECKING:
    from sidecar.listener import Listener


class Sealed(Half):
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


def _close_or_reset(peer: Half | None) -> None:
    if peer is not None and peer.transport is not None and not peer.transport.is_closing():
        reset(peer.transport)


class SealedClient(Sealed, Client):
    """A client that speaks TLS: the server is asked for when the handshake is done."""

    __slots__ = ("layer",)

    def __init__(self, listener: Listener, copier: Copier, flow: Flow, layer: Layer) -> None:
        Client.__init__(self, listener, copier, flow)
        self.layer = layer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Half.connection_made(self, transport)
        self.listener.clients.add(self)

    def shaken(self) -> None:
        allowed = self.listener.allowed_names
        if allowed and not self.layer.names() & allowed:
            self.listener.refused("names")
            assert self.transport is not None
            close_flow(self.copier, self.flow)
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
            close_flow(self.copier, self.flow)


class SealedServer(Sealed, Server):
    """A server that speaks TLS: joined to its client when the handshake is done."""

    __slots__ = ("joined", "layer")

    def __init__(self, client: Client, layer: Layer) -> None:
        Server.__init__(self, client)
        self.layer = layer
        self.joined = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Half.connection_made(self, transport)
        client = cast(Client, self.client)
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
            client = cast(Client, self.client)
            if client.transport is None:  # it has left meanwhile, which is no fault of the server's
                close_flow(self.copier, self.flow)
            else:
                client.listener.unreachable(client)
