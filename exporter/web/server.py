"""Server: a WSGI application over HTTP or HTTPS, on cheroot's threads.

Promises: a client that connects and says nothing takes no thread (it waits in the selector), nor can it
hold up the others by dallying over its TLS handshake (which a worker does, with a timeout); one that sends a
byte now and then has its thread for `HEAD_SECONDS`, or `REQUEST_SECONDS` where a body follows; `start`
returns when the port is open and raises when it can not be; `stop` ends all threads; none keeps the process
alive.
Why cheroot: pure Python, threads, HTTP/1.1 with keep-alive, TLS through ``ssl`` contexts that may change.
waitress has no TLS, gunicorn manages processes, gevent's loop does not mix with the recorder's threads.
"""

from __future__ import annotations

import logging
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

from cheroot.makefile import MakeFile, StreamReader, StreamWriter
from cheroot.server import HTTPConnection, HTTPRequest
from cheroot.ssl import Adapter
from cheroot.wsgi import Server as WsgiServer

from exporter.errors import ErrorCounts, log
from exporter.web.auth import PasswordCheck, bears_token
from exporter.web.config import WebConfig
from exporter.web.reload import Reloading

Environ: TypeAlias = "dict[str, Any]"
StartResponse: TypeAlias = "Callable[..., Callable[[bytes], object]]"
Application: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]

#: Two Prometheus servers, a person, and one to spare. A scrape holds the interpreter lock for most of its
#: time, so more would not be faster.
THREADS = 4

#: Seconds that a client may take for its handshake or between two pieces of a request, or stay idle.
TIMEOUT_SECONDS = 10

#: Seconds from the first byte of a request to the end of its head, and of its body: 4 MiB at 1 Mbit/s.
HEAD_SECONDS = 10.0
REQUEST_SECONDS = 40.0

#: A scrape's request is half a kilobyte; Go's server takes up to 1 MiB, which is no use here.
HEADER_BYTES = 32_768
BODY_BYTES = 4_096

NOT_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


class Server:
    """Serves *app* on *host*:*port* (0 for a free one), as the file *web_config* says.

    A change of that file, or of its certificates, is picked up while running; when it is wrong at the start
    `exporter.configuration.ConfigurationError` is raised. *listening* is a socket that listens already, in
    place of the address: it may have been inherited, and a process that is replaced goes on with it.
    *body_bytes* is the longest request body that is taken in; with *tokens* the file may have bearer tokens.
    """

    def __init__(
        self,
        app: Application,
        host: str,
        port: int,
        web_config: Path | None = None,
        *,
        errors: ErrorCounts | None = None,
        listening: socket.socket | None = None,
        body_bytes: int = BODY_BYTES,
        tokens: bool = False,
    ) -> None:
        self._errors = errors or ErrorCounts()
        reloading = Reloading(web_config, self._errors, tokens=tokens)
        self._server = _Server(
            (host, port),
            Guard(app, reloading),
            numthreads=THREADS,
            max=THREADS,
            server_name="modelmeter",
            timeout=TIMEOUT_SECONDS,
            request_queue_size=128,
            shutdown_timeout=2,
        )
        self._server.errors = self._errors
        self._server.inherited = listening
        self._server.max_request_body_size = body_bytes
        if reloading.current().context is not None:
            self._server.ssl_adapter = _Tls(reloading)
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that is listened on, once started."""
        return int(self._server.bind_addr[1])

    def start(self) -> None:
        """Open the port and serve from now on; raises OSError when the port can not be had."""
        opened = threading.Event()
        failures: list[BaseException] = []

        def run() -> None:
            # cheroot's workers are daemons when the thread that prepares is one, and only then.
            try:
                self._server.prepare()
            except BaseException as error:
                failures.append(error)
                return
            finally:
                opened.set()
            self._server.serve()

        self._thread = threading.Thread(target=run, name="web", daemon=True)
        self._thread.start()
        opened.wait()
        if failures:
            raise failures[0]

    def stop(self) -> None:
        """Finish the answers begun, close the port and end the threads; up to 3 s."""
        self._server.stop()
        if self._thread is not None:
            self._thread.join(timeout=3)


class Guard:
    """The application behind users' passwords and the configured headers."""

    def __init__(self, app: Application, reloading: Reloading) -> None:
        self._app = app
        self._reloading = reloading
        self._passwords = PasswordCheck()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        config = self._reloading.current().config

        def start(status: str, headers: list[tuple[str, str]], *rest: object) -> Callable[[bytes], object]:
            ours = {name.lower() for name in config.headers}
            kept = [(name, value) for name, value in headers if name.lower() not in ours]
            return start_response(status, [*kept, *config.headers.items()], *rest)

        if (config.users or config.tokens) and not self._allows(
            config, environ.get("HTTP_AUTHORIZATION", "")
        ):
            body = b"Unauthorized\n"
            start(
                "401 Unauthorized",
                [
                    ("WWW-Authenticate", 'Basic realm="modelmeter", charset="UTF-8"'),
                    ("Content-Type", "text/plain; charset=utf-8"),
                    ("Content-Length", str(len(body))),
                ],
            )
            return [body]
        return self._app(environ, start)

    def _allows(self, config: WebConfig, authorization: str) -> bool:
        if config.tokens and bears_token(config.tokens, authorization):
            return True
        return bool(config.users) and self._passwords.allows(config.users, authorization)


class _Timely:
    """A socket whose bytes must have come by a time; `TIMEOUT_SECONDS` is for each piece."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self.deadline = math.inf

    def recv_into(self, buffer: Any, size: int = 0) -> int:
        """As the socket's own; raises TimeoutError when the time has come."""
        left = self.deadline - time.monotonic()
        if left <= 0.0:
            raise TimeoutError("timed out")
        self._socket.settimeout(min(TIMEOUT_SECONDS, left))
        try:
            return self._socket.recv_into(buffer, size)
        finally:
            self._socket.settimeout(TIMEOUT_SECONDS)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


class _Request(HTTPRequest):
    """One request, with more time for its body than for its head."""

    def parse_request(self) -> None:
        """Read the head."""
        super().parse_request()
        self.conn.timely.deadline += REQUEST_SECONDS - HEAD_SECONDS


class _Connection(HTTPConnection):
    """One connection; a TLS one shakes hands in the worker that first reads from it."""

    RequestHandlerClass = _Request
    met = False

    def __init__(self, server: Any, sock: Any, makefile: Any = MakeFile) -> None:
        self.timely = _Timely(sock)

        def made(connected: Any, mode: str, size: int) -> Any:
            return makefile(self.timely if "r" in mode else connected, mode, size)

        super().__init__(server, sock, made)

    def communicate(self) -> bool:
        """Answer one request; whether the connection may be kept."""
        self.timely.deadline = time.monotonic() + HEAD_SECONDS
        if not self.met:
            if isinstance(self.socket, ssl.SSLSocket) and not self._shake_hands():
                return False
            self.met = True
        return bool(super().communicate())  # type: ignore[no-untyped-call]  # as its stubs have it

    def _shake_hands(self) -> bool:
        try:
            self.socket.do_handshake()
            _check_sans(self.socket, self.server.ssl_adapter.allowed_sans())
        except ssl.SSLError as error:
            if error.reason == "HTTP_REQUEST":
                # Past the TLS layer: the client speaks plain HTTP, and may as well be told.
                socket.socket.send(self.socket, NOT_TLS)
            self._refused(error)
            return False
        except OSError as error:
            self._refused(error)
            return False
        return True

    def _refused(self, error: OSError) -> None:
        self.server.errors.add(
            "tls_handshake", "no TLS with %s: %s", self.remote_addr, error, level=logging.WARNING
        )


def _check_sans(connected: ssl.SSLSocket, allowed: tuple[str, ...]) -> None:
    """Raises SSLError unless one of the client's names is among *allowed*, when there are such."""
    if not allowed:
        return
    names = (connected.getpeercert() or {}).get("subjectAltName", ())
    if not any(entry[-1] in allowed for entry in names):
        raise ssl.SSLError("the client's certificate has none of client_allowed_sans")


class _Server(WsgiServer):
    """cheroot's server, with our connections, our log, and patience only in the selector."""

    ConnectionClass = _Connection
    max_request_header_size = HEADER_BYTES
    max_request_body_size = BODY_BYTES
    keep_alive_conn_limit = 256
    expiration_interval = 0.2
    errors: ErrorCounts
    inherited: socket.socket | None = None

    def bind(self, family: int, type: int, proto: int = 0) -> socket.socket:
        """Take the inherited socket, if there is one (cheroot's own way in is systemd's, at descriptor 3)."""
        if self.inherited is None:
            bound: socket.socket = super().bind(family, type, proto)
            return bound
        self.socket = self.inherited
        self.bind_addr = self.inherited.getsockname()[:2]
        return self.inherited

    def process_conn(self, conn: Any) -> None:
        # A new connection goes to the selector until it says something; cheroot would give it to a worker,
        # which then waits for the first byte: four silent clients would be the end of the scrapes.
        if conn.last_used is None:
            self.put_conn(conn)
        else:
            super().process_conn(conn)

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        if level >= logging.WARNING:
            self.errors.add("web_server", "%s", msg, level=level)
        log.log(logging.DEBUG, "%s", msg, exc_info=traceback)


class _Tls(Adapter):
    """Wraps accepted sockets in the context that is in force; the handshake comes later."""

    def __init__(self, reloading: Reloading) -> None:
        self._reloading = reloading

    def allowed_sans(self) -> tuple[str, ...]:
        tls = self._reloading.current().config.tls
        return tls.client_allowed_sans if tls else ()

    def bind(self, sock: Any) -> Any:
        return sock

    def wrap(self, sock: Any) -> tuple[Any, Environ]:
        context = self._reloading.current().context
        assert context is not None  # Reloading refuses to switch TLS off
        wrapped = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return wrapped, self.get_environ()

    def get_environ(self) -> Environ:
        return {"wsgi.url_scheme": "https", "HTTPS": "on"}

    def makefile(self, sock: Any, mode: str = "r", bufsize: int = -1) -> Any:
        return (StreamReader if "r" in mode else StreamWriter)(sock, mode, bufsize)
