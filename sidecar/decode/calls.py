"""Calls: which method of which gRPC service is an inference, and what reads it.

Method names are exact: no gateway puts a prefix before them. A model is named by the messages, not by the
path, so a failed or unread call is named by the beginning of its request, where that was copied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from exporter.schema import Limits
from sidecar.decode import kserve_grpc, tfserving_grpc
from sidecar.decode.ending import failure_of
from sidecar.decode.grpc import first_fields, peep
from sidecar.decode.outcome import Decoded, DecodeError, Failed, Ignored, Outcome, Undecodable
from sidecar.exchange import Exchange

First: TypeAlias = dict[int, int | bytes]
"""The first fields of a message, by number."""


class Call(msgspec.Struct, frozen=True, gc=False):
    """One row of the table."""

    read: Callable[[Exchange, Limits], Outcome]
    """Reads the messages of one successful call; may raise `DecodeError`, and nothing else."""
    name: Callable[[First], tuple[str, str]]
    """Model and version by a request's first fields, each empty where they do not tell."""


CALLS: dict[bytes, Call] = {
    b"/inference.GRPCInferenceService/ModelInfer": Call(kserve_grpc.read, kserve_grpc.name),
    b"/tensorflow.serving.PredictionService/Predict": Call(tfserving_grpc.read, tfserving_grpc.name),
}

_INFERENCES_NOT_READ: frozenset[bytes] = frozenset(
    b"/tensorflow.serving.PredictionService/" + method
    for method in (b"Classify", b"Regress", b"MultiInference", b"PredictStreamed")
)

_KNOWN_SERVICES: frozenset[bytes] = frozenset(
    {
        b"inference.GRPCInferenceService",
        b"inference.model_repository.ModelRepositoryService",  # MLServer's
        b"tensorflow.serving.PredictionService",
        b"tensorflow.serving.ModelService",
        b"grpc.health.v1.Health",
        b"grpc.reflection.v1.ServerReflection",
        b"grpc.reflection.v1alpha.ServerReflection",
        b"grpc.channelz.v1.Channelz",
    }
)
"""Services whose other methods manage a server or ask after it."""

_PROTOBUF: frozenset[bytes] = frozenset({b"application/grpc", b"application/grpc+proto"})


def decode_call(exchange: Exchange, limits: Limits) -> Outcome:
    """What a unary gRPC *exchange* says about a model. Never raises.

    >>> decode_call(Exchange("grpc", b"POST", b"/grpc.health.v1.Health/Check", status=200), Limits())
    Ignored(reason='not_inference')
    """
    call = CALLS.get(exchange.target)
    if call is None or exchange.method != b"POST" or not _is_protobuf(exchange):
        return _not_read(exchange, call)
    failure = failure_of(exchange)
    if failure is not None:
        model, version = call.name(first_fields(peep(exchange)))
        return Failed(model, version, failure)
    try:
        return call.read(exchange, limits)
    except DecodeError as fault:
        model, version = call.name(first_fields(peep(exchange)))
        return Undecodable(model, version, fault.reason)
    except MemoryError:  # the recorder runs under a limit of its own
        return Undecodable("", "", "too_large")


def decode_call_heads(exchange: Exchange) -> Outcome:
    """What the heads of a unary gRPC *exchange*, and the beginning of its request, say; as `decode_call`.

    `Decoded` without tensors is a successful inference here.
    """
    call = CALLS.get(exchange.target)
    if call is None or exchange.method != b"POST" or not _is_protobuf(exchange):
        return _not_read(exchange, call)
    model, version = call.name(first_fields(peep(exchange)))
    failure = failure_of(exchange)
    return Failed(model, version, failure) if failure else Decoded(model, version, 0, [], [])


def _not_read(exchange: Exchange, call: Call | None) -> Ignored:
    """What a call is that nothing here reads."""
    service = exchange.target.rpartition(b"/")[0].removeprefix(b"/")
    manages = service in _KNOWN_SERVICES and exchange.target not in _INFERENCES_NOT_READ
    return Ignored("not_inference" if manages and call is None else "unknown_dialect")


def _is_protobuf(exchange: Exchange) -> bool:
    """False for gRPC-Web and JSON in gRPC's frames, which end otherwise or hold something else."""
    content_type = exchange.request_headers.get(b"content-type", b"application/grpc")
    return content_type in _PROTOBUF or content_type.partition(b";")[0].strip().lower() in _PROTOBUF
