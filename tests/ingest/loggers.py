"""Requests of HTTP as the payload loggers of KServe and Seldon send them, and one call of our application.

Written from the loggers' sources and not from our reader:

* KServe, kserve/kserve ``pkg/logger/worker.go`` (0217bda), `sendHttpCloudEvent`: `WithEncodingBinary`, the
  extensions inferenceservicename, namespace, component, endpoint, metadata (JSON of header fields); id and
  type from ``pkg/logger/handler.go``, where both halves have one id (`getOrCreateID`) and the request's
  content type, and an answer is only logged for ``http.StatusOK``.
* Seldon, SeldonIO/seldon-core ``executor/logger/worker.go`` (00f2df4), `sendCloudEvent`: `HTTPBinaryV1`, the
  extensions modelid, requestid, inferenceservicename, namespace, endpoint, protocol; the id is a new one for
  each event and requestid the PUID (``executor/predictor/predictor_process.go``, `logPayload`).
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

TIME = {"request": "2026-11-21T04:00:00.25Z", "response": "2026-11-21T04:00:00.75Z"}


def kserve(half: str, number: str, **changed: str) -> dict[str, str]:
    """The header fields of one event of KServe's logger."""
    return {
        "Content-Type": "application/json",
        "Ce-Id": number,
        "Ce-Source": "http://localhost:9081/",
        "Ce-Specversion": "1.0",
        "Ce-Type": f"org.kubeflow.serving.inference.{half}",
        "Ce-Time": TIME[half],
        "Ce-Component": "predictor",
        "Ce-Endpoint": "default",
        "Ce-Inferenceservicename": "sklearn-iris",
        "Ce-Metadata": "{}",
        "Ce-Namespace": "default",
        "User-Agent": "Go-http-client/1.1",
        **changed,
    }


def seldon(half: str, number: str, **changed: str) -> dict[str, str]:
    """The header fields of one event of Seldon's executor."""
    return {
        "Content-Type": "application/json",
        "Ce-Id": str(uuid.uuid4()),
        "Ce-Source": "http://:8000/",
        "Ce-Specversion": "1.0",
        "Ce-Type": f"io.seldon.serving.inference.{half}",
        "Ce-Time": TIME[half],
        "Ce-Endpoint": "default",
        "Ce-Inferenceservicename": "seldon-single-model",
        "Ce-Modelid": "classifier",
        "Ce-Namespace": "seldon",
        "Ce-Protocol": "seldon",
        "Ce-Requestid": number,
        "User-Agent": "Go-http-client/1.1",
        **changed,
    }


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def environ(
    body: bytes, headers: Mapping[str, str], method: str = "POST", path: str = "/ingest"
) -> dict[str, Any]:
    """What a WSGI server hands over."""
    made: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        made[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    return made


def call(app: Callable[..., Iterable[bytes]], made: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """Status, header fields and body of the answer."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], object]:
        started.append((status, headers))
        return lambda data: None

    answer = app(made, start_response)
    try:
        body = b"".join(answer)
    finally:
        close = getattr(answer, "close", None)
        if close:
            close()
    [(status, headers)] = started
    return int(status.split()[0]), dict(headers), body


def post(app: Callable[..., Iterable[bytes]], body: bytes, headers: Mapping[str, str]) -> int:
    """Status of the answer."""
    return call(app, environ(body, headers))[0]
