"""A scripted sidecar: answers as it is told, and keeps what it was sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Sink:
    """Takes batches; the answers are those of `script`, then 200."""

    def __init__(self) -> None:
        self.script: list[int | str] = []
        """A status, or ``close`` for none."""
        self.go = threading.Event()
        self.go.set()
        """Cleared: it takes the request and does not answer."""
        self.asked = threading.Event()
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.batches: list[list[dict[str, Any]]] = []
        self.clients: set[Any] = set()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.asked.set()
                sink.go.wait(30)
                sink.clients.add(self.client_address)
                sink.paths.append(self.path)
                sink.headers.append(dict(self.headers))
                sink.batches.append(json.loads(body))
                answer = sink.script.pop(0) if sink.script else 200
                if isinstance(answer, str):
                    self.close_connection = True
                    return
                self.send_response(answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *arguments: object) -> None:
                pass  # a client that has gone

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def events(self) -> list[dict[str, Any]]:
        """Every event, in order."""
        return [event for batch in self.batches for event in batch]

    def stop(self) -> None:
        self.go.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def sinking() -> Iterator[Sink]:
    sink = Sink()
    try:
        yield sink
    finally:
        sink.stop()
