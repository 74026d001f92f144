"""The HTTP/2 reader: one table of conversations, cut in every way; what real servers sent; what is missing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.exchange import Exchange, Message
from sidecar.framing import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PREFACE,
    RST_STREAM,
    SETTINGS,
)
from sidecar.wire.body import Held
from sidecar.wire.http2 import CONTINUATION_LIMIT, STREAM_LIMIT, Http2Connection
from tests.wire import captures
from tests.wire.conversation import CLIENT, SERVER, Step, by_the_byte, cut, joined, truncated
from tests.wire.http2_cases import CASES, END, GRPC, SEEN, TRAILERS, Case, ok, post
from tests.wire.http2_talk import (
    STREAMED,
    Ends,
    Listener,
    Seen,
    call,
    frame,
    headers,
    listen,
    message,
    plain,
    request,
    seen,
    status,
)

C, S = CLIENT, SERVER

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "_"))
each_capture = pytest.mark.parametrize("name", captures.GRPC_NAMES)


def assert_seen(case: Case, steps: list[Step]) -> None:
    listener = listen(steps, close=False)
    connection = listener.connection
    assert (connection.state, connection.broken_reason) == (case.state, case.reason)
    listener.close()
    assert listener.seen == case.expected
    assert connection.losses == case.losses


@each_case
def test_a_conversation_reads_the_same_step_by_step(case: Case) -> None:
    assert_seen(case, case.steps)


@each_case
def test_a_conversation_reads_the_same_by_the_byte(case: Case) -> None:
    steps = (
        case.steps
        if sum(len(data) for _, data in case.steps) < 5000
        else [*cut(case.steps, range(0, 200_000, 997))]
    )
    assert_seen(case, list(by_the_byte(steps)) if steps is case.steps else steps)


@each_case
def test_a_conversation_reads_the_same_with_neighbouring_steps_joined(case: Case) -> None:
    assert_seen(case, joined(case.steps))


@settings(max_examples=200, deadline=None)
@given(case=st.sampled_from(CASES), cuts=st.lists(st.integers(0, 500), max_size=12))
def test_a_conversation_reads_the_same_however_it_is_cut(case: Case, cuts: list[int]) -> None:
    assert_seen(case, list(cut(case.steps, cuts)))


@pytest.mark.parametrize("case", [case for case in CASES if case.state == "ok" and not case.losses],
                         ids=lambda case: case.name.replace(" ", "_"))  # fmt: skip
def test_a_tail_belongs_to_the_next_stream(case: Case) -> None:
    following = post(99)
    listener = listen([*case.steps, (C, following[:12])], close=False)
    before = len(listener.exchanges)
    listener.receive(C, following[12:])
    listener.receive(S, ok(99))
    assert listener.seen[before:] == [SEEN]
    listener.close()
    assert listener.connection.losses == {}


@pytest.mark.parametrize("case", [case for case in CASES if sum(len(d) for _, d in case.steps) < 3000],
                         ids=lambda case: case.name.replace(" ", "_"))  # fmt: skip
def test_a_conversation_truncated_anywhere_never_shows_what_was_not_there(case: Case) -> None:
    for length in range(sum(len(data) for _, data in case.steps)):
        for exchange in listen(truncated(case.steps, length)).exchanges:
            assert any(
                (exchange.target, exchange.method) == (whole.target, whole.method)
                and exchange.status in (0, whole.status)
                and whole.request.startswith(exchange.request_body)
                and whole.answer.startswith(exchange.response_body)
                for whole in case.expected
            ) or case.state == "broken"  # fmt: skip


# What real servers sent

CALLS = {
    "mlserver-grpc": [b"0"], "triton-grpc": [b"0"], "triton-grpc-batch1000": [b"0"], "triton-grpcgz": [b"0"],
    "triton-grpcstream": [b"0"], "triton-grpc-mux20": [b"0"] * 19 + [b"3"],
}  # fmt: skip
"""grpc-status of the calls of each capture; of those taken later, no more than that all are whole is asked."""

STREAMING = b"/inference.GRPCInferenceService/ModelStreamInfer"


@each_capture
def test_a_capture_reads_the_same_however_it_is_cut(name: str) -> None:
    steps = captures.steps(name)
    whole = listen(steps)
    assert whole.connection.losses == {}
    assert whole.exchanges
    if name in CALLS:
        statuses = sorted(exchange.trailers[b"grpc-status"] for exchange in whole.exchanges)
        assert statuses == CALLS[name]
    for exchange in whole.exchanges:
        assert (exchange.protocol, exchange.method, exchange.status) == ("grpc", b"POST", 200)
        assert (exchange.closed, exchange.headers_known) == (False, True)
        assert exchange.request_headers[b"content-type"] == b"application/grpc"
        for body in (exchange.request_body, exchange.response_body):
            while body:  # whole messages
                length = 5 + int.from_bytes(body[1:5], "big")
                assert len(body) >= length
                body = body[length:]
    others = [joined(steps), list(cut(steps, range(0, 100_000, 997)))]
    if sum(len(data) for _, data in steps) < 20_000:
        others.append(list(by_the_byte(steps)))
    for other in others:
        again = listen(other)
        assert again.seen == whole.seen
        assert [(e.request_bytes, e.response_bytes) for e in again.exchanges] == [
            (e.request_bytes, e.response_bytes) for e in whole.exchanges
        ]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(captures.GRPC_NAMES), st.lists(st.integers(0, 20_000), max_size=30))
def test_a_capture_reads_the_same_over_any_cuts(name: str, cuts: list[int]) -> None:
    steps = captures.steps(name)
    assert listen(cut(steps, cuts)).seen == listen(steps).seen


@pytest.mark.parametrize("by_bytes", [False, True])
def test_a_captured_stream_is_handed_out_message_by_message(by_bytes: bool) -> None:
    steps = captures.steps("triton-grpcstream")
    whole = listen(steps).exchanges[0]
    listener = Listener(65536, 1 << 20, 1 << 24, lambda target: target == STREAMING)
    for direction, data in by_the_byte(steps) if by_bytes else steps:
        listener.receive(direction, data)
    assert [one.direction for one in listener.messages] == [C, S, S, S, S]
    [exchange] = listener.exchanges
    assert (exchange.streamed, exchange.request_body, exchange.response_body) == (True, b"", b"")
    assert all(one.exchange is exchange and one.complete for one in listener.messages)
    sent = [b"".join(message(one.body) for one in listener.messages if one.direction == d) for d in (C, S)]
    assert sent == [whole.request_body, whole.response_body]
    assert all(one.size == len(one.body) + 5 for one in listener.messages)
    assert (exchange.request_bytes, exchange.response_bytes) == (whole.request_bytes, whole.response_bytes)
    assert exchange.trailers == whole.trailers


# Sizes, times, fields


def test_sizes_count_the_frames_of_the_stream() -> None:
    asked = [frame(HEADERS, 0, 1, plain(request())[:9]) + frame(CONTINUATION, END_HEADERS, 1, plain(request())[9:]),
             frame(DATA, PADDED, 1, b"\2a\0\0"), frame(DATA, END_STREAM, 1)]  # fmt: skip
    answered = [
        headers(1, status(b"103")),
        headers(1, status()),
        frame(DATA, 0, 1, b"ok"),
        headers(1, [(b"a", b"b")], END),
    ]
    between = frame(8, 0, 1, bytes(4)) + frame(6, 0, 0, bytes(8))
    steps = [(C, PREFACE + between.join(asked)), (S, frame(SETTINGS, 0, 0) + between.join(answered))]
    for cuts in (steps, list(by_the_byte(steps))):
        [exchange] = listen(cuts).exchanges
        assert exchange.request_bytes == sum(map(len, asked))
        assert exchange.response_bytes == sum(map(len, answered))


def test_times_are_those_of_the_first_and_last_bytes() -> None:
    asked = frame(HEADERS, 0, 1, plain(request())[:9]) + frame(
        CONTINUATION, END_HEADERS, 1, plain(request())[9:]
    )
    ask = asked + frame(DATA, END_STREAM, 1, b"x")
    interim = headers(1, status(b"100"))
    listener = listen(
        by_the_byte([(C, PREFACE), (C, ask), (S, interim), (S, ok(1)), (C, post(3))]), close=False
    )
    [exchange] = listener.exchanges
    sent = len(PREFACE + ask + interim)
    assert (exchange.started, exchange.answered, exchange.ended) == (
        len(PREFACE) + 1, sent + 1, sent + len(ok(1)),
    )  # fmt: skip
    listener.close()
    assert listener.exchanges[1].started == sent + len(ok(1)) + 1
    assert listener.exchanges[1].ended == listener.now


def test_what_comes_in_one_read_has_one_time() -> None:
    listener = Listener()
    first = PREFACE + post(1) + post(3)
    listener.receive(C, first[:30])
    listener.receive(C, first[30:])
    listener.receive(S, ok(1) + ok(3))
    assert [exchange.started for exchange in listener.exchanges] == [30, len(first)]


def test_only_fields_that_a_decoder_reads_are_kept() -> None:
    fields = request(
        b"/a", b"POST", (b"content-type", b"application/json"), (b"content-encoding", b"gzip"),
        (b"content-encoding", b"deflate"), (b"inference-header-content-length", b"7"), (b"authorization", b"secret"),
        (b"Content-Type", b"not/lower"), (b"cookie", b"a=b"),
    )  # fmt: skip
    ends = Ends()
    ends.head(C, 1, fields, end=True)
    ends.head(S, 1, status(b"200", (b"content-type", b"t" * 300), (b"grpc-encoding", b"gzip")))
    ends.head(S, 1, [(b"grpc-status", b"0"), (b"grpc-message", b"secret")], end=True)
    [exchange] = listen(ends.steps).exchanges
    assert exchange.request_headers == {
        b"content-type": b"application/json",
        b"content-encoding": b"gzip, deflate",
        b"inference-header-content-length": b"7",
    }
    assert exchange.response_headers == {b"grpc-encoding": b"gzip"}  # a value of 300 bytes is forgotten
    assert exchange.trailers == {b"grpc-status": b"0"}


def test_a_table_may_grow_as_far_as_the_other_side_allows() -> None:
    grown = b"\x3f\xe1\x3f" + plain(request())  # 8192
    for allowed, state in ((8191, "broken"), (8192, "ok")):
        listener = Listener()
        listener.receive(S, frame(SETTINGS, 0, 0, b"\0\1" + allowed.to_bytes(4, "big")))
        listener.receive(C, PREFACE + frame(HEADERS, END, 1, grown))
        assert listener.connection.state == state
    listener = Listener()
    listener.receive(S, frame(SETTINGS, 0, 0, b"\0\1\xff\xff\xff\xff"))
    listener.receive(C, PREFACE + frame(HEADERS, END, 1, b"\x3f\xe2\xff\x03" + plain(request())))  # 65537
    assert listener.connection.broken_reason == "bad_request"


# Bounds


def test_more_streams_than_are_followed_are_lost_one_by_one() -> None:
    listener = listen([(C, PREFACE)], close=False)
    for number in range(1, 2 * STREAM_LIMIT + 10, 2):
        listener.receive(C, post(number))
    assert listener.connection.losses == {"pipelined": 5}
    listener.receive(S, ok(1) + ok(2 * STREAM_LIMIT + 1))
    listener.receive(C, post(2 * STREAM_LIMIT + 11))
    listener.receive(S, ok(2 * STREAM_LIMIT + 11))
    assert listener.seen == [SEEN, SEEN]
    listener.close()


def test_a_flood_of_continuations_is_cut_off() -> None:
    listener = listen([(C, PREFACE + frame(HEADERS, 0, 1))], close=False)
    for _ in range(CONTINUATION_LIMIT):
        listener.receive(C, frame(CONTINUATION, 0, 1))
    assert listener.connection.state == "ok"
    listener.receive(C, frame(CONTINUATION, 0, 1))
    assert (listener.connection.broken_reason, listener.connection.losses) == (
        "head_too_long",
        {"head_too_long": 1},
    )
    assert listener.held.bytes == 0


def test_a_frame_of_16_mib_is_passed_through_without_being_kept() -> None:
    longest = (1 << 24) - 1
    for kind, number in ((DATA, 1), (0xEE, 0)):
        listener = Listener()
        listener.receive(C, PREFACE + headers(1, request()))
        listener.receive(
            C, longest.to_bytes(3, "big") + bytes([kind, END_STREAM]) + number.to_bytes(4, "big")
        )
        for _ in range(16):
            listener.receive(C, b"x" * (1 << 20) if _ < 15 else b"x" * ((1 << 20) - 1))
        listener.receive(S, ok(1))
        if kind == DATA:
            [exchange] = listener.exchanges
            assert exchange.request_bytes == len(headers(1, request())) + 9 + longest
            assert (exchange.request_body, exchange.request_body_complete) == (b"x" * 64, False)
        listener.close()
    for kind in (HEADERS, SETTINGS, RST_STREAM, 5, 7):
        listener = Listener()
        listener.receive(C, PREFACE + longest.to_bytes(3, "big") + bytes([kind, 0]) + b"\0\0\0\1")
        assert listener.connection.state == "broken"
        assert listener.connection.losses == ({"head_too_long": 1} if kind == HEADERS else {})


def test_bodies_are_cut_where_all_connections_hold_too_much() -> None:
    held = Held(100)
    connections = [Http2Connection(512, 64, held) for _ in range(3)]
    for connection in connections:
        connection.receive(C, PREFACE + headers(1, request()) + frame(DATA, 0, 1, b"x" * 30), 1)
        connection.receive(C, frame(DATA, END_STREAM, 1, b"y" * 30), 1)
    assert held.bytes == 102  # targets are never cut
    done = [exchange for connection in connections for exchange in connection.receive(S, ok(1), 2)]
    assert [(len(one.request_body), one.request_body_complete) for one in done if isinstance(one, Exchange)] == [
        (60, True), (36, False), (0, False)
    ]  # fmt: skip
    assert held.bytes == 0


def test_half_frames_of_many_connections_are_held_within_the_limit_of_all() -> None:
    held = Held(10_000)
    connections = [Http2Connection(4096, 100, held) for _ in range(10)]
    for connection in connections:
        connection.receive(C, PREFACE + frame(HEADERS, END_HEADERS, 1, b"x" * 4000)[:2000], 1)
    assert held.bytes <= held.limit
    states = [connection.state for connection in connections]
    assert states == ["ok"] * 5 + ["broken"] * 5
    assert [connection.losses for connection in connections[5:]] == [{"head_too_long": 1}] * 5
    for connection in connections:
        connection.close(2)
    assert held.bytes == 0


# Bytes that were not copied


def skipping(*steps: tuple[int, bytes | int]) -> Listener:
    """Bytes are received, numbers skipped; behind the preface."""
    listener = Listener()
    listener.receive(C, PREFACE)
    for direction, step in steps:
        if isinstance(step, int):
            listener.skip(direction, step)
        else:
            listener.receive(direction, step)
    return listener


def test_a_payload_that_was_not_copied_is_counted_and_exactly_passed_over() -> None:
    whole = frame(DATA, END_STREAM, 1, b"x" * 1000)
    asked = headers(1, request())
    for steps in (
        [(C, asked + whole[:9]), (C, 1000)],
        [(C, asked + whole[:9]), (C, 400), (C, 600)],
        [(C, asked + whole[:20]), (C, 400), (C, whole[420:])],
    ):
        listener = skipping(
            *steps, (S, headers(1, status()) + whole[:29]), (S, 980), (C, post(3)), (S, ok(3))
        )
        first, second = listener.exchanges
        copied = b"x" * 11 if len(steps[0][1]) == len(asked) + 20 else b""
        assert seen(first) == Seen(
            b"/a", 200, copied, b"x" * 20, request_complete=False, answer_complete=False
        )
        assert first.request_bytes == len(asked) + len(whole)
        assert first.response_bytes == len(headers(1, status())) + len(whole)
        assert seen(second) == SEEN


def test_padding_that_was_not_copied_is_nothing_missing() -> None:
    padded = frame(DATA, PADDED | END_STREAM, 1, b"\3ask" + bytes(3))
    listener = skipping((C, headers(1, request()) + padded[:-3]), (C, 3), (S, ok(1)))
    assert listener.seen == [SEEN]
    listener = skipping((C, headers(1, request()) + padded[:9]), (C, 2), (C, padded[11:]), (S, ok(1)))
    assert listener.seen == [Seen(b"/a", 200, b"", b"ok", request_complete=False)]
    assert listener.connection.losses == {}


def test_a_frame_of_unknown_type_may_be_skipped() -> None:
    listener = skipping((C, post(1) + frame(0xEE, 0, 0, b"x" * 50)[:9]), (C, 50), (S, ok(1)))
    assert listener.seen == [SEEN]


@pytest.mark.parametrize(
    ("steps", "lost"),
    [
        ([(C, 1)], 0),
        ([(C, headers(1, request())), (C, 1)], 1),
        ([(C, headers(1, request())), (S, 1)], 1),
        ([(C, headers(1, request())[:9]), (C, 30)], 1),
        ([(C, headers(1, request())[:8]), (C, 30)], 0),
        ([(C, headers(1, request()) + frame(DATA, 0, 1, b"abc")[:10]), (C, 3)], 1),
        ([(C, post(1) + headers(3, request())), (S, ok(1)), (S, 1)], 1),
    ],
)
def test_skipped_bytes_that_are_not_of_one_payload_break_the_connection(
    steps: list[tuple[int, bytes | int]], lost: int
) -> None:
    connection = skipping(*steps).connection
    assert (connection.state, connection.broken_reason) == ("broken", "gap")
    assert connection.losses == ({"gap": lost} if lost else {})


def test_skipping_nothing_or_where_nothing_is_read_does_nothing() -> None:
    assert skipping((C, 0), (S, 0), (C, -1)).connection.state == "ok"
    closed = listen([])
    closed.skip(C, 5)
    closed.receive(C, PREFACE + post(1))
    assert (closed.connection.broken_reason, closed.connection.begun) == ("closed", 0)


# Shed, and not drawn


def test_a_shed_stream_is_read_for_its_header_blocks_only() -> None:
    ends = Ends()
    listener = listen(ends.steps, close=False)
    listener.connection.shed(3)
    listener.connection.heads_only(5)
    ends.steps.clear()
    for number in (1, 3, 5):
        ends.head(C, number, call(b"/s/%d" % number), parts=3)
        ends.data(C, number, b"ask", end=True)
    for number in (5, 3, 1):
        ends.head(S, number, [*GRPC, (b"x-number", b"%d" % number)])
        ends.head(S, number, [(b"grpc-status", b"%d" % number)], end=True)
    for direction, data in ends.steps:
        listener.receive(direction, data)
    fives, ones = listener.exchanges
    assert [(e.target, e.heads_only, e.trailers) for e in (ones, fives)] == [
        (b"/s/1", False, {b"grpc-status": b"1"}),
        (b"/s/5", True, {b"grpc-status": b"5"}),
    ]
    assert (listener.connection.begun, listener.connection.losses) == (2, {})
    listener.close()


def test_a_shed_stream_that_is_cut_short_was_never_begun() -> None:
    for data in (
        headers(1, request()),
        headers(1, request())[:-1],
        frame(HEADERS, 0, 1),
        frame(HEADERS, 4, 1, b"\xff"),
    ):
        listener = listen([(C, PREFACE)], close=False)
        listener.connection.shed(1)
        listener.receive(C, data)
        listener.close()
        assert (listener.connection.begun, listener.connection.losses) == (0, {})


def test_notes_of_streams_that_never_begin_are_bounded() -> None:
    connection = Http2Connection(512, 64)
    for number in range(1, 100_001, 2):
        connection.shed(number)
    assert len(connection._marks) <= 10_000
    connection.shed(100_003)
    connection.receive(C, PREFACE + headers(100_003, request()), 1)
    assert connection.begun == 0


# After a gap


def conversation(tables: tuple[int, int]) -> list[tuple[Step, int]]:
    """Frames of twelve calls, one by one, with the stream of each."""
    ends = Ends()
    ends.client.header_table_size, ends.server.header_table_size = tables
    for number in range(1, 25, 2):
        ends.head(
            C,
            number,
            [*call(b"/s/%d" % (number // 4)), (b"traceparent", b"%050d" % number)],
            parts=1 + number % 3,
        )
        ends.data(C, number, b"ask %d" % number, end=True)
        if number % 4 == 1:
            continue  # answered behind the next one
        for answered in (number, number - 2):
            ends.head(S, answered, [*GRPC, (b"x-answer", b"%d" % (answered % 3))])
            ends.data(S, answered, b"answer %d" % answered)
            ends.head(
                S,
                answered,
                [(b"grpc-status", b"%d" % (answered % 5)), (b"x-sum", b"%d" % answered)],
                end=True,
            )
    steps = []
    for direction, data in ends.steps[1:]:
        number = int.from_bytes(data[5:9], "big")
        steps.append(((direction, data), number))
    return steps


ENTRIES_STAY = conversation((4096, 4096))
ENTRIES_COME_AGAIN = conversation((130, 80))
TRUTH = {
    (b"/s/%d" % (number // 4), b"ask %d" % number, 200, b"answer %d" % number, b"%d" % (number % 5))
    for number in range(1, 25, 2)
}


def truth(exchange: Exchange) -> tuple[bytes, bytes, int, bytes, bytes]:
    return (
        exchange.target, exchange.request_body, exchange.status, exchange.response_body,
        exchange.trailers.get(b"grpc-status", b"-"),
    )  # fmt: skip


@pytest.mark.parametrize("talk", [ENTRIES_STAY, ENTRIES_COME_AGAIN], ids=["stay", "come_again"])
@pytest.mark.parametrize("lost", [1, 2, 5, 9])
def test_after_a_gap_anywhere_what_is_said_is_true(talk: list[tuple[Step, int]], lost: int) -> None:
    known = unknown = 0
    for start in range(len(talk)):
        listener = listen([(C, PREFACE)], close=False)
        for step, _ in talk[:start]:
            listener.receive(*step)
        before = len(listener.exchanges)
        begun = {number for _, number in talk[:start]}
        listener.resync()
        for step, _ in talk[start + lost :]:
            listener.receive(*step)
        assert listener.connection.state == "ok"
        for exchange in listener.exchanges[before:]:
            number = int(exchange.request_body.split()[1]) if exchange.request_body else None
            assert number is None or number not in begun  # those begun before are lost
            if exchange.headers_known:
                known += 1
                assert truth(exchange) in TRUTH
            else:
                unknown += 1
                assert exchange.target in (b"", *(target for target, *_ in TRUTH))
                assert exchange.status in (0, 200)
        listener.close()
    assert (unknown if talk is ENTRIES_STAY else known) > 10


def test_fields_that_were_sent_since_a_gap_are_known_again() -> None:
    ends = Ends()
    ends.head(C, 1, call(b"/s/old"), end=True)
    ends.steps.clear()
    ends.client.header_table_size = 0  # an encoder that begins anew: a table of 0 bytes is empty for certain
    ends.head(C, 3, call(b"/s/new"), end=True)
    ends.head(S, 3, [*GRPC, *TRAILERS], end=True)
    listener = Listener()
    listener.resync()
    for step in ends.steps:
        listener.receive(*step)
    assert [(e.target, e.headers_known) for e in listener.exchanges] == [(b"/s/new", True)]


def test_a_gap_in_one_direction_leaves_the_other_side_s_fields_known() -> None:
    ends = Ends()
    ends.head(C, 1, call(), end=True)
    ends.head(S, 1, [*GRPC, *TRAILERS], end=True)
    listener = listen(ends.steps, close=False)
    ends.steps.clear()
    ends.head(C, 3, call(), end=True)  # all of it refers to the table
    ends.head(S, 3, [(b":status", b"404")], end=True)
    ends.head(C, 5, call(), end=True)
    ends.head(S, 5, [*GRPC, *TRAILERS], end=True)
    listener.resync(S)
    for step in ends.steps:
        listener.receive(*step)
    _, third, fifth = listener.exchanges
    assert (third.target, third.status, third.headers_known) == (b"/s/Call", 404, True)
    assert (fifth.target, fifth.headers_known) == (b"/s/Call", False)


def test_a_call_is_known_by_what_it_needs_and_a_request_by_all() -> None:
    """A tracing client takes the name of its field from an entry that was there before the gap."""
    for fields, known in ((call(b"/s/new"), True), (request(b"/new"), False)):
        traced = plain(fields) + b"\x7e\x05trace"  # a name that is not known, a value
        trailers = plain([(b"grpc-status", b"0")]) + b"\xbf"
        listener = Listener()
        listener.resync()
        listener.receive(C, frame(HEADERS, END, 1, traced))
        listener.receive(
            S, frame(HEADERS, END_HEADERS, 1, plain(GRPC) + b"\xbf") + frame(HEADERS, END, 1, trailers)
        )
        listener.receive(C, frame(HEADERS, END, 3, traced))
        listener.receive(S, frame(HEADERS, END_HEADERS, 3, plain(GRPC)) + frame(HEADERS, END, 3, b"\xbf"))
        assert [one.known for one in listener.seen] == [known, False]


def test_a_gap_loses_what_is_open_and_half_begun() -> None:
    for direction, lost in ((None, 3), (C, 3), (S, 2)):
        listener = listen([(C, PREFACE + post(1) + post(3) + headers(5, request())[:-1])], close=False)
        listener.resync(direction)
        assert listener.connection.losses == {"gap": lost}
        if direction == S:  # the rest of the client's frame is still to come
            listener.receive(C, headers(5, request())[-1:])
            listener.receive(S, ok(5))
        else:
            listener.receive(C, headers(5, request(), END))
            listener.receive(S, ok(1) + ok(5))
        assert len(listener.exchanges) == (direction != S)
        listener.close()


def test_trailers_of_a_stream_that_began_in_a_gap_begin_nothing() -> None:
    listener = listen([(C, PREFACE + post(1))], close=False)
    listener.resync()
    listener.receive(C, frame(DATA, 0, 3, b"rest") + headers(3, [(b"x-sum", b"1")], END) + post(5))
    listener.receive(S, ok(3) + ok(5))
    assert listener.seen == [SEEN]
    assert listener.connection.begun == 2


def test_a_connection_that_is_met_at_its_preface_is_read_from_its_beginning() -> None:
    ends = Ends()
    for number in (1, 3):
        ends.head(C, number, call(), end=True)
        ends.head(S, number, [*GRPC, *TRAILERS], end=True)
    for steps in (ends.steps, joined(ends.steps), list(by_the_byte(ends.steps))):
        listener = Listener()
        listener.resync()
        for step in steps:
            listener.receive(*step)
        assert [(e.target, e.status, e.headers_known) for e in listener.exchanges] == [
            (b"/s/Call", 200, True)
        ] * 2


def test_a_broken_connection_is_read_again_in_each_direction_after_its_own_resync() -> None:
    listener = listen([(C, PREFACE + post(1) + frame(DATA, 0, 0, b"x"))], close=False)
    assert listener.connection.losses == {"bad_request": 1}
    listener.receive(C, post(3))
    listener.resync(C)
    listener.receive(C, post(5))
    listener.receive(S, b"the middle of something")
    listener.skip(S, 5)
    assert (listener.connection.state, listener.connection.open_exchanges) == ("ok", 1)
    listener.resync(S)
    assert listener.connection.losses == {"bad_request": 1, "gap": 1}
    listener.receive(C, post(7))
    listener.receive(S, ok(5) + ok(7))
    assert listener.seen == [SEEN]


# Messages


def streaming(*steps: tuple[int, bytes | int]) -> Listener:
    return skipping((C, headers(1, call(STREAMED))), *steps)


def told(listener: Listener) -> list[tuple[int, bytes, bool, bool]]:
    return [(one.direction, one.body, one.compressed, one.complete) for one in listener.messages]


def data(body: bytes, flags: int = 0) -> bytes:
    return frame(DATA, flags, 1, body)


def test_messages_are_handed_out_as_they_end_however_they_are_framed() -> None:
    both = message(b"one") + message(b"") + message(b"three", 1)
    expected = [(C, b"one", False, True), (C, b"", False, True), (C, b"three", True, True)]
    for size in range(1, len(both) + 1):
        pieces = [data(both[start : start + size]) for start in range(0, len(both), size)]
        listener = streaming(*((C, piece) for piece in pieces))
        assert told(listener) == expected
        assert listener.held.bytes == len(STREAMED)
        listener.receive(S, headers(1, GRPC) + data(message(b"answer")) + headers(1, TRAILERS, END))
        listener.receive(C, data(b"", END_STREAM))
        assert type(listener.returned[-1]) is Exchange
        assert told(listener)[3:] == [(S, b"answer", False, True)]
        assert [one.request_body for one in listener.exchanges] == [b""]


def test_bytes_that_were_not_copied_inside_of_a_message_cost_that_message() -> None:
    sent = data(message(b"x" * 30) + message(b"next"))
    listener = streaming((C, sent[:20]), (C, 10), (C, sent[30:]))
    assert told(listener) == [(C, b"", False, False), (C, b"next", False, True)]
    assert [one.size for one in listener.messages] == [35, 9]
    listener = streaming((C, sent[:20]), (C, 24), (C, sent[44:]))  # to the message's very end
    assert told(listener) == [(C, b"", False, False), (C, b"next", False, True)]


@pytest.mark.parametrize("copied", [9, 12, 20, 44, 46])
def test_bytes_that_were_not_copied_before_a_message_cost_the_rest_of_its_direction(copied: int) -> None:
    sent = data(message(b"x" * 30) + message(b"next"))
    listener = streaming((C, sent[:copied]), (C, len(sent) - copied), (C, data(message(b"more"))))
    whole = [(C, b"x" * 30, False, True)] if copied >= 44 else []
    assert told(listener) == [*whole, (C, b"", False, False)]
    listener.receive(S, headers(1, GRPC) + data(message(b"other way")))
    assert told(listener)[len(whole) + 1 :] == [(S, b"other way", False, True)]


def test_a_message_above_the_limit_is_passed_over_and_a_lying_length_costs_nothing() -> None:
    listener = streaming((C, data(message(b"x" * 65))), (C, data(message(b"y" * 64))))
    assert told(listener) == [(C, b"", False, False), (C, b"y" * 64, False, True)]
    listener = streaming((C, data(b"\0\xff\xff\xff\xff" + b"x" * 1000)), (C, data(b"x" * 1000)))
    assert told(listener) == []
    assert listener.held.bytes == len(STREAMED)
    listener.close()
    assert told(listener) == []


def test_what_is_not_a_message_ends_the_framing() -> None:
    listener = streaming((C, data(message(b"one") + b"\x80\0\0\0\0" + message(b"two"))))
    assert told(listener) == [(C, b"one", False, True), (C, b"", False, False)]


def test_padding_of_unknown_length_ends_the_framing() -> None:
    padded = frame(DATA, PADDED, 1, b"\2" + message(b"one") + bytes(2))
    listener = streaming((C, padded[:9]), (C, 3), (C, padded[12:]), (C, data(message(b"two"))))
    assert told(listener) == [(C, b"", False, False)]


def test_messages_of_other_targets_and_protocols_stay_in_their_bodies() -> None:
    sent = message(b"one")
    for fields in (
        call(),
        request(STREAMED),
        request(STREAMED, b"POST", (b"content-type", b"application/grpc-web")),
    ):
        listener = skipping((C, headers(1, fields) + data(sent, END_STREAM)), (S, ok(1)))
        assert [type(one) for one in listener.returned] == [Exchange]
        assert listener.exchanges[0].request_body == sent


def test_a_message_that_a_reset_cut_short_never_was_one() -> None:
    listener = streaming(
        (C, data(message(b"x" * 30))[:-1]), (S, frame(RST_STREAM, 0, 1, b"\0\0\0\2")), (C, b"x")
    )
    assert told(listener) == []
    assert [type(one) for one in listener.returned] == [Exchange]
    assert listener.exchanges[0].closed
    assert listener.held.bytes == 0
    assert isinstance(listener.returned[0], Exchange | Message)
