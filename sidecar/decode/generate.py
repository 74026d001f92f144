"""Triton's generate extension: a JSON object of named inputs in, one or a stream of named outputs out.

What is a row: a request is one row of features, and every response is one row of predictions; so
``generate_stream`` gives as many rows of predictions as it sent responses, none, one, or one per token. They
are not joined: whether a response continues the one before or replaces it is the model's affair.

* A key is a column. Triton writes a tensor of one element without its brackets and others as a flat list
  without their shape, so a list is one row of that many elements (``x[0]``, ``x[1]`` …), also when the model
  took it for a batch: the wire does not tell.
* Keys inside ``parameters`` are columns like the others: Triton takes them for inputs in the same way.
* ``text_input`` and ``text_output``, the names that the extension itself gives, are free text: the length is
  profiled, however short the first ones are. Other strings are categories, or text where they are long.
* An ``error`` text is a failure, also under status 200, where it stands once a response was sent before, and
  among the events of a stream.

Source: triton-inference-server/server ``docs/protocol/extension_generate.md`` and ``src/http_server.cc``
(``GenerateRequestClass``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from exporter.schema import Limits
from sidecar.decode.content import read_json, request_content, response_content
from sidecar.decode.kserve_v1 import columns, tensor
from sidecar.decode.outcome import Decoded, DecodeError, Failed, Outcome, Undecodable
from sidecar.decode.route import Place, Route
from sidecar.decode.sse import event_stream, streamed
from sidecar.decode.tensor import Tensor
from sidecar.exchange import Exchange

_OBJECT = msgspec.json.Decoder(dict[str, Any])
_FREE_TEXT = frozenset({"text_input", "text_output"})
_RESERVED = ("id", "model_name", "model_version")


def decode(exchange: Exchange, place: Place, limits: Limits) -> Outcome:
    """A successful answer of ``/v2/models/NAME[/versions/VERSION]/generate[_stream]``; raises DecodeError."""
    model = place.model
    version = place.version
    responses = []
    for text, failed in _responses(exchange, limits):
        response = read_json(_OBJECT, text, limits)
        if failed or type(response.get("error")) is str:
            return Failed(model, version, "in_band")
        model, version = _names(response, model, version)
        responses.append(response)
    outputs = tensors(responses)
    try:
        inputs = tensors([_request(exchange, limits)])
    except DecodeError as fault:
        return Undecodable(model, version, fault.reason)  # under the names that the answer told
    return Decoded(model, version, 1, inputs, outputs)


def _responses(exchange: Exchange, limits: Limits) -> Iterable[tuple[bytes, bool]]:
    """The JSON text of every response, and whether its event is called an error."""
    if not streamed(exchange):
        return [(response_content(exchange, limits), False)]
    return ((event.data, event.name == b"error") for event in event_stream(exchange, limits))


def _names(response: dict[str, Any], model: str, version: str) -> tuple[str, str]:
    """Model and version as *response* has them, else as given; takes them and the id out of it."""
    _, named, numbered = (response.pop(key, None) for key in _RESERVED)
    if type(named) is str and named:
        model = named
    if type(numbered) in (str, int) and numbered != "":
        version = str(numbered)
    return model, version


def _request(exchange: Exchange, limits: Limits) -> dict[str, Any]:
    request = read_json(_OBJECT, request_content(exchange, limits), limits)
    request.pop("id", None)
    parameters = request.get("parameters")
    if type(parameters) is dict:
        del request["parameters"]
        request = parameters | request
    return request


def tensors(rows: list[dict[str, Any]]) -> list[Tensor]:
    """One tensor per key of *rows*; raises DecodeError when they share too few keys.

    >>> [(made.name, made.shape, made.data) for made in tensors([{"x": [1, 2]}, {"x": [3, 4]}])]
    [('x', (2, 2), [1, 2, 3, 4])]
    """
    if not rows:
        return []
    made = [tensor(name, values) for name, values in columns(rows).items()]
    for each in made:
        if each.name in _FREE_TEXT and set(map(type, each.data)) == {str}:
            each.datatype = "TEXT"
    return made


ROWS = (
    Route(
        re.compile(
            rb"(?:^|/)v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?/generate(?:_stream)?\Z"
        ),
        None,
        decode,
    ),
)
"""Its rows of the table of dialects."""
