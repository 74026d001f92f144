"""Over gRPC: what is an inference, how it ended, what its frames and compression may be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.schema import Limits
from exporter.traffic import FailureReason
from sidecar.decode import Decoded, Failed, Ignored, Outcome, Undecodable, Unobservable, decode, failure_of
from sidecar.decode.grpc import fields, first_fields
from sidecar.exchange import Exchange
from tests.decode.grpc_build import ANSWER, INFER, REQUEST, columns, exchange, framed, request

LIMITS = Limits()
PREDICT = b"/tensorflow.serving.PredictionService/Predict"
METHODS = {
    b"/inference.GRPCInferenceService/": (
        b"ServerLive", b"ServerReady", b"ModelReady", b"ServerMetadata", b"ModelMetadata", b"ModelConfig",
        b"ModelStatistics", b"RepositoryIndex", b"RepositoryModelLoad", b"SystemSharedMemoryRegister",
        b"TraceSetting", b"LogSettings",
    ),
    b"/inference.model_repository.ModelRepositoryService/": (b"RepositoryIndex",),
    b"/tensorflow.serving.PredictionService/": (b"GetModelMetadata",),
    b"/tensorflow.serving.ModelService/": (b"GetModelStatus", b"HandleReloadConfigRequest"),
    b"/grpc.health.v1.Health/": (b"Check", b"Watch"),
    b"/grpc.reflection.v1.ServerReflection/": (b"ServerReflectionInfo",),
    b"/grpc.reflection.v1alpha.ServerReflection/": (b"ServerReflectionInfo",),
}  # fmt: skip


@pytest.mark.parametrize(
    "target", [service + method for service, methods in METHODS.items() for method in methods]
)
def test_calls_that_manage_a_server_are_ignored(target: bytes) -> None:
    assert decode(exchange(b"", b"", target=target), LIMITS) == Ignored("not_inference")


@pytest.mark.parametrize(
    "target",
    [b"", b"/", b"*", b"/ModelInfer", b"inference.GRPCInferenceService/ModelInfer2/x", b"/a" + INFER, INFER.lower(),
     b"/package.Service/Method", b"/tensorflow.serving.PredictionService/Classify", b"/\xff\xff",
     b"/tensorflow.serving.SessionService/SessionRun"],
)  # fmt: skip
def test_other_services_are_traffic(target: bytes) -> None:
    assert decode(exchange(REQUEST, ANSWER, target=target), LIMITS) == Ignored("unknown_dialect")


@pytest.mark.parametrize(
    "content_type", [b"application/grpc+json", b"application/grpc-web", b"application/grpc-web+proto"]
)
def test_what_is_not_protobuf_in_frames_is_traffic(content_type: bytes) -> None:
    other = exchange(REQUEST, ANSWER)
    other.request_headers = {b"content-type": content_type}
    assert decode(other, LIMITS) == Ignored("unknown_dialect")


@pytest.mark.parametrize(
    ("status", "code", "closed", "reason"),
    [
        (200, b"0", False, None),
        (200, b"1", False, "closed"),
        (200, b"2", False, "server_error"),
        (200, b"3", False, "client_error"),
        (200, b"4", False, "server_error"),
        (200, b"5", False, "client_error"),
        (200, b"6", False, "client_error"),
        (200, b"7", False, "client_error"),
        (200, b"8", False, "server_error"),
        (200, b"9", False, "client_error"),
        (200, b"10", False, "server_error"),
        (200, b"11", False, "client_error"),
        (200, b"12", False, "client_error"),
        (200, b"13", False, "server_error"),
        (200, b"14", False, "server_error"),
        (200, b"15", False, "server_error"),
        (200, b"16", False, "client_error"),
        (200, b"17", False, "server_error"),
        (200, b"00", False, "server_error"),
        (200, b"\xff", False, "server_error"),
        (200, None, False, "server_error"),
        (404, None, False, "client_error"),
        (503, None, False, "server_error"),
        (503, b"0", False, "server_error"),
        (302, None, False, "server_error"),
        (503, b"3", False, "client_error"),
        (200, b"0", True, "closed"),
        (0, None, True, "closed"),
    ],
)
@pytest.mark.parametrize(("target", "body", "names"), [
    (INFER, request(model_name="m", model_version="7"), ("m", "7")),
    (PREDICT, b"\x0a\x07\x0a\x01m\x12\x02\x08\x07", ("m", "7")),
])  # fmt: skip
def test_a_call_ends_as_its_trailers_say_and_its_request_names_it(
    status: int,
    code: bytes | None,
    closed: bool,
    reason: FailureReason | None,
    target: bytes,
    body: bytes,
    names: tuple[str, str],
) -> None:
    trailers = {} if code is None else {b"grpc-status": code}
    call = exchange(body, b"", target=target, status=status, trailers=trailers, closed=closed)
    assert failure_of(call) == reason
    if reason is None:
        assert decode(call, LIMITS) == Decoded(*names, 0, [], [])
    else:
        assert decode(call, LIMITS) == Failed(*names, reason)


def test_a_request_of_which_the_beginning_was_copied_still_names_its_model() -> None:
    whole = request(model_name="m", model_version="7", id="1")
    for coding in (None, b"gzip", b"deflate"):
        call = exchange(whole + b"\x3a\xff\x7f", ANSWER, coding=coding, request_body_complete=False)
        assert decode(call, LIMITS) == Undecodable("m", "1", "truncated")
        call.response_body_complete = False
        assert decode(call, LIMITS) == Undecodable("m", "7", "truncated")
        call.request_body = call.request_body[:4]
        assert decode(call, LIMITS) == Undecodable("", "", "truncated")


def test_lost_header_fields_make_an_exchange_unobservable() -> None:
    for protocol in ("grpc", "http"):
        lost = Exchange(protocol, b"", b"", headers_known=False)
        assert decode(lost, LIMITS) == Unobservable("", "", "header_state_lost")


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
def test_compressed_messages_are_inflated(coding: bytes) -> None:
    assert columns(decode(exchange(REQUEST, ANSWER, coding=coding), LIMITS)) == {
        "x[0]": [1.5],
        "x[1]": [2.5],
        "y": [0.5],
    }
    plain = exchange(REQUEST, ANSWER, coding=coding)
    plain.request_body = framed(REQUEST)  # a message may be sent as it is all the same
    assert isinstance(decode(plain, LIMITS), Decoded)


@pytest.mark.parametrize("coding", [None, b"", b"identity", b"snappy", b"zstd", b"gzip,gzip"])
def test_what_can_not_be_inflated_is_told(coding: bytes | None) -> None:
    call = exchange(REQUEST, ANSWER)
    call.request_body = framed(REQUEST, b"gzip")
    call.request_headers = {} if coding is None else {b"grpc-encoding": coding}
    assert decode(call, LIMITS) == Undecodable("m", "1", "bad_encoding")


def test_a_bomb_is_not_inflated() -> None:
    call = exchange(b"\0" * 50_000_000, ANSWER, coding=b"gzip")
    assert decode(call, LIMITS) == Undecodable("m", "1", "too_large")


@pytest.mark.parametrize(
    "body",
    [b"", b"\0\0\0\0", framed(REQUEST)[:-1], framed(REQUEST) + b"x", framed(REQUEST) * 2, b"\2" + framed(REQUEST)[1:],
     b"\0\x80\0\0\0" + REQUEST, b"\0\xff\xff\xff\xff"],
)  # fmt: skip
def test_a_body_that_is_not_one_message_is_undecodable(body: bytes) -> None:
    call = exchange(REQUEST, ANSWER)
    call.request_body = body
    assert decode(call, LIMITS) == Undecodable("m", "1", "bad_message")
    call = exchange(REQUEST, ANSWER)
    call.response_body = body
    assert decode(call, LIMITS) == Undecodable("m", "", "bad_message")


OUTCOMES = (Decoded, Failed, Undecodable, Unobservable, Ignored)
bodies = st.binary(max_size=200) | st.binary(max_size=200).map(framed)


@settings(max_examples=500, deadline=None)
@given(
    target=st.sampled_from([INFER, PREDICT]),
    request_body=bodies,
    response_body=bodies,
    status=st.sampled_from([200, 500]),
    coding=st.sampled_from([b"gzip", b"deflate", b"identity", b"snappy"]),
)
def test_no_bytes_make_it_raise(coding: bytes, **others: Any) -> None:
    headers = {b"grpc-encoding": coding}
    call = Exchange(
        "grpc",
        b"POST",
        request_headers=headers,
        response_headers=headers,
        trailers={b"grpc-status": b"0"},
        **others,
    )
    assert isinstance(decode(call, LIMITS), OUTCOMES)


@settings(max_examples=300, deadline=None)
@given(target=st.sampled_from([INFER, PREDICT]), which=st.booleans(), cut=st.data())
def test_damaged_messages_make_nothing_raise(target: bytes, which: bool, cut: st.DataObject) -> None:
    body = bytearray(REQUEST if which else ANSWER)
    for _ in range(cut.draw(st.integers(1, 4))):
        body[cut.draw(st.integers(0, len(body) - 1))] = cut.draw(st.integers(0, 255))
    call = (
        exchange(bytes(body), ANSWER, target=target)
        if which
        else exchange(REQUEST, bytes(body), target=target)
    )
    outcome: Outcome = decode(call, LIMITS)
    assert isinstance(outcome, OUTCOMES)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=100))
def test_fields_are_read_as_far_as_there_are_any(message: bytes) -> None:
    found = list(fields(message))
    assert sum(len(value) for _, value in found if isinstance(value, bytes)) <= len(message)
    assert len(first_fields(message)) <= 64
