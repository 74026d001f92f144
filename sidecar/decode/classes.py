"""Classes: outputs that Triton's classification extension has made, ``score:index[:label]``, as two columns.

Who asks for ``classification: k`` of an output gets texts in place of its numbers. Read as they stand each
would be a category of its own, so they become ``NAME`` (the label, or the index where the model has no
labels) and ``NAME.score``, both with the output's shape: ``NAME[0]`` is the likeliest class, and so on.

Source: triton-inference-server/server ``docs/protocol/extension_classification.md``.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sidecar.decode.outcome import DecodeError
from sidecar.decode.tensor import Tensor

CLASSIFICATION = "classification"


def asked(outputs: Any) -> set[str]:
    """The names of those *outputs* of a JSON request that were asked for as classes.

    >>> asked([{"name": "y", "parameters": {"classification": 2}}, {"name": "z"}])
    {'y'}
    """
    if type(outputs) is not list:
        return set()
    return {
        output["name"]
        for output in outputs
        if type(output) is dict
        and type(output.get("name")) is str
        and type(output.get("parameters")) is dict
        and output["parameters"].get(CLASSIFICATION)
    }


def classified(tensors: list[Tensor], names: Collection[str]) -> list[Tensor]:
    """*tensors*, of which those called *names* are classes; raises DecodeError.

    >>> made = classified([Tensor("y", (1, 2), "BYTES", ["0.75:1:cat", "0.25:0"])], {"y"})
    >>> [(tensor.name, tensor.data) for tensor in made]
    [('y', ['cat', '0']), ('y.score', [0.75, 0.25])]
    """
    made: list[Tensor] = []
    for tensor in tensors:
        if tensor.name not in names or tensor.datatype != "BYTES" or type(tensor.data) is not list:
            made.append(tensor)
            continue
        scores = []
        classes = []
        for element in tensor.data:
            text = element.decode("utf-8", "backslashreplace") if type(element) is bytes else element
            try:
                score, index, *label = text.split(":", 2)
                scores.append(float(score))
            except (AttributeError, ValueError):
                raise DecodeError("bad_tensor", f"tensor {tensor.name!r}: expected score:index") from None
            classes.append(label[0] if label else index)
        made.append(Tensor(tensor.name, tensor.shape, "BYTES", classes))
        made.append(Tensor(f"{tensor.name}.score", tensor.shape, "FP64", scores))
    return made
