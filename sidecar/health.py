"""`/-/healthy` and `/-/ready`, from the supervisor: a hung recorder does not take the pod out of service.

The standard library's server is enough here: two paths, no body, asked every few seconds by a kubelet,
and it costs 3 MB where Flask costs 25 (measured as resident memory after import).
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Check = Callable[[], str | None]
"""Returns why not, or None when all is well."""


class HealthServer:
    """Answers on an already listening *descriptor*, in daemon threads."""

    def __init__(self, descriptor: int, healthy: Check, ready: Check) -> None:
        checks = {"/-/healthy": healthy, "/-/ready": ready}

        class Handler(BaseHTTPRequestHandler):
            server_version = "modelmeter"
            sys_version = ""
            timeout = 5  # a client that says nothing does not keep a thread

            def do_GET(self) -> None:
                check = checks.get(self.path.split("?", 1)[0])
                if check is None:
                    self._answer(404, "not found: /-/healthy and /-/ready are answered here")
                    return
                reason = check()
                self._answer(200 if reason is None else 503, reason or "ok")

            do_HEAD = do_GET  # noqa: N815  (http.server's naming)

            def _answer(self, status: int, text: str) -> None:
                body = f"{text}\n".encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Probes are not news."""

        self._server = ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = socket.socket(fileno=descriptor)
        self._server.server_address = self._server.socket.getsockname()
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering; the socket is closed."""
        self._server.shutdown()
        self._server.server_close()
