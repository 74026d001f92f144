"""What an exchange can turn out to be. Every reason is in a closed set, declared here once."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import msgspec

from exporter.traffic import FailureReason
from sidecar.decode.tensor import Tensor

UndecodableReason: TypeAlias = Literal[
    "truncated", "bad_encoding", "too_large", "bad_json", "bad_header", "bad_tensor", "bad_message"
]
UNDECODABLE_REASONS: tuple[UndecodableReason, ...] = get_args(UndecodableReason)
"""Why an answered inference can not be read.

``truncated``: only the beginning of a body was copied. ``bad_encoding``: unknown or corrupt
Content-Encoding. ``too_large``: above `limits.inflated_bytes`, or more JSON than is read, or no memory
left. ``bad_json``: not JSON (where a dialect allows it, CSV), or not the dialect's structure.
``bad_header``: a length that is no number or beyond the body. ``bad_tensor``: shape, datatype and data
contradict each other. ``bad_message``: not one gRPC message in its frame, or not the protobuf of its
method.
"""

UnobservableReason: TypeAlias = Literal["shared_memory", "raw_tensor", "header_state_lost", "opaque_body"]
UNOBSERVABLE_REASONS: tuple[UnobservableReason, ...] = get_args(UnobservableReason)
"""Why nothing of an answered inference is on the wire: every tensor was passed in shared memory, or came
without its name, datatype and shape (Inference-Header-Content-Length: 0). ``header_state_lost``: over HTTP/2,
its header fields refer to earlier ones that were not copied, so what it was or how it ended is not known."""

IgnoredReason: TypeAlias = Literal["not_inference", "unknown_dialect"]
IGNORED_REASONS: tuple[IgnoredReason, ...] = get_args(IgnoredReason)
"""Health, metadata, metrics and repository calls; and anything else that no decoder knows."""


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """A successful inference. `version` is empty when neither the answer nor the path tells it."""

    model: str
    version: str
    rows: int
    inputs: list[Tensor]
    outputs: list[Tensor]
    holes: int = 0
    """Tensors that were not on the wire, or came without their names."""
    tokens: tuple[int, int] | None = None
    """Of prompt and completion, as the answer says; None where it does not, or they are not known."""


class Failed(msgspec.Struct, frozen=True, gc=False):
    """An inference without a result; model and version as the path says, so not to be trusted as labels."""

    model: str
    version: str
    reason: FailureReason


class Undecodable(msgspec.Struct, frozen=True, gc=False):
    """A successful inference of which we can not read the bodies."""

    model: str
    version: str
    reason: UndecodableReason


class Unobservable(msgspec.Struct, frozen=True, gc=False):
    """A successful inference whose values are not on the wire."""

    model: str
    version: str
    reason: UnobservableReason


class Ignored(msgspec.Struct, frozen=True, gc=False):
    """Not an inference that we follow."""

    reason: IgnoredReason


Outcome: TypeAlias = Decoded | Failed | Undecodable | Unobservable | Ignored


class DecodeError(Exception):
    """Inside `sidecar.decode` only: the exchange is undecodable for `reason`; the sentence is for logs."""

    def __init__(self, reason: UndecodableReason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason: UndecodableReason = reason
