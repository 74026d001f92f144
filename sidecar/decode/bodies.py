"""Bodies: the request and the answer of a dialect that speaks JSON, JSON lines and CSV over one path.

A body that none of these is, an image say, is a hole: the other one is still read. When both are, or the only
one that could be read is empty, the exchange is unobservable: ``opaque_body``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from exporter.schema import Limits
from sidecar.decode import freeform, separated
from sidecar.decode.content import read_json, request_content, response_content
from sidecar.decode.media import Media, media_in, media_of
from sidecar.decode.outcome import Decoded, DecodeError, Outcome, Unobservable
from sidecar.decode.route import Place
from sidecar.decode.tensor import Tensor
from sidecar.exchange import Exchange

FEATURES = "features"
PREDICTIONS = "predictions"
"""What tensors without a key are called: CSV without a header, and lists that stand by themselves."""

ReadRequest: TypeAlias = "Callable[[bytes, Limits], list[Tensor]]"
"""JSON text of a request as tensors; may raise `DecodeError`."""

ReadAnswer: TypeAlias = "Callable[[bytes, Limits, int | None], list[Tensor]]"
"""As `ReadRequest`, of an answer to so many rows; None: not known."""

ANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_LIST: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[Any])


def read(
    exchange: Exchange,
    place: Place,
    limits: Limits,
    read_request: ReadRequest,
    read_answer: ReadAnswer,
    *,
    header: bool | None = None,
) -> Outcome:
    """What *exchange* says; *header* is False where CSV in the request is known to have none.

    Raises DecodeError.
    """
    model, version = place.model, place.version
    media, body = _request(exchange, limits)
    inputs: list[Tensor] = []
    if media == "json":
        inputs = read_request(body, limits)
    elif media == "lines":
        inputs = lines(FEATURES, body, limits)
    elif media == "csv":
        told = separated.header_of(exchange.request_headers.get(b"content-type", b""))
        inputs = separated.tensors(FEATURES, body, limits, header if told is None else told)
    asked = None if media == "opaque" else inputs[0].rows if inputs else 0

    holes = int(media == "opaque")
    media, body = _answer(exchange, limits)
    outputs: list[Tensor] = []
    if media == "json":
        outputs = read_answer(body, limits, asked)
    elif media == "lines":
        outputs = lines(PREDICTIONS, body, limits)
    elif media == "csv":
        told = separated.header_of(exchange.response_headers.get(b"content-type", b""))
        outputs = _turned(separated.tensors(PREDICTIONS, body, limits, told), asked)
    holes += media == "opaque"
    if holes and not inputs and not outputs:
        return Unobservable(model, version, "opaque_body")
    rows = inputs[0].rows if inputs else outputs[0].rows if outputs else 0
    return Decoded(model, version, rows, inputs, outputs, holes)


def lines(field: str, body: bytes, limits: Limits) -> list[Tensor]:
    """JSON lines, one row each: objects, lists or scalars. Raises DecodeError.

    >>> [(tensor.name, tensor.data) for tensor in lines("x", b'{"a": [1, 2]}\\n{"a": [3, 4]}', Limits())]
    [('a', [1, 2, 3, 4])]
    """
    body = body.replace(b"\r", b"\n").strip(b"\n")
    while b"\n\n" in body:
        body = body.replace(b"\n\n", b"\n")
    rows = read_json(_LIST, b"[" + body.replace(b"\n", b",") + b"]", limits)
    if len(rows) != body.count(b"\n") + 1:
        raise DecodeError("bad_json", "expected one JSON value a line")
    return freeform.table(field, rows)


def _request(exchange: Exchange, limits: Limits) -> tuple[Media, bytes]:
    media = media_of(exchange.request_headers)
    if media == "opaque":
        return media, b""  # not looked at, so that an image that was cut is no loss
    body = request_content(exchange, limits)
    return (media_in(body) if media == "untold" else media), body


def _answer(exchange: Exchange, limits: Limits) -> tuple[Media, bytes]:
    media = media_of(exchange.response_headers)
    if media == "opaque":
        return media, b""
    body = response_content(exchange, limits)
    return (media_in(body) if media == "untold" else media), body


def _turned(tensors: list[Tensor], asked: int | None) -> list[Tensor]:
    """A single line of as many values as rows were asked for is a value for each.

    So older containers of SageMaker answer (awslabs/sagemaker-xgboost-container, before 1.0).
    """
    if asked is not None and asked > 1 and len(tensors) == 1 and tensors[0].shape == (1, asked):
        tensors[0].shape = (asked,)
    return tensors
