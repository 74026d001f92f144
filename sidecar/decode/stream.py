"""Streams: the messages of ModelStreamInfer, told as inferences one by one.

A stream is one exchange in the books and any number of inferences in the traffic. An inference is one
request with its answers: none, one or several (a decoupled model), in any order between requests. What
belongs together is told

* by `id`; of requests with the same id, the empty one above all, the oldest that is open is answered first;
* the last answer by the parameter ``triton_final_response``, which Triton puts on each; an answer without it
  (errors, servers that are not Triton) is the last one;
* a request whose answers all said that more would come ends, when the stream does or when its id is used
  again, with the last answer that there was: unless asked to (``triton_enable_empty_final_response``), Triton
  sends nothing when a model has found no more to say.

An answer with ``error_message`` is a failure, ``in_band``, though the call goes on and ends with OK.

Rows do not wait for the last answer: inputs are recorded with the first one, outputs with each.

Memory: what is remembered of requests is bounded over all streams by `HELD_BYTES`, and for each by
`MOST_OPEN` requests. Beyond, a request's inputs are forgotten (``too_large``), never that there was one.

Source: triton-inference-server/server ``src/grpc/stream_infer_handler.cc`` (order, error_message, the
parameter), ``docs/user_guide/decoupled_models.md``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

import msgspec

from exporter.schema import Limits
from exporter.traffic import FailureReason
from sidecar.decode import kserve_grpc
from sidecar.decode.ending import failure_of
from sidecar.decode.grpc import inflated, parse
from sidecar.decode.outcome import (
    Decoded,
    DecodeError,
    Failed,
    Ignored,
    Outcome,
    Undecodable,
    UndecodableReason,
    Unobservable,
)
from sidecar.decode.proto import kserve_pb2 as pb
from sidecar.exchange import Exchange, Message

HELD_BYTES: Final = 16_777_216
"""Of requests that wait for their first answer, over all streams; wire holds as much of unfinished bodies."""

MOST_OPEN: Final = 4_096
"""Open requests of a stream; above it the oldest ends."""

_REQUEST_BYTES = 600
# One `_Request` with its place in a deque and two dicts, when its id is short.

_TARGET = b"/inference.GRPCInferenceService/ModelStreamInfer"
_FINAL = "triton_final_response"


def is_stream(target: bytes) -> bool:
    """Whether the messages of calls to *target* are wanted one by one.

    >>> is_stream(b"/inference.GRPCInferenceService/ModelStreamInfer")
    True
    >>> is_stream(b"/grpc.health.v1.Health/Watch")
    False
    """
    return target == _TARGET


class Inference(msgspec.Struct, frozen=True, gc=False):
    """What a message of a stream tells.

    Two things are told by one value since most answers tell both; each may be without the other:

    * if `finished`, one inference for the traffic: model, version and failure by `outcome`; times and sizes;
    * if `outcome` is `Decoded`, rows: of a first answer inputs and outputs, of a further one only outputs.
      Where an inference is finished and no rows are left to tell, it is `Decoded` without tensors.
    """

    outcome: Outcome
    started: int
    """Nanoseconds: when the last byte of its request was read."""
    ended: int
    """When the last byte of its last answer was read, or its stream ended."""
    request_bytes: int
    response_bytes: int
    """Of all its answers so far."""
    finished: bool = True


class _Held:
    """Bytes that all streams hold."""

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        self.bytes = 0


HELD = _Held()


class _Request:
    """One request that is open."""

    __slots__ = (
        "answered", "body", "cost", "ended", "fault", "key", "model", "request_bytes", "response_bytes",
        "started", "version",
    )  # fmt: skip

    def __init__(self, message: Message) -> None:
        self.started = message.time
        self.request_bytes = message.size
        self.key: str | None = None
        """Its id; None where it could not be read."""
        self.model = ""
        self.version = ""
        self.body = b""
        """Inflated, until the first answer came."""
        self.fault: UndecodableReason | None = None
        """Why it can not be decoded."""
        self.cost = _REQUEST_BYTES
        self.answered = False
        self.ended = message.time
        self.response_bytes = 0

    def told(self, outcome: Outcome, ended: int, *, finished: bool = True) -> Inference:
        return Inference(outcome, self.started, ended, self.request_bytes, self.response_bytes, finished)

    def nothing_left(self) -> Inference:
        """It ended with its last answer."""
        return self.told(Decoded(self.model, self.version, 0, [], []), self.ended)


class _State:
    """What is remembered of one stream."""

    __slots__ = ("answered", "fault", "held", "lost", "open", "open_by_id", "recorded")

    def __init__(self) -> None:
        self.open: dict[_Request, None] = {}
        """In order of their coming."""
        self.open_by_id: dict[str | None, deque[_Request]] = {}
        self.answered: dict[_Request, None] = {}
        """Of the open ones."""
        self.held = 0
        self.recorded = False
        """Rows were told."""
        self.fault: UndecodableReason | None = None
        """The first reason for which something could not be decoded."""
        self.lost = 0
        """Answers of which it is not known what they answer."""

    def __del__(self) -> None:  # also when its stream is lost and never finished
        HELD.bytes -= self.held

    def add(self, request: _Request) -> None:
        self.open[request] = None
        self.open_by_id.setdefault(request.key, deque()).append(request)
        self._hold(request.cost)

    def end(self, request: _Request) -> None:
        """It is open no more."""
        del self.open[request]
        self.answered.pop(request, None)
        same = self.open_by_id[request.key]
        if same[0] is request:
            same.popleft()
        else:
            same.remove(request)
        if not same:
            del self.open_by_id[request.key]
        self._hold(-request.cost)

    def forget_body(self, request: _Request) -> None:
        released = len(request.body)
        request.body = b""
        request.cost -= released
        self._hold(-released)

    def _hold(self, nbytes: int) -> None:
        self.held += nbytes
        HELD.bytes += nbytes


def decode_message(message: Message, limits: Limits) -> list[Inference]:
    """What *message* tells about inferences, in order; usually one for an answer and none for a request.

    Keeps what it remembers in ``message.exchange.state``. Never raises.
    """
    exchange = message.exchange
    state = exchange.state
    if state is None:
        state = exchange.state = _State()
    assert isinstance(state, _State)
    if message.direction == 0:
        return _ask(state, message, limits)
    return _answer(state, message, limits)


def finish(exchange: Exchange) -> tuple[Outcome, list[Inference]]:
    """What an ended stream is in the books, and its inferences that were still open. Never raises.

    The first is not for the traffic. It is `Decoded`, without tensors, if rows were told; else what kept them
    from it: the failure of the stream, or the first reason for which a message could not be read.

    >>> finish(Exchange("grpc", b"POST", _TARGET, status=200, trailers={b"grpc-status": b"0"}))
    (Ignored(reason='not_inference'), [])
    """
    state = exchange.state
    exchange.state = None
    if not isinstance(state, _State):
        state = _State()
    failure = failure_of(exchange) if exchange.headers_known or exchange.closed else None
    unknown = not exchange.headers_known and not exchange.closed
    told = []
    for request in list(state.open):
        told.append(_finish(state, request, exchange, failure, unknown))
        state.end(request)
    if state.recorded:
        return Decoded("", "", 0, [], []), told
    if unknown:
        return Unobservable("", "", "header_state_lost"), told
    if failure is not None:
        return Failed("", "", failure), told
    if state.fault is not None:
        return Undecodable("", "", state.fault), told
    hidden = [inference.outcome for inference in told if isinstance(inference.outcome, Unobservable)]
    return hidden[0] if hidden else Ignored("not_inference"), told


def _finish(
    state: _State,
    request: _Request,
    exchange: Exchange,
    failure: FailureReason | None,
    unknown: bool,
) -> Inference:
    """What becomes of a request that is open when its stream ends."""
    model, version = request.model, request.version
    if unknown:
        return request.told(Unobservable(model, version, "header_state_lost"), exchange.ended)
    if failure is not None:  # more answers may have been to come
        return request.told(Failed(model, version, failure), exchange.ended)
    if request.answered:
        return request.nothing_left()
    if state.lost and request.fault is None:
        request.fault = "truncated"  # one of the lost answers may have been its
    return request.told(_decode(state, request, None), exchange.ended)


# Requests


def _ask(state: _State, message: Message, limits: Limits) -> list[Inference]:
    request = _Request(message)
    try:
        body = _body(message, message.exchange.request_headers, limits)
        parsed = parse(pb.ModelInferRequest, body)
        request.key = parsed.id
        request.model = parsed.model_name
        request.version = parsed.model_version
        request.cost += len(parsed.id) + len(request.model) + len(request.version)
        if HELD.bytes + request.cost + len(body) <= HELD_BYTES:
            request.body = body
            request.cost += len(body)
        else:
            request.fault = "too_large"
    except DecodeError as fault:
        request.fault = fault.reason
    except MemoryError:
        request.fault = "too_large"
    told = []
    before = state.open_by_id.get(request.key)
    if (
        before is not None and before[0].answered
    ):  # the id is used again, so it was not to be answered further
        told.append(before[0].nothing_left())
        state.end(before[0])
    if len(state.open) >= MOST_OPEN or (state.open and HELD.bytes + request.cost > HELD_BYTES):
        oldest = next(iter(state.answered or state.open))
        if oldest.answered:
            told.append(oldest.nothing_left())
        else:
            told.append(_undecodable(state, oldest, "too_large", message.time))
        state.end(oldest)
    if HELD.bytes + request.cost > HELD_BYTES:
        told.append(_undecodable(state, request, "too_large", message.time))
        return told
    state.add(request)
    return told


def _undecodable(state: _State, request: _Request, reason: UndecodableReason, ended: int) -> Inference:
    state.fault = state.fault or reason
    return request.told(Undecodable(request.model, request.version, reason), ended)


# Answers


def _answer(state: _State, message: Message, limits: Limits) -> list[Inference]:
    try:
        body = _body(message, message.exchange.response_headers, limits)
        parsed = parse(pb.ModelStreamInferResponse, body)
    except DecodeError as fault:
        return _unread_answer(state, message, fault.reason)
    except MemoryError:
        return _unread_answer(state, message, "too_large")
    answer = parsed.infer_response
    request = _asked(state, answer.id)
    if request is None:
        return _unasked(state, message, parsed)
    request.model = answer.model_name or request.model
    request.version = answer.model_version or request.version
    request.response_bytes += message.size
    request.ended = message.time
    parameters = answer.parameters
    final = _FINAL not in parameters or parameters[_FINAL].bool_param
    outcome: Outcome
    if parsed.error_message:
        outcome = Failed(request.model, request.version, "in_band")
        final = True  # Triton sends nothing after it that anybody waits for
    else:
        outcome = _decode(state, request, answer)
    if final:
        state.end(request)
    elif not request.answered:
        state.answered[request] = None
        state.forget_body(request)
    request.answered = True
    return [request.told(outcome, message.time, finished=final)]


def _asked(state: _State, key: str | None) -> _Request | None:
    """The request that an answer with the id *key* is for."""
    same = state.open_by_id.get(key)
    if same is None and key is not None:
        same = state.open_by_id.get(None)  # a request that could not be read
    return None if same is None else same[0]


def _unasked(state: _State, message: Message, parsed: pb.ModelStreamInferResponse) -> list[Inference]:
    """An answer to nobody: of an inference taken for finished, or of one whose request was forgotten."""
    answer = parsed.infer_response
    if parsed.error_message or not answer.outputs:
        return []
    try:
        outputs, holes = kserve_grpc.outputs_of(answer, None)
    except DecodeError as fault:
        state.fault = state.fault or fault.reason
        return []
    outcome = kserve_grpc.outcome(answer.model_name, answer.model_version, [], outputs, holes)
    if not isinstance(outcome, Decoded):
        return []
    state.recorded = True
    return [Inference(outcome, message.time, message.time, 0, message.size, finished=False)]


def _unread_answer(state: _State, message: Message, reason: UndecodableReason) -> list[Inference]:
    """An answer whose id is not known: it is told only where just one request can have asked for it."""
    state.fault = state.fault or reason
    if len(state.open) != 1:
        state.lost += 1
        return []
    [request] = state.open
    request.response_bytes += message.size
    request.ended = message.time
    state.end(request)
    return [_undecodable(state, request, reason, message.time)]


def _decode(state: _State, request: _Request, answer: pb.ModelInferResponse | None) -> Outcome:
    """What *answer*, or the end without one, tells: of a first answer with the request's inputs."""
    model, version = request.model, request.version
    if request.fault is not None:
        state.fault = state.fault or request.fault
        return Undecodable(model, version, request.fault)
    try:
        asked = None if request.answered else parse(pb.ModelInferRequest, request.body)
        inputs, holes = ([], 0) if asked is None else kserve_grpc.inputs_of(asked)
        outputs, more = ([], 0) if answer is None else kserve_grpc.outputs_of(answer, asked)
    except DecodeError as fault:
        state.fault = state.fault or fault.reason
        if not request.answered:
            request.fault = fault.reason
        return Undecodable(model, version, fault.reason)
    except MemoryError:
        state.fault = state.fault or "too_large"
        return Undecodable(model, version, "too_large")
    outcome = kserve_grpc.outcome(model, version, inputs, outputs, holes + more)
    if inputs or outputs:
        state.recorded = True
    return outcome


def _body(message: Message, headers: Mapping[bytes, bytes], limits: Limits) -> bytes:
    """The message, inflated; raises DecodeError."""
    if not message.complete:
        raise DecodeError("truncated", "the message was cut")
    return inflated(message.body, headers, limits) if message.compressed else message.body
