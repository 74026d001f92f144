"""SageMaker's containers, and whatever else answers ``POST /invocations``: MLflow does, too.

The path is the same, so what is on the wire decides: the content type (JSON, JSON lines, CSV; see
`sidecar.decode.media`), in JSON the keys, in CSV the first line (`sidecar.decode.separated`; its doubtful
case is there). Nothing has to be configured for one or the other. Beside MLflow's JSON, SageMaker's is:

* ``{"instances": [{"features": [1, 2]}, …]}``, a JSON line ``{"features": [1, 2]}``, or either with
  ``{"data": {"features": {"values": [1, 2]}}}`` around them: columns ``features[0]`` … (also those of
  CSV); other keys of such an object are columns as well;
* answers ``{"predictions": [{"score": 0.9, "predicted_label": 1}, …]}``, those objects as JSON lines, or
  CSV; a single line of as many values as there were rows is a value for each;
* chats and prompts of a language model (``messages``, ``prompt``): as OpenAI's (`sidecar.decode.openai`);
* any other JSON by its form (`sidecar.decode.freeform`), since a container may speak what it likes.

Recordio, NumPy files, images, Parquet and the sparse formats are opaque.

Source: docs.aws.amazon.com/sagemaker "Common Data Formats for Inference" and "Use Your Own Inference Code
with Hosting Services"; aws/sagemaker-inference-toolkit.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from operator import itemgetter
from typing import Any

import msgspec

from exporter.schema import Limits
from sidecar.decode import bodies, mlflow, openai
from sidecar.decode.bodies import FEATURES
from sidecar.decode.content import read_json, request_content
from sidecar.decode.kserve_v1 import tensor
from sidecar.decode.outcome import Decoded, DecodeError, Outcome
from sidecar.decode.route import Dialect, Place
from sidecar.decode.tensor import Tensor
from sidecar.exchange import Exchange


class _Chat(msgspec.Struct, gc=False):
    messages: list[dict[str, Any]] | None = None
    prompt: Any = None


_CHAT = msgspec.json.Decoder(_Chat)


def dialect(headerless: Collection[str] = ()) -> Dialect:
    """The reader of ``/invocations``; *headerless* are the models that declare columns of CSV by position."""
    return partial(_decode, headerless)


def _decode(headerless: Collection[str], exchange: Exchange, place: Place, limits: Limits) -> Outcome:
    if _is_chat(exchange, limits):
        return openai.decode(exchange, place, limits)
    header = False if place.model in headerless else None
    outcome = bodies.read(exchange, place, limits, mlflow.request, mlflow.answer, header=header)
    if isinstance(outcome, Decoded) and len(outcome.inputs) == 1:
        outcome.inputs[0] = _unwrapped(outcome.inputs[0])
    return outcome


def _is_chat(exchange: Exchange, limits: Limits) -> bool:
    """Whether the request is OpenAI's, of which no text may become a category."""
    body = exchange.request_body
    if (
        b'"messages"' not in body
        and b'"prompt"' not in body
        and b"content-encoding" not in exchange.request_headers
    ):
        return False
    try:
        request = read_json(_CHAT, request_content(exchange, limits), limits)
    except DecodeError:
        return False
    return request.messages is not None or type(request.prompt) in (str, list)


def _unwrapped(column: Tensor) -> Tensor:
    """*column*, or the rows that are wrapped in its objects, all in the same way."""
    if column.name != "data" or set(map(type, column.data)) != {dict}:
        return column
    try:
        rows = list(map(itemgetter("values"), map(itemgetter("features"), column.data)))
    except (KeyError, TypeError):
        return column
    return tensor(FEATURES, rows)
