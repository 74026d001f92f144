"""App: ``POST /ingest``, as a WSGI application.

Promises: a body is read up to its limit and not beyond, compressed or not; an answer never waits for the
recorder and never repeats what was sent. Authentication is the listener's (`exporter.web`).

The answers, and why these: 200 with an empty body when all was taken, and not 202, since KServe's logger
reports every other status as an error (``pkg/logger/worker.go``: ``StatusCode != http.StatusOK``), and
Seldon's would read a body as an event. 503 with Retry-After when the recorder can not keep up: nothing of
the request was taken, and it may be sent again as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeAlias

from exporter.schema import Limits
from sidecar.decode.content import inflate
from sidecar.decode.outcome import DecodeError
from sidecar.ingest.dialect import locate
from sidecar.ingest.event import EventError, header_names, parse
from sidecar.ingest.pairs import Pairs

Environ: TypeAlias = "dict[str, Any]"
StartResponse: TypeAlias = "Callable[..., Callable[[bytes], object]]"

PATH = "/ingest"
BODY_BYTES = 4 << 20
"""Largest request body, and largest inflated one; more where `limits.body_bytes` is more. Four threads
read, so this takes 16 MiB."""
RETRY_SECONDS = 5
_READ_BYTES = 65_536

_names = lru_cache(maxsize=256)(header_names)


def body_limit(limits: Limits) -> int:
    """Longest body that is taken: two whole messages in base64 at least."""
    return max(BODY_BYTES, 4 * limits.body_bytes)


class App:
    """The application."""

    def __init__(self, pairs: Pairs, limits: Limits) -> None:
        self._pairs = pairs
        self._limits = limits
        self._body_limit = body_limit(limits)
        self.closed = False
        """True: nothing more is taken, since the recorder is about to end."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        try:
            status, sentence = self._answer(environ)
        except EventError as error:
            status, sentence = error.status, str(error)
            self._pairs.count("too_large" if status == 413 else "malformed")
        except MemoryError:  # the recorder runs under a limit of its own
            status, sentence = 503, "no memory left, nothing of this request was taken"
            self._pairs.count("refused")
        headers = [("Content-Type", "text/plain; charset=utf-8")]
        if status == 405:
            headers.append(("Allow", "POST"))
        elif status == 503:
            headers.append(("Retry-After", str(RETRY_SECONDS)))
        elif status == 413:
            headers.append(("Connection", "close"))
        body = f"{sentence}\n".encode() if sentence else b""
        start_response(f"{status} {_PHRASES[status]}", [*headers, ("Content-Length", str(len(body)))])
        return [body] if body else []

    def _answer(self, environ: Environ) -> tuple[int, str]:
        if environ.get("PATH_INFO", "") != PATH:
            return 404, f"expected POST {PATH}"
        if environ["REQUEST_METHOD"] != "POST":
            return 405, f"expected POST {PATH}"
        if self.closed:
            return 503, "shutting down"
        names = _names(tuple(sorted(name for name in environ if name.startswith(("HTTP_", "CONTENT_TYPE")))))
        headers = {name: environ[key] for key, name in names.items()}
        body = self._read(environ)
        coding = headers.get("content-encoding", "").strip().lower()
        try:
            if coding and "ce-specversion" not in headers:
                # In binary mode the body is the data, and its coding is the data's.
                body = inflate(body, coding.encode("latin-1", "replace"), self._body_limit)
        except DecodeError as error:
            status = 413 if error.reason == "too_large" else 415
            raise EventError(status, f"content coding: {_CODING[status]}") from None
        events, others = parse(headers, body)
        if coding and "ce-specversion" in headers:
            for event in events:
                event.coding = coding.encode("latin-1", "replace")
        for event in events:
            locate(event, self._limits)
        if others:
            self._pairs.count("other", others)
        if not self._pairs.accept(events):
            return 503, "the queue is full, nothing of this request was taken"
        return 200, ""

    def _read(self, environ: Environ) -> bytes:
        """The body; raises EventError when it is longer than the limit or ends early."""
        stream, limit = environ["wsgi.input"], self._body_limit
        length = environ.get("CONTENT_LENGTH") or ""
        if length.isdigit() and int(length[:18]) > limit:
            raise EventError(413, f"expected a body of at most {limit} bytes")
        parts = bytearray()
        try:
            while part := stream.read(_READ_BYTES):
                parts += part
                if len(parts) > limit:
                    raise EventError(413, f"expected a body of at most {limit} bytes")
        except (OSError, ValueError) as error:
            if isinstance(error, EventError):
                raise
            if "Too Large" in str(error):  # cheroot, of a chunk
                raise EventError(413, f"expected a body of at most {limit} bytes") from None
            raise EventError(400, "expected a whole body") from None
        if length.isdigit() and len(parts) < int(length[:18]):
            raise EventError(400, "expected a whole body")
        return bytes(parts)


_PHRASES = {
    200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 413: "Content Too Large",
    415: "Unsupported Media Type", 503: "Service Unavailable",
}  # fmt: skip
_CODING = {413: "expected fewer bytes once inflated", 415: "expected gzip or deflate"}
