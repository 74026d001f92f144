"""Events: one HTTP request of a logger as the inference events in it.

Promises: all of the HTTP binding of CloudEvents 1.0 (binary, structured, batch; ``data`` as JSON, as text or
in base64); the two halves of an exchange get the same unit, whoever logged them; time and memory are
proportional to the body. Refuses: other versions, and to say in an error what the body held.

Sources: cloudevents/spec ``cloudevents/bindings/http-protocol-binding.md`` 1.0.2; kserve/kserve
``pkg/logger/worker.go``; SeldonIO/seldon-core ``executor/logger/worker.go``. What the loggers send:

* KServe: binary mode, ``ce-id`` the same for request and answer, ``ce-type`` `...inference.request` or
  `...inference.response`, attributes inferenceservicename, namespace, component, endpoint, metadata. Neither
  path nor status: answers are only sent for status 200. Both have the content type of the *request*.
* Seldon: binary mode, ``ce-id`` differs, ``ce-requestid`` is the same for every node of a graph, so the node
  (``ce-modelid``) is part of the unit; inferenceservicename is the deployment, endpoint the predictor.
* Ours (`sidecar.client`): requestid, and path, status, modelname, modelversion, contentencoding, jsonlength.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote

import msgspec

Half: TypeAlias = Literal["request", "response"]

STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
MOST_EVENTS = 10_000
"""In one batch; more are refused, as they would not fit into the queue either."""
_LONGEST_NAME = 200
"""Of a model, as `exporter.schema.Name` has it."""
_STABLE_ENDPOINTS = ("", "default", "stable")
_PLAIN_COMPONENTS = ("", "predictor")


class EventError(ValueError):
    """The body can not be read: *status* to answer, and one sentence that holds nothing of the body."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Event(msgspec.Struct, gc=False):
    """One half of an exchange, as its logger saw it."""

    unit: int
    """Of the exchange, 64 bits, never 0."""
    half: Half
    body: bytes
    content_type: bytes = b""
    coding: bytes = b""
    """The body's own content coding."""
    time: float | None = None
    """Unix seconds on the logger's clock."""
    method: bytes = b"POST"
    path: bytes = b""
    """Of the request, with its query; empty when the logger does not tell."""
    status: int = 200
    """Of the answer. A logger that tells none sends answers of successes only."""
    model: str = ""
    version: str = ""
    json_length: bytes = b""
    """Inference-Header-Content-Length."""
    complete: bool = True
    """False when the logger cut the body."""


_ONE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MANY = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_VALUE = msgspec.json.Decoder(str | int | bool | None)
_TEXT = msgspec.json.Decoder(str)


def parse(headers: Mapping[str, str], body: bytes) -> tuple[list[Event], int]:
    """The inference events in one HTTP request, and how many others there were (feedback, for one).

    *headers* in lower case; the content coding of *body* is taken off. Raises `EventError`.

    >>> parse({"ce-specversion": "1.0", "ce-type": "org.kubeflow.serving.inference.request", "ce-id": "7",
    ...        "ce-source": "http://localhost", "ce-inferenceservicename": "iris"}, b"{}")[0][0].model
    'iris'
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == BATCH:
        documents = _json(_MANY, body, "a JSON array of events")
        if len(documents) > MOST_EVENTS:
            raise EventError(413, f"expected at most {MOST_EVENTS} events in a batch")
    elif media_type == STRUCTURED:
        documents = [_json(_ONE, body, "one event as a JSON object")]
    elif media_type.startswith("application/cloudevents"):
        raise EventError(415, f"expected {STRUCTURED}, {BATCH} or binary mode")
    elif "ce-specversion" in headers:
        attributes = {
            name[3:]: unquote(value, errors="replace")
            for name, value in headers.items()
            if name.startswith("ce-")
        }
        attributes["datacontenttype"] = headers.get("content-type", "")
        event = _event(attributes, body)
        return ([], 1) if event is None else ([event], 0)
    else:
        raise EventError(415, f"expected a CloudEvent: {STRUCTURED}, {BATCH}, or ce-specversion: 1.0")
    events = []
    for document in documents:
        attributes, data = _unfold(document)
        event = _event(attributes, data)
        if event is not None:
            events.append(event)
    return events, len(documents) - len(events)


def _json(decoder: msgspec.json.Decoder[Any], text: bytes, expected: str) -> Any:
    try:
        return decoder.decode(text)
    except (ValueError, RecursionError):
        raise EventError(400, f"expected {expected}") from None


def _unfold(document: Mapping[str, msgspec.Raw]) -> tuple[dict[str, str], bytes]:
    """Attributes and data of an event in the JSON format."""
    attributes = {}
    for name, raw in document.items():
        if name in ("data", "data_base64"):
            continue
        value = _json(_VALUE, raw, "attributes that are text, integers or truths")
        if value is not None:
            attributes[name] = value if isinstance(value, str) else str(value)
    encoded = document.get("data_base64")
    if encoded is not None:
        if "data" in document:
            raise EventError(400, "expected data or data_base64, got both")
        try:
            return attributes, b64decode(_json(_TEXT, encoded, "data_base64 as text"), validate=True)
        except (binascii.Error, ValueError):
            raise EventError(400, "expected data_base64 in base64") from None
    if "data" not in document:
        return attributes, b""
    raw = document["data"]
    data = bytes(raw)
    if data == b"null":
        return attributes, b""
    media_type = attributes.get("datacontenttype", "").partition(";")[0].strip().lower()
    is_json = media_type in ("", "application/json", "text/json") or media_type.endswith("+json")
    if not is_json and data.startswith(b'"'):  # section 3.1.1: text in a string, unless it is JSON
        return attributes, _bytes(_json(_TEXT, raw, "data as text"))
    return attributes, data


def _event(attributes: Mapping[str, str], body: bytes) -> Event | None:
    """The event, or None when it is not half of an inference."""
    if attributes.get("specversion") != "1.0":
        raise EventError(400, "expected specversion 1.0")
    for name in ("id", "source", "type"):
        if not attributes.get(name):
            raise EventError(400, f"expected the attribute {name}, got none")
    kind = attributes["type"]
    half: Half
    if kind.endswith(".inference.request"):
        half = "request"
    elif kind.endswith(".inference.response"):
        half = "response"
    else:
        return None
    get = attributes.get
    service, component, endpoint = (get(n, "") for n in ("inferenceservicename", "component", "endpoint"))
    model = get("modelname") or get("modelid") or service
    if model and component not in _PLAIN_COMPONENTS:
        model = f"{model}-{component}"  # what goes into a transformer is not what goes into the model
    version = get("modelversion") or ("" if endpoint in _STABLE_ENDPOINTS else endpoint)
    return Event(
        unit=unit(
            get("source", ""), get("namespace", ""), service, component, endpoint, get("modelid", ""),
            get("requestid") or get("id", ""),
        ),
        half=half,
        body=body,
        content_type=_bytes(get("datacontenttype", "")),
        coding=_bytes(get("contentencoding", "")) or (b"gzip" if body[:3] == b"\x1f\x8b\x08" else b""),
        time=_time(get("time", "")),
        method=_bytes(get("method") or "POST"),
        path=_bytes(get("path") or get("requesturi") or ""),
        status=_status(get("status", "")),
        model=model[:_LONGEST_NAME],
        version=version[:_LONGEST_NAME],
        json_length=_bytes(get("jsonlength", "")) or _logged_length(get("metadata", ""), half),
        complete=get("cut") != "true",
    )  # fmt: skip


def unit(*parts: str) -> int:
    """64 bits of *parts*, never 0.

    >>> unit("a", "bc") == unit("a", "bc"), unit("a", "bc") == unit("ab", "c")
    (True, False)
    """
    text = "".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") or 1


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _time(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.timestamp() if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _status(text: str) -> int:
    """100 to 599; 0, which is a closed connection, when it is said to be so; 200 when nothing is said."""
    if not text:
        return 200
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else 500
    return number if number == 0 or 100 <= number <= 599 else 500


def _logged_length(metadata: str, half: Half) -> bytes:
    """KServe's ``metadataHeaders`` may hold the request's field; it sends them with both halves."""
    if half != "request" or "nference-" not in metadata:
        return b""
    try:
        fields = msgspec.json.decode(metadata, type=dict[str, list[str]])
    except (ValueError, RecursionError):
        return b""
    for name, values in fields.items():
        if name.lower() == "inference-header-content-length" and values:
            return _bytes(values[0])
    return b""


def header_names(names: Sequence[str]) -> dict[str, str]:
    """WSGI's names of header fields → theirs.

    >>> header_names(["HTTP_CE_ID", "CONTENT_TYPE", "SERVER_NAME"])
    {'HTTP_CE_ID': 'ce-id', 'CONTENT_TYPE': 'content-type'}
    """
    found = {name: name[5:].replace("_", "-").lower() for name in names if name.startswith("HTTP_")}
    return found | {name: "content-type" for name in names if name == "CONTENT_TYPE"}
