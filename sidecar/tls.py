"""TLS of the tap: one side's bytes sealed and opened in memory, and the contexts they are sealed with.

Promises: what the tap copies is plain; a connection keeps the certificate it began with, new ones get what
the files hold now; files that can not be used leave in force what was, told once each time they change.
No time-out of ours here either: the transports below stay plain ones, with their back-pressure, and a
connection is as idle as its ends leave it.
Refuses: renegotiation. Why not asyncio's own TLS: it keeps decrypted bytes of its own, and drops them when
the connection ends while the other side is slow; and it ends a closing connection by a timer (30 s).

A side that ends is told so by close_notify and FIN, which TLS 1.3 makes a half-close. Under TLS 1.2 the
other end answers a close with its own (RFC 5246, 7.2.1): a half-close there is the end.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Sequence

from sidecar.log import log
from sidecar.plan import ServerTls, UpstreamTls

ALPN = {"grpc": "h2", "http": "http/1.1"}
"""What is spoken behind a listener of each protocol; bytes are not translated, so nothing else is offered."""

CHUNK = 262_144
CHECK_SECONDS = 2.0
"""How often files are looked at; a look is a stat(2) of each."""


class Layer:
    """One side of a connection, sealed.

    >>> client = Layer(ssl.create_default_context(), server_side=False, hostname="model")
    >>> client.receive(b""), client.shaken, client.outgoing()[:1]
    (b'', False, b'\\x16')
    """

    def __init__(self, context: ssl.SSLContext, *, server_side: bool, hostname: str | None = None) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=hostname
        )
        self.shaken = False
        """The handshake is done."""
        self.ended = False
        """The other end has said that nothing more comes."""

    def receive(self, data: bytes) -> bytes:
        """What *data* holds, opened; raises ssl.SSLError, after which `outgoing` has an alert to send."""
        self._incoming.write(data)
        opened = []
        try:
            if not self.shaken:
                self._object.do_handshake()
                self.shaken = True
            while not self.ended:
                if part := self._object.read(CHUNK):
                    opened.append(part)
                else:
                    self.ended = True
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        return opened[0] if len(opened) == 1 else b"".join(opened)

    def outgoing(self) -> bytes:
        """What TLS itself has to send: parts of a handshake, alerts."""
        return self._outgoing.read()

    def seal(self, data: bytes) -> bytes:
        """*data*, sealed. Raises ssl.SSLError."""
        written = self._object.write(data)
        while written < len(data):
            written += self._object.write(memoryview(data)[written:])
        return self._outgoing.read()

    def end(self) -> bytes:
        """The message that nothing more comes from us; empty before the handshake is done."""
        if self.shaken:
            with contextlib.suppress(ssl.SSLError, ValueError):
                self._object.unwrap()
        return self._outgoing.read()

    def names(self) -> set[str]:
        """The alternative names in the other end's certificate, if it gave one that was verified."""
        certificate = self._object.getpeercert() or {}
        return {str(entry[-1]) for entry in certificate.get("subjectAltName", ())}


class Contexts:
    """The contexts of one tap for *tls*, by protocol, as its files are now."""

    def __init__(self, tls: ServerTls | UpstreamTls, protocols: Sequence[str]) -> None:
        self._tls = tls
        self._protocols = protocols
        self._stamp: object = None
        self._contexts: dict[str, ssl.SSLContext] = {}
        self.refused = 0
        """Changes of the files that could not be used."""
        self.check()

    def get(self, protocol: str) -> ssl.SSLContext | None:
        """None while there is nothing that can be used: no file could be read since this process began."""
        return self._contexts.get(protocol)

    def check(self) -> None:
        """Read the files again if they have changed."""
        stamp = self._look()
        if stamp == self._stamp:
            return
        first, self._stamp = self._stamp is None, stamp
        try:
            self._contexts = {protocol: build(self._tls, protocol) for protocol in self._protocols}
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            self.refused += 1
            log(
                "error",
                "certificates can not be used",
                file=self._file(),
                reason=reason(error),
                times=self.refused,
            )
        else:
            if not first:
                log("info", "certificates are read again", file=self._file())

    def _file(self) -> str:
        return self._tls.cert_file or (self._tls.ca_file if isinstance(self._tls, UpstreamTls) else "") or ""

    def _look(self) -> object:
        return tuple(_identity(path) for path in files(self._tls))


def files(tls: ServerTls | UpstreamTls) -> list[str]:
    """The files of *tls*."""
    authority = tls.client_ca_file if isinstance(tls, ServerTls) else tls.ca_file
    return [path for path in (tls.cert_file, tls.key_file, authority) if path is not None]


def build(tls: ServerTls | UpstreamTls, protocol: str) -> ssl.SSLContext:
    """A context for *protocol*; raises OSError or ValueError when the files do not fit."""
    if isinstance(tls, ServerTls):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.cert_file, tls.key_file, password=no_password)
        if tls.client_ca_file is not None:
            context.load_verify_locations(tls.client_ca_file)
        context.verify_mode = ssl.VerifyMode(tls.client_auth)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if tls.insecure_skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif tls.ca_file is None:
            context.load_default_certs()
        if tls.ca_file is not None:
            context.load_verify_locations(tls.ca_file)
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file, password=no_password)
    context.minimum_version = ssl.TLSVersion(tls.minimum)
    context.maximum_version = ssl.TLSVersion(tls.maximum)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols([ALPN[protocol]])
    return context


def no_password() -> str:
    """OpenSSL would ask the terminal for the password of a key, and wait."""
    raise ValueError("the key is encrypted")


def reason(error: Exception) -> str:
    """What is wrong, in a word or two, and never a path or a name of the other end."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no readable PEM").lower().replace("_", " ")
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _identity(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
