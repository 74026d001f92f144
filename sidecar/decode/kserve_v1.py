"""KServe v1, which is TensorFlow Serving's REST protocol: ``instances`` in, ``predictions`` out.

Rows are a list: of scalars (one column, named as the field), of lists (``instances[0]`` …) or of objects
(one column per key; a key that a row lacks is missing there). TensorFlow Serving's columnar form, where
``inputs`` and ``outputs`` are objects of columns, is read as well. `decode_examples` reads its
``:classify`` and ``:regress``: ``examples`` are objects, ``context`` holds features that all of them
share, and of the ``results`` each is a number, or pairs of a class and its score, which become a column
per class (without names of classes, ``results[0]`` …). ``signature_name`` is not read.

Source: kserve/kserve ``docs/predict-api/v1``; tensorflow/serving
``tensorflow_serving/g3doc/api_rest.md``, and ``util/json_tensor.cc``, which writes ``results`` where the
document says ``result``.
"""

from __future__ import annotations

from itertools import chain
from operator import itemgetter
from typing import Any

import msgspec

from exporter.schema import Limits
from sidecar.decode.content import read_json, request_content, response_content
from sidecar.decode.outcome import Decoded, DecodeError, Failed, Outcome
from sidecar.decode.route import Place
from sidecar.decode.tensor import Tensor
from sidecar.exchange import Exchange


class _Request(msgspec.Struct, gc=False):
    instances: Any = None
    inputs: Any = None


class _Answer(msgspec.Struct, gc=False):
    predictions: Any = None
    outputs: Any = None
    error: Any = None


class _Examples(msgspec.Struct, gc=False):
    examples: list[dict[str, Any]]
    context: dict[str, Any] = {}


class _Results(msgspec.Struct, gc=False):
    results: list[Any] | None = None
    result: list[Any] | None = None
    error: Any = None


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer)
_EXAMPLES = msgspec.json.Decoder(_Examples)
_RESULTS = msgspec.json.Decoder(_Results)

_LONGEST_CONTEXT = 4_194_304
# Bytes of a context written out for every example.

_SPARSEST = 4
# Objects with differing keys may fill a table this much larger than what they hold (and 1,000 cells more):
# n rows of one key each, all different, would otherwise be n² cells.


def decode(exchange: Exchange, place: Place, limits: Limits) -> Outcome:
    """A successful answer of ``/v1/models/NAME[/versions/VERSION]:predict``; raises DecodeError."""
    answer = read_json(_ANSWER, response_content(exchange, limits), limits)
    if answer.error is not None:
        return Failed(place.model, place.version, "in_band")
    request = read_json(_REQUEST, request_content(exchange, limits), limits)
    if request.instances is not None:
        inputs = tensors("instances", request.instances)
    else:
        inputs = tensors("inputs", request.inputs)
    if answer.predictions is not None:
        outputs = tensors("predictions", answer.predictions)
    else:
        outputs = tensors("outputs", answer.outputs)
    rows = inputs[0].rows if inputs else outputs[0].rows if outputs else 0
    return Decoded(place.model, place.version, rows, inputs, outputs)


def decode_examples(exchange: Exchange, place: Place, limits: Limits) -> Outcome:
    """A successful answer of ``…:classify`` or ``…:regress``; raises DecodeError."""
    answer = read_json(_RESULTS, response_content(exchange, limits), limits)
    if answer.error is not None:
        return Failed(place.model, place.version, "in_band")
    results = answer.result if answer.results is None else answer.results
    if results is None:
        raise DecodeError("bad_json", "expected `results`, got none")
    request = read_json(_EXAMPLES, request_content(exchange, limits), limits)
    inputs = tensors("examples", request.examples)
    rows = len(request.examples)
    if rows * len(msgspec.json.encode(request.context)) > _LONGEST_CONTEXT:
        raise DecodeError("bad_tensor", f"context is too long to stand in each of {rows} rows")
    inputs += [tensor(name, [value] * rows) for name, value in request.context.items() if rows]
    return Decoded(place.model, place.version, rows, inputs, _results(results))


def _results(results: list[Any]) -> list[Tensor]:
    """Numbers, or of each row pairs of class and score; raises DecodeError.

    >>> rows = [[["cat", 0.7], ["dog", 0.3]], [["dog", 1.0], ["cat", 0.0]]]
    >>> [(each.name, each.data) for each in _results(rows)]
    [('cat', [0.7, 0.0]), ('dog', [0.3, 1.0])]
    """
    if set(map(type, results)) != {list}:
        return [tensor("results", results)]
    pairs = list(chain.from_iterable(results))
    try:
        labels = set(map(itemgetter(0), pairs))
        if set(map(len, pairs)) - {2} or set(map(type, labels)) - {str}:
            raise DecodeError("bad_json", "expected pairs of class and score")
        if labels == {""}:  # the model has no names for its classes
            return [tensor("results", [list(map(itemgetter(1), row)) for row in results])]
        return [tensor(name, scores) for name, scores in columns(list(map(dict, results))).items()]
    except (TypeError, IndexError, KeyError):
        raise DecodeError("bad_json", "expected pairs of class and score") from None


def tensors(field: str, value: Any) -> list[Tensor]:
    """What stands under the key *field*, as tensors; raises DecodeError.

    >>> [(tensor.name, tensor.shape, tensor.data) for tensor in tensors("instances", [{"a": 1}, {"a": 2}])]
    [('a', (2,), [1, 2])]
    """
    if value is None:
        raise DecodeError("bad_json", f"expected `{field}`, got none")
    if type(value) is dict:
        return [tensor(name, column if type(column) is list else [column]) for name, column in value.items()]
    if type(value) is not list:
        return [Tensor(field, (1,), "", [value])]
    if value and type(value[0]) is dict:
        return [tensor(name, column) for name, column in columns(value).items()]
    return [tensor(field, value)]


def tensor(name: str, values: list[Any]) -> Tensor:
    """Nested lists as one tensor, as long as every list of a level has the same length.

    >>> tensor("x", [[1, 2], [3, 4]]).shape, tensor("x", [[1, 2], [3]]).data
    ((2, 2), [[1, 2], [3]])
    """
    shape = [len(values)]
    flat = values
    while flat and type(flat[0]) is list:
        if set(map(type, flat)) != {list} or len(set(map(len, flat))) != 1:
            return Tensor(name, (len(values),), "", values)  # ragged: each row's entry is what it is
        shape.append(len(flat[0]))
        flat = list(chain.from_iterable(flat))
    return Tensor(name, tuple(shape), "", flat)


def columns(rows: list[Any]) -> dict[str, list[Any]]:
    """A list of objects as columns in order of first appearance; None where a row lacks a key."""
    if set(map(type, rows)) != {dict}:
        raise DecodeError("bad_json", "expected every row to be an object")
    keys = list(rows[0])
    width = len(keys)
    if all(len(row) == width for row in rows):
        try:
            return {key: list(map(itemgetter(key), rows)) for key in keys}
        except KeyError:
            pass
    keys = list(dict.fromkeys(chain.from_iterable(rows)))
    if len(keys) * len(rows) > _SPARSEST * sum(map(len, rows)) + 1000:
        raise DecodeError("bad_tensor", f"{len(rows)} rows share too little of {len(keys)} keys")
    return {key: [row.get(key) for row in rows] for key in keys}
