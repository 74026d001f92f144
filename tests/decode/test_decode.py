"""What is an inference, how it ended, and which decoder reads it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.schema import Limits
from sidecar.decode import (
    IGNORED_REASONS,
    ROUTES,
    UNDECODABLE_REASONS,
    UNOBSERVABLE_REASONS,
    Decoded,
    Failed,
    Ignored,
    Outcome,
    Place,
    Route,
    Routes,
    Undecodable,
    Unobservable,
    decode,
)
from sidecar.exchange import Exchange
from tests.decode.build import ANSWER, JSON_LENGTH, REQUEST, V1, V2, exchange
from tests.wire import captures
from tests.wire.conversation import listen

LIMITS = Limits()


@pytest.mark.parametrize(
    ("method", "target"),
    [
        (b"GET", V2),
        (b"HEAD", b"/"),
        (b"OPTIONS", b"*"),
        (b"CONNECT", b"m:443"),
        (b"DELETE", b"/v2/models/m"),
        (b"GET", b"/v2/health/live"),
        (b"GET", b"/v1/models/m"),
        (b"GET", b"/metrics"),
        (b"POST", b"/v2/health/ready"),
        (b"POST", b"/v2/repository/index"),
        (b"POST", b"/v2/repository/models/m/load"),
        (b"POST", b"/v2/logging"),
        (b"POST", b"/v2/trace/setting"),
        (b"POST", b"/v2/models/m/trace/setting"),
        (b"POST", b"/v2/models/m/versions/1/ready"),
        (b"POST", b"/v2/systemsharedmemory/region/r/register"),
        (b"POST", b"/v2/cudasharedmemory/unregister"),
        (b"POST", b"/prefix/v2/repository/index?ready=true"),
        (b"POST", b"/healthz"),
        (b"POST", b"/ping"),
    ],
)
def test_what_is_not_an_inference_is_ignored(method: bytes, target: bytes) -> None:
    assert decode(exchange(method=method, target=target), LIMITS) == Ignored("not_inference")
    assert decode(exchange(method=method, target=target, status=500), LIMITS) == Ignored("not_inference")


@pytest.mark.parametrize(
    "target",
    [b"/", b"", b"*", b"/predict", b"/v2/models/m/infer/x", b"/v2/models//infer",
     b"/v1/models/m:explain", b"/v1/models/m:predict/x", b"/v1/models/a:b:predict", b"/xv2/models/m/infer", b"/\xff\x00"],
)  # fmt: skip
def test_what_no_decoder_knows_is_ignored_and_told_apart(target: bytes) -> None:
    assert decode(exchange(target=target), LIMITS) == Ignored("unknown_dialect")
    assert decode(exchange(target=target, status=404), LIMITS) == Ignored("unknown_dialect")


@pytest.mark.parametrize("target", [V2, V1])
@pytest.mark.parametrize(
    ("status", "closed", "expected"),
    [
        (400, False, Failed("m", "", "client_error")),
        (499, False, Failed("m", "", "client_error")),
        (500, False, Failed("m", "", "server_error")),
        (599, False, Failed("m", "", "server_error")),
        (0, True, Failed("m", "", "closed")),
        (200, True, Failed("m", "", "closed")),
        (500, True, Failed("m", "", "closed")),
        (301, False, Ignored("not_inference")),
        (101, False, Ignored("not_inference")),
    ],
)
def test_how_an_inference_ended_is_told_before_its_bodies_are_read(
    target: bytes, status: int, closed: bool, expected: Outcome
) -> None:
    broken = exchange(
        b"\xff", b"\xff", target=target, status=status, closed=closed, request_body_complete=False
    )
    assert decode(broken, LIMITS) == expected


def test_the_path_names_model_and_version_of_a_failure() -> None:
    failed = exchange(target=b"/a/v2/models/m%C3%A4/versions/3/infer?q", status=503)
    assert decode(failed, LIMITS) == Failed("mä", "3", "server_error")


def test_a_target_is_found_again_however_long_it_is() -> None:
    for length in (10, 900, 2000, 60_000):
        target = b"/v2/models/" + b"m" * length + b"/infer"
        for _ in range(2):
            assert decode(exchange(target=target, status=500), LIMITS) == Failed(
                "m" * length, "", "server_error"
            )


def test_a_table_chooses_by_path_and_content_type_in_order() -> None:
    def first(exchange: Exchange, place: Place, limits: Limits) -> Outcome:
        return Decoded(place.model, "first", 0, [], [])

    def second(exchange: Exchange, place: Place, limits: Limits) -> Outcome:
        return Decoded(place.model, "second", 0, [], [])

    path = re.compile(rb"/invocations\Z")
    routes = Routes(Route(path, frozenset({b"text/csv"}), first), Route(path, None, second), *ROUTES.rows)

    def version(content_type: bytes) -> str:
        headers = {b"content-type": content_type}
        outcome = decode(exchange(target=b"/invocations", request_headers=headers), LIMITS, routes)
        assert isinstance(outcome, Decoded)
        return outcome.version

    assert version(b"Text/CSV ; charset=utf-8") == "first"
    assert version(b"application/json") == "second"
    assert isinstance(decode(exchange(), LIMITS, routes), Decoded)


def test_no_reason_is_in_two_sets() -> None:
    reasons = [*UNDECODABLE_REASONS, *UNOBSERVABLE_REASONS, *IGNORED_REASONS]
    assert sorted(reasons) == sorted(set(reasons))


REAL = [each for name in captures.NAMES for each in listen(captures.steps(name)).exchanges]
headers = st.dictionaries(
    st.sampled_from([b"content-encoding", b"content-type", JSON_LENGTH]),
    st.sampled_from([b"gzip", b"deflate", b"br", b"0", b"5", b"100", b"-1", b"x", b"application/json"]),
)
garbage = st.one_of(
    st.binary(max_size=200), st.sampled_from([REQUEST, ANSWER, b"{}", b"[]", b"null", b'{"inputs":[{}]}'])
)


def assert_known(outcome: Outcome) -> None:
    if isinstance(outcome, Undecodable):
        assert outcome.reason in UNDECODABLE_REASONS
    elif isinstance(outcome, Unobservable):
        assert outcome.reason in UNOBSERVABLE_REASONS
    elif isinstance(outcome, Ignored):
        assert outcome.reason in IGNORED_REASONS
    else:
        assert isinstance(outcome, Decoded | Failed)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([V1, V2]), garbage, garbage, headers, headers)
def test_nothing_escapes_whatever_the_bodies_hold(
    target: bytes,
    request: bytes,
    answer: bytes,
    request_headers: dict[bytes, bytes],
    response_headers: dict[bytes, bytes],
) -> None:
    assert_known(
        decode(
            exchange(
                request,
                answer,
                target=target,
                request_headers=request_headers,
                response_headers=response_headers,
            ),
            LIMITS,
        )
    )


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(REAL),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=3),
    st.booleans(),
    st.integers(0, 3),
)
def test_nothing_escapes_from_damaged_captures(
    real: Exchange, damage: list[tuple[int, int]], in_answer: bool, cut: int
) -> None:
    body = bytearray(real.response_body if in_answer else real.request_body)
    for position, value in damage:
        body[position % len(body)] = value
    damaged = bytes(body[: len(body) - cut])
    assert_known(
        decode(
            exchange(
                real.request_body if in_answer else damaged,
                damaged if in_answer else real.response_body,
                target=real.target,
                status=real.status,
                request_headers=real.request_headers,
                response_headers=real.response_headers,
            ),
            LIMITS,
        )
    )
