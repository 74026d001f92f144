"""Seldon Core's first protocol: ``SeldonMessage`` as JSON, the same for request and answer.

Where the values are, by the one of these keys that a message has:

* ``data.ndarray``: nested lists of anything; ``data.tensor``: ``shape`` and flat ``values``.
  ``data.names`` names their columns when there is one for each; else they are ``data[0]`` … or, of one
  column, ``data``. A flat list is one row when it has a name for each element, else rows of one column.
* ``jsonData``: by its form (`sidecar.decode.freeform`); ``strData``: one row of free text, ``strData``.
* ``binData``, ``customData`` and ``data.tftensor`` are opaque: a hole.

``"status": {"status": "FAILURE"}`` in an answer is a failure, also under status 200. ``meta`` is not
read. Names in an answer that Seldon makes up itself, ``t:0`` …, are names.

Source: SeldonIO/seldon-core ``proto/prediction.proto`` (Apache-2.0 until release 1.17) and
docs.seldon.io, "External Prediction API".
"""

from __future__ import annotations

from itertools import chain
from math import prod
from typing import Any

import msgspec

from exporter.schema import Limits
from sidecar.decode import freeform, kserve_v1
from sidecar.decode.content import read_json, request_content, response_content
from sidecar.decode.media import media_in, media_of
from sidecar.decode.outcome import Decoded, DecodeError, Failed, Outcome, Unobservable
from sidecar.decode.route import Place
from sidecar.decode.tensor import Shape, Tensor
from sidecar.exchange import Exchange


class _Tensor(msgspec.Struct, gc=False):
    shape: Shape = ()
    values: list[Any] = []


class _Data(msgspec.Struct, gc=False):
    names: list[str] | None = None
    ndarray: list[Any] | None = None
    tensor: _Tensor | None = None
    tftensor: Any = None


class _Status(msgspec.Struct, gc=False):
    status: str | int | None = None


class _Message(msgspec.Struct, gc=False):
    data: _Data | None = None
    jsonData: Any = None  # noqa: N815
    strData: str | None = None  # noqa: N815
    binData: Any = None  # noqa: N815
    customData: Any = None  # noqa: N815
    status: _Status | None = None


_MESSAGE = msgspec.json.Decoder(_Message)


def decode(exchange: Exchange, place: Place, limits: Limits) -> Outcome:
    """A successful answer of ``…/api/v1.0/predictions``; raises DecodeError."""
    message = _read(exchange.response_headers, response_content(exchange, limits), limits)
    status = None if message is None or message.status is None else message.status.status
    if status in ("FAILURE", 1):  # the enumeration's number, as protobuf's JSON may write it
        return Failed(place.model, place.version, "in_band")
    media = media_of(exchange.request_headers)
    request = None
    if media != "opaque":  # a form with a file
        request = _read(exchange.request_headers, request_content(exchange, limits), limits)
    inputs = None if request is None else tensors(request)
    asked = inputs[0].rows if inputs else None
    outputs = None if message is None else tensors(message, asked)
    holes = (inputs is None) + (outputs is None)
    if not inputs and not outputs and holes:
        return Unobservable(place.model, place.version, "opaque_body")
    inputs = inputs or []
    outputs = outputs or []
    rows = inputs[0].rows if inputs else outputs[0].rows if outputs else 0
    return Decoded(place.model, place.version, rows, inputs, outputs, holes)


def _read(headers: Any, body: bytes, limits: Limits) -> _Message | None:
    media = media_of(headers)
    if media == "untold":
        media = media_in(body)
    return None if media == "opaque" else read_json(_MESSAGE, body, limits)


def tensors(message: _Message, asked: int | None = None) -> list[Tensor] | None:
    """What *message* holds, None for what is opaque; *asked*, of an answer, is the request's rows.

    Raises DecodeError.
    """
    data = message.data
    if data is not None:
        names = data.names or []
        if data.ndarray is not None:
            made = kserve_v1.tensor("data", data.ndarray)
        elif data.tensor is not None:
            shape = data.tensor.shape or (len(data.tensor.values),)
            if len(data.tensor.values) != prod(shape):
                raise DecodeError("bad_tensor", f"shape {list(shape)}: {len(data.tensor.values)} values")
            made = Tensor("data", shape, "", data.tensor.values)
        elif data.tftensor is not None:
            return None
        else:
            raise DecodeError("bad_json", "data: expected ndarray or tensor")
        return _named(made, names)
    if message.jsonData is not None:
        return freeform.tensors("jsonData", message.jsonData, asked)
    if message.strData is not None:
        return [Tensor("strData", (1,), "TEXT", [message.strData])]
    if message.binData is None and message.customData is None:
        raise DecodeError("bad_json", "expected data, jsonData, strData or binData")
    return None


def _named(whole: Tensor, names: list[str]) -> list[Tensor]:
    """*whole* by column where every column has a name."""
    shape = whole.shape
    if len(shape) == 1 and shape[0] == len(names) > 1:
        shape = (1, *shape)
    width = shape[1] if len(shape) > 1 else 1
    if width != len(names):
        return [whole]
    if len(shape) <= 2:
        return [Tensor(name, shape[:1], "", whole.data[j::width]) for j, name in enumerate(names)]
    # A column of lists: elements that belong together stand behind one another.
    size = prod(shape[2:])
    if not size:
        return [whole]
    cells = [whole.data[start : start + size] for start in range(0, len(whole.data), size)]
    return [
        Tensor(name, (shape[0], *shape[2:]), "", list(chain.from_iterable(cells[j::width])))
        for j, name in enumerate(names)
    ]
