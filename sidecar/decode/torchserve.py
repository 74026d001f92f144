"""TorchServe's own path, ``/predictions/MODEL[/VERSION]``, whose bodies are what its handlers make of them.

One request is one row for TorchServe, which batches them itself, unless its body is a table. JSON is read
by its form (`sidecar.decode.freeform`: ``{"data": [1, 2]}`` is a row of two, ``[{"age": 31}, …]`` rows of
objects; ``instances`` and ``predictions`` are KServe's, as in the envelope ``json``), CSV as everywhere;
images, tensors and forms are opaque. Answers: a number; a list of them, a value for each row, or for one
row its scores; objects, of which a class and its probability is the usual one, a column per class. Where
only the best five are answered, their columns have only the rows in which they were among these.

Source: pytorch/serve ``docs/inference_api.md``, ``ts/torch_handler/image_classifier.py``,
``ts/torch_handler/request_envelope/json.py``. The versions of TorchServe's KServe paths are read
elsewhere.
"""

from __future__ import annotations

from typing import Any

from exporter.schema import Limits
from sidecar.decode import bodies, freeform, kserve_v1
from sidecar.decode.bodies import ANY, FEATURES, PREDICTIONS
from sidecar.decode.content import read_json
from sidecar.decode.outcome import Outcome
from sidecar.decode.route import Place
from sidecar.decode.tensor import Tensor
from sidecar.exchange import Exchange


def decode(exchange: Exchange, place: Place, limits: Limits) -> Outcome:
    """A successful answer of ``/predictions/MODEL[/VERSION]``; raises DecodeError."""
    return bodies.read(exchange, place, limits, _request, _answer)


def _request(text: bytes, limits: Limits) -> list[Tensor]:
    document = read_json(ANY, text, limits)
    return _enveloped("instances", document) or freeform.tensors(FEATURES, document)


def _answer(text: bytes, limits: Limits, asked: int | None) -> list[Tensor]:
    document = read_json(ANY, text, limits)
    return _enveloped("predictions", document) or freeform.tensors(PREDICTIONS, document, asked)


def _enveloped(key: str, document: Any) -> list[Tensor] | None:
    """The rows under *key*, or None when there are none."""
    if type(document) is dict and type(document.get(key)) is list:
        return kserve_v1.tensors(key, document[key])
    return None
