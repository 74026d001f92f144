"""Recorder: what a server predicts, sent to a sidecar beside it."""

from __future__ import annotations

import atexit
import base64
import json
import os
import socket
import ssl
import time
import weakref
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from sidecar.client import columns
from sidecar.client.sender import Endpoint, Entry, Sender

CAPACITY_BYTES = 8 << 20
EXIT_SECONDS = 2.0
"""How long the end of the process may be held up by what was not sent yet."""
_ENTRY_BYTES = 512
_MEDIA_TYPE = "application/json"
_JSON = json.JSONEncoder(separators=(",", ":")).encode


class Recorder:
    """Sends what it is told to ``modelmeter sidecar --ingest-listen``, in the background.

    *url* is the sidecar's, ``/ingest`` where it names no path; *token* is one of its bearer_tokens, *auth*
    one of its basic_auth_users with the password; *ssl_context* is for https with an authority of your own.
    *capacity_bytes* bounds what waits. Raises ValueError for a url that is none; nothing else here raises,
    waits for the network, or writes a log line.

    >>> recorder = Recorder("http://127.0.0.1:9", model="flights")
    >>> recorder.record({"distance": [1400.0, 300.0]}, {"delay": [12.5, 3.0]})
    >>> recorder.close(0.0)
    >>> counts = recorder.counts()
    >>> counts["recorded"], counts["sent"], counts["waiting"], counts["dropped"]["closed"]
    (1, 0, 0, 1)
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        auth: tuple[str, str] | None = None,
        model: str = "",
        version: str = "",
        capacity_bytes: int = CAPACITY_BYTES,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._sender = Sender(Endpoint(url, token, auth, ssl_context), capacity_bytes)
        self._model = model
        self._version = version
        self._host = socket.gethostname()
        atexit.register(_close_at_exit, weakref.ref(self))

    def record(
        self,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any],
        id: str | None = None,
        *,
        seconds: float = 0.0,
        model: str | None = None,
        version: str | None = None,
    ) -> None:
        """Record rows: *inputs* and *outputs* map columns to lists (or arrays) of one length, or to scalars.

        *id* tells this request from others of this process (one that comes twice counts once); *seconds* is
        how long it took. Lists are copied here and encoded in the background.
        """
        try:
            if not self._sender.room:
                self._sender.put(Entry(list, 1 << 62))
                return
            taken_in, size_in = columns.take(inputs)
            taken_out, size_out = columns.take(outputs)
            encode = partial(
                _encode_columns,
                taken_in,
                taken_out,
                self._source(),
                id or os.urandom(12).hex(),
                self._model if model is None else model,
                self._version if version is None else version,
                time.time(),
                seconds,
            )
            self._sender.put(Entry(encode, size_in + size_out + _ENTRY_BYTES))
        except Exception as error:
            self._sender.drop("invalid" if isinstance(error, (AttributeError, TypeError)) else "fault")

    @property
    def room(self) -> bool:
        """Whether there is room for more; a middleware asks before it keeps a body."""
        return self._sender.room

    def record_exchange(self, seen: Seen) -> None:
        """Record a request and its answer as bytes, as the middlewares do."""
        try:
            encode = partial(
                _encode_exchange, seen, self._source(), os.urandom(12).hex(), self._model, self._version
            )
            size = _ENTRY_BYTES + len(seen.request_body) + len(seen.response_body) + len(seen.path)
            self._sender.put(Entry(encode, size))
        except Exception:
            self._sender.drop("fault")

    def lost(self) -> None:
        """Count an exchange that could not be captured by a fault of ours."""
        self._sender.drop("fault")

    def _source(self) -> str:
        return f"//{self._host}/{os.getpid()}"

    def counts(self) -> dict[str, Any]:
        """``recorded``, ``sent``, ``dropped`` (by reason: `sidecar.client.sender.DROP_REASONS`), ``waiting``.

        The first is the sum of the others, at any moment. Of this process: after a fork they begin at 0.
        """
        return self._sender.counts()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until what was recorded is sent or dropped; False when *timeout* seconds were too few."""
        return self._sender.flush(timeout)

    def close(self, timeout: float = EXIT_SECONDS) -> None:
        """Send what can be sent within *timeout* seconds and stop; the end of the process calls it too."""
        self._sender.close(timeout)


class Seen:
    """A request and its answer as a middleware saw them."""

    __slots__ = (
        "method", "path", "request_body", "request_complete", "request_headers", "response_body",
        "response_complete", "response_headers", "seconds", "started", "status",
    )  # fmt: skip

    def __init__(self, method: str, path: str, request_headers: Mapping[str, str]) -> None:
        self.method = method
        self.path = path
        """Percent-encoded, with its query."""
        self.request_headers = request_headers
        """Of `KEPT`, in lower case."""
        self.request_body = b""
        self.request_complete = True
        self.status = 0
        """0 when the connection ended before the answer did."""
        self.response_headers: Mapping[str, str] = {}
        self.response_body = b""
        self.response_complete = True
        self.started = time.time()
        self.seconds = 0.0


KEPT = frozenset({"content-type", "content-encoding", "inference-header-content-length"})
"""The header fields that a decoder reads; no others are sent."""


def _close_at_exit(reference: weakref.ref[Recorder]) -> None:
    recorder = reference()
    if recorder is not None:
        recorder.close(EXIT_SECONDS)


def _moment(seconds: float) -> str:
    whole, fraction = divmod(seconds, 1.0)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int(fraction * 1e6):06d}Z"


def _event(
    half: str, source: str, number: str, moment: float, body: bytes, others: Mapping[str, object]
) -> bytes:
    """One event in the JSON format; the body in base64, so that every byte of it arrives."""
    document = {
        "specversion": "1.0",
        "type": f"io.modelmeter.inference.{half}",
        "id": f"{number}/{half}",
        "source": source,
        "requestid": number,
        "time": _moment(moment),
        **others,
    }
    text = _JSON({name: value for name, value in document.items() if value not in ("", None)})
    data = base64.b64encode(body).decode("ascii")
    return f'{text[:-1]},"data_base64":"{data}"}}'.encode()


def _encode_columns(
    inputs: columns.Taken,
    outputs: columns.Taken,
    source: str,
    number: str,
    model: str,
    version: str,
    now: float,
    seconds: float,
) -> list[bytes]:
    columns.rows(inputs + outputs)
    path = f"/v2/models/{quote(model or 'default', safe='')}"
    if version:
        path += f"/versions/{quote(version, safe='')}"
    request = {"datacontenttype": _MEDIA_TYPE, "path": f"{path}/infer"}
    response = {"datacontenttype": _MEDIA_TYPE, "status": 200}
    return [
        _event("request", source, number, now - seconds, columns.request_body(inputs), request),
        _event(
            "response",
            source,
            number,
            now,
            columns.response_body(outputs, model or "default", version),
            response,
        ),
    ]


def _encode_exchange(seen: Seen, source: str, number: str, model: str, version: str) -> list[bytes]:
    request = {
        **_fields(seen.request_headers, seen.request_complete),
        "method": seen.method,
        "path": seen.path,
        "modelname": model,
        "modelversion": version,
    }
    response = {
        **_fields(seen.response_headers, seen.response_complete),
        # As text: 0 means that the connection was closed.
        "status": str(seen.status),
    }
    ended = seen.started + seen.seconds
    return [
        _event("request", source, number, seen.started, seen.request_body, request),
        _event("response", source, number, ended, seen.response_body, response),
    ]


def _fields(headers: Mapping[str, str], complete: bool) -> dict[str, object]:
    return {
        "datacontenttype": headers.get("content-type", ""),
        "contentencoding": headers.get("content-encoding", ""),
        "jsonlength": headers.get("inference-header-content-length", ""),
        "cut": "" if complete else "true",
    }
