"""What holds for every outcome of `decode`, whatever was decoded."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from exporter.profile import infer_kind
from exporter.schema import Configuration, Limits
from sidecar.decode import (
    UNDECODABLE_REASONS,
    UNOBSERVABLE_REASONS,
    Decoded,
    Failed,
    Ignored,
    Outcome,
    Tensor,
    Undecodable,
    Unobservable,
)
from sidecar.decode.batch import Batcher
from sidecar.decode.tensor import ITEM_BYTES

CONFIGURATION = Configuration(limits=Limits(columns=50))


def check(outcome: Outcome) -> None:
    """Tensors hold what their shapes promise, and make rows; reasons are declared."""
    if isinstance(outcome, Decoded):
        check_tensors(outcome.inputs)
        check_tensors(outcome.outputs)
        assert outcome.tokens is None or min(outcome.tokens) >= 0
        batcher = Batcher(CONFIGURATION)
        batcher.add(outcome, 0.0)
        for rows in batcher.flush():  # which are rectangular, or could not be made
            for values in rows.columns.values():
                infer_kind(values)
    elif isinstance(outcome, Undecodable):
        assert outcome.reason in UNDECODABLE_REASONS
    elif isinstance(outcome, Unobservable):
        assert outcome.reason in UNOBSERVABLE_REASONS
    else:
        assert isinstance(outcome, Failed | Ignored)


def check_tensors(tensors: Sequence[Tensor]) -> None:
    """Every tensor has as many elements as its shape says."""
    for tensor in tensors:
        assert all(dimension >= 0 for dimension in tensor.shape)
        size = ITEM_BYTES[tensor.datatype] if isinstance(tensor.data, bytes) else 1
        assert len(tensor.data) == prod(tensor.shape) * size
