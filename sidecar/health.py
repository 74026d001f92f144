"""`/-/healthy` and `/-/ready`, from the supervisor: a hung recorder does not take the pod out of service.

Two paths, no request body, asked every few seconds by a kubelet, each on a connection of its own. So it is
written on `socketserver`: `http.server` would more than double the supervisor (18.7 MB resident after
import against 10.3, for the life of every pod), and Flask costs 35.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable
from typing import Any

Check = Callable[[], str | None]
"""Returns why not, or None when all is well."""

LONGEST_LINE = 8192
"""Of a request line; Apache's own default limit."""
MOST_HEADERS = 100
MOST_CLIENTS = 16
"""At a time; for a further one the oldest is closed, so that whoever holds places does not keep a probe out
(the kubelet would restart the pod). A silent one is closed after five seconds."""

_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}


class HealthServer:
    """Answers on an already listening *descriptor*, in daemon threads."""

    def __init__(self, descriptor: int, healthy: Check, ready: Check) -> None:
        checks = {"/-/healthy": healthy, "/-/ready": ready}

        class Handler(socketserver.StreamRequestHandler):
            timeout = 5  # a client that says nothing does not keep a thread

            def handle(self) -> None:
                try:
                    line = self.rfile.readline(LONGEST_LINE)
                    for _ in range(MOST_HEADERS):
                        if self.rfile.readline(LONGEST_LINE) in (b"\r\n", b"\n", b""):
                            break
                    self.wfile.write(answer(line, checks))
                except OSError:
                    return  # it has gone, or said nothing in time

        self._server = _Bounded(("", 0), Handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = socket.socket(fileno=descriptor)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering; the socket is closed."""
        self._server.shutdown()
        self._server.server_close()


class _Bounded(socketserver.ThreadingTCPServer):
    """One thread a connection, and no more than a few: probes come one at a time."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._clients: dict[socket.socket, None] = {}
        """Being answered, the oldest first."""
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._clients[request] = None
            if len(self._clients) > MOST_CLIENTS:
                oldest = next(iter(self._clients))
                del self._clients[oldest]
                with contextlib.suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)  # its thread reads an end
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._clients.pop(request, None)


def answer(line: bytes, checks: dict[str, Check]) -> bytes:
    """The whole answer to the request that begins with *line*.

    >>> answer(b"GET /-/ready HTTP/1.1\\r\\n", {"/-/ready": lambda: "draining"}).split(b"\\r\\n")[0]
    b'HTTP/1.1 503 Service Unavailable'
    """
    parts = line.decode("latin-1").split()
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        return _message(400, "not an HTTP/1 request", with_body=True)
    method, target, _ = parts
    if method not in ("GET", "HEAD"):
        return _message(405, "GET and HEAD are answered here", with_body=True)
    check = checks.get(target.split("?", 1)[0])
    if check is None:
        status, text = 404, f"{' and '.join(sorted(checks))} are answered here"
    else:
        reason = check()
        status, text = (200, "ok") if reason is None else (503, reason)
    return _message(status, text, with_body=method == "GET")


def _message(status: int, text: str, *, with_body: bool) -> bytes:
    body = f"{text}\n".encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (body if with_body else b"")
