"""The HTTP/1.x reader: one table of conversations, cut in every way."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.exchange import Exchange
from sidecar.wire.body import Held
from sidecar.wire.http1 import Http1Connection
from tests.wire import captures
from tests.wire.cases import CASES, GET, OK, SEEN_GET, Case, post
from tests.wire.conversation import (
    CLIENT,
    SERVER,
    Listener,
    Seen,
    Step,
    by_the_byte,
    cut,
    joined,
    listen,
    seen,
    truncated,
)

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "_"))
each_capture = pytest.mark.parametrize("name", captures.NAMES)


def assert_seen(case: Case, steps: list[Step]) -> None:
    listener = listen(steps, close=False)
    connection = listener.connection
    assert (connection.state, connection.tunnel_reason or connection.broken_reason) == (
        case.state,
        case.reason,
    )
    listener.close()
    assert [seen(exchange) for exchange in listener.exchanges] == case.expected
    assert connection.losses == case.losses


@each_case
def test_a_conversation_reads_the_same_step_by_step(case: Case) -> None:
    assert_seen(case, case.steps)


@each_case
def test_a_conversation_reads_the_same_by_the_byte(case: Case) -> None:
    assert_seen(case, list(by_the_byte(case.steps)))


@each_case
def test_a_conversation_reads_the_same_with_neighbouring_steps_joined(case: Case) -> None:
    assert_seen(case, joined(case.steps))


@settings(max_examples=400, deadline=None)
@given(case=st.sampled_from(CASES), cuts=st.lists(st.integers(0, 500), max_size=12))
def test_a_conversation_reads_the_same_however_it_is_cut(case: Case, cuts: list[int]) -> None:
    assert_seen(case, list(cut(case.steps, cuts)))


WHOLE = [case for case in CASES if case.state == "ok" and not case.losses and case.shows_cuts]
OPEN_ENDED = [case for case in WHOLE if not any(seen.closed for seen in case.expected)]


@pytest.mark.parametrize("case", OPEN_ENDED, ids=lambda case: case.name.replace(" ", "_"))
def test_a_tail_belongs_to_the_next_exchange(case: Case) -> None:
    listener = listen([*case.steps, (CLIENT, GET[:7])], close=False)
    assert [seen(exchange) for exchange in listener.exchanges] == case.expected
    listener.receive(CLIENT, GET[7:])
    listener.receive(SERVER, OK)
    listener.close()
    assert [seen(exchange) for exchange in listener.exchanges] == [*case.expected, SEEN_GET]
    assert listener.connection.losses == {}


@pytest.mark.parametrize("case", [case for case in CASES if sum(len(d) for _, d in case.steps) < 2000],
                         ids=lambda case: case.name.replace(" ", "_"))  # fmt: skip
def test_a_conversation_truncated_anywhere_never_shows_what_was_not_there(case: Case) -> None:
    for length in range(sum(len(data) for _, data in case.steps)):
        listener = listen(truncated(case.steps, length))
        for exchange, expected in zip(listener.exchanges, case.expected, strict=False):
            assert (exchange.method, exchange.target) == expected[:2]
            if case.shows_cuts and not exchange.closed:
                assert seen(exchange) == expected
            assert expected.request_body.startswith(exchange.request_body)
            assert expected.response_body.startswith(exchange.response_body)
        assert len(listener.exchanges) <= len(case.expected) or case.losses or case.state == "broken"


@each_capture
def test_a_capture_reads_the_same_however_it_is_cut(name: str) -> None:
    steps = captures.steps(name)
    whole = listen(steps)
    assert whole.connection.losses == {}
    assert [exchange.closed for exchange in whole.exchanges] == [False] * len(whole.exchanges)
    requests = {b"triton-http-keepalive3": 3}.get(name.encode(), 1)
    assert len(whole.exchanges) == requests
    assert sum(exchange.request_bytes for exchange in whole.exchanges) == whole.received[CLIENT]
    assert sum(exchange.response_bytes for exchange in whole.exchanges) == whole.received[SERVER]
    small = sum(len(data) for _, data in steps) < 10_000
    others = [joined(steps), list(cut(steps, range(0, 70_000, 997)))]
    if small:
        others.append(list(by_the_byte(steps)))
    for other in others:
        assert [seen(exchange) for exchange in listen(other).exchanges] == [
            seen(exchange) for exchange in whole.exchanges
        ]


@each_capture
def test_a_capture_truncated_anywhere_is_returned_once_or_lost_once(name: str) -> None:
    steps = captures.steps(name)
    total = sum(len(data) for _, data in steps)
    for length in {*range(0, total, max(1, total // 400)), total - 1}:
        listener = listen(truncated(steps, length))
        assert listener.connection.begun == len(listener.exchanges) + listener.connection.losses.get(
            "closed", 0
        )
        assert any(exchange.closed for exchange in listener.exchanges) or length == 0 or (
            listener.connection.losses == {"closed": 1}
        ) or name == "triton-http-keepalive3"  # fmt: skip


def test_a_chunk_size_cut_between_its_digits_is_one_number() -> None:
    head = b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"abcde\r\n0\r\n\r\n" + b"x" * 9
    listener = listen([(CLIENT, head + b"1"), (CLIENT, b"5\r\n" + body + b"\r\n0\r\n\r\n"), (SERVER, OK)])
    assert len(body) == 0x15
    assert [exchange.request_body for exchange in listener.exchanges] == [body]


def test_sizes_count_every_byte_on_the_wire() -> None:
    chunked = b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nA: b\r\n\r\n"
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    for steps in (
        [(CLIENT, b"\r\n" + chunked), (SERVER, interim), (SERVER, answer)],
        list(by_the_byte([(CLIENT, b"\r\n" + chunked), (SERVER, interim), (SERVER, answer)])),
    ):
        first, second = listen([*steps, (CLIENT, b"\r\n\r\n" + GET), (SERVER, OK)]).exchanges
        assert first.request_bytes == len(chunked) + 2
        assert first.response_bytes == len(interim) + len(answer)
        assert second.request_bytes == len(GET) + 4


def test_sizes_of_a_closed_exchange_count_what_was_there() -> None:
    [exchange] = listen([(CLIENT, post(b"body")[:-1]), (SERVER, OK[:9])]).exchanges
    assert (exchange.request_bytes, exchange.response_bytes) == (len(post(b"body")) - 1, 9)


def test_times_are_those_of_the_first_and_last_bytes() -> None:
    request, interim = post(b"body"), b"HTTP/1.1 100 Continue\r\n\r\n"
    listener = listen(
        by_the_byte(
            [(CLIENT, b"\r\n" + request), (SERVER, interim), (SERVER, OK), (CLIENT, GET), (SERVER, OK)]
        )
    )
    first, second = listener.exchanges
    sent = 2 + len(request) + len(interim)
    assert (first.started, first.answered, first.ended) == (3, sent + 1, sent + len(OK))
    begun = sent + len(OK)
    assert (second.started, second.answered) == (begun + 1, begun + len(GET) + 1)
    assert second.ended == begun + len(GET) + len(OK)


def test_the_time_of_a_close_is_the_end_of_what_it_ended() -> None:
    [exchange] = listen([(CLIENT, GET)]).exchanges
    assert (exchange.started, exchange.answered, exchange.ended) == (len(GET), 0, len(GET) + 1)


def test_only_headers_that_a_decoder_reads_are_kept() -> None:
    request = post(
        b"x",
        b"Content-TYPE: application/json",
        b"content-encoding: gzip",
        b"Content-Encoding:  deflate ",
        b"Inference-Header-Content-Length: 7",
        b"Authorization: secret",
        b"X-Long: " + b"l" * 5000,
    )
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Type: " + b"t" * 300 + b"\r\n\r\n"
    [exchange] = listen([(CLIENT, request), (SERVER, answer)]).exchanges
    assert exchange.request_headers == {
        b"content-type": b"application/json",
        b"content-encoding": b"gzip, deflate",
        b"inference-header-content-length": b"7",
    }
    assert exchange.response_headers == {}  # a value of 300 bytes is forgotten


def test_bodies_above_the_limit_are_cut_in_the_copy_and_counted_whole() -> None:
    long = b"0123456789" * 20
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (long[:7], long[7:]))
    for request, answer in (
        (post(long), b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + long),
        (
            b"POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n",
        ),
    ):
        for split in (joined, by_the_byte):
            listener = listen(
                split([(CLIENT, request), (SERVER, answer), (CLIENT, GET), (SERVER, OK)]), body_limit=64
            )
            first, second = listener.exchanges
            assert seen(first) == Seen(b"POST", b"/p", 200, long[:64], long[:64], False, False)
            assert (first.request_bytes, first.response_bytes) == (len(request), len(answer))
            assert seen(second) == SEEN_GET


def test_a_body_of_exactly_the_limit_is_complete() -> None:
    for split in (joined, by_the_byte):
        [exchange] = listen(split([(CLIENT, post(b"x" * 64)), (SERVER, OK)]), body_limit=64).exchanges
        assert (exchange.request_body, exchange.request_body_complete) == (b"x" * 64, True)


def test_bodies_of_all_connections_share_one_allowance() -> None:
    held = Held(250)
    connections = [Http1Connection(4096, 100, held) for _ in range(4)]
    for connection in connections:
        connection.receive(CLIENT, post(b"x" * 100), 1)
    assert held.bytes <= held.limit + 4 * len(b"/p")
    exchanges: list[Exchange] = []
    for connection in connections:
        exchanges += connection.receive(SERVER, OK, 2)
    assert [exchange.request_body_complete for exchange in exchanges] == [True, True, False, False]
    assert [len(exchange.request_body) for exchange in exchanges] == [100, 100, 44, 0]
    assert held.bytes == 0


def test_a_full_allowance_ends_pipelining_and_not_single_requests() -> None:
    held = Held(3)
    single = Http1Connection(4096, 100, held)
    single.receive(CLIENT, b"GET /long HTTP/1.1\r\n\r\n", 1)
    assert (single.open_exchanges, held.bytes) == (1, 5)
    single.receive(CLIENT, GET, 2)
    assert (single.state, single.broken_reason, single.losses) == ("broken", "pipelined", {"pipelined": 2})
    assert held.bytes == 0


def test_a_memoryview_is_as_good_as_bytes() -> None:
    connection = Http1Connection(4096, 100)
    assert connection.receive(CLIENT, memoryview(bytearray(post(b"body"))), 1) == []
    [exchange] = connection.receive(SERVER, memoryview(OK), 2)
    assert seen(exchange) == Seen(b"POST", b"/p", 200, b"body", b"ok")


# Bytes that the tap did not copy


def skipping(*steps: tuple[int, bytes | int]) -> Listener:
    listener = Listener(65536, 1 << 20, 1 << 26)
    for direction, what in steps:
        if isinstance(what, int):
            listener.skip(direction, what)
        else:
            listener.receive(direction, what)
    return listener


def test_skipped_bytes_of_a_known_length_leave_no_trace_but_a_cut_copy() -> None:
    request = post(b"0123456789")
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"
    listener = skipping(
        (CLIENT, request[:-7]), (CLIENT, 5), (CLIENT, request[-2:]), (SERVER, answer[:-8]), (SERVER, 8), (CLIENT, GET), (SERVER, OK)
    )  # fmt: skip
    first, second = listener.exchanges
    assert seen(first) == Seen(b"POST", b"/p", 200, b"012", b"01", False, False)
    assert (first.request_bytes, first.response_bytes) == (len(request), len(answer))
    assert seen(second) == SEEN_GET
    assert listener.connection.resynchronised == 0


def test_skipped_bytes_within_a_chunk_are_exact() -> None:
    head = b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    listener = skipping(
        (CLIENT, head + b"a\r\n01234"), (CLIENT, 5), (CLIENT, b"\r\n2\r\nab\r\n0\r\n\r\n"), (SERVER, OK)
    )
    [exchange] = listener.exchanges
    assert seen(exchange) == Seen(b"POST", b"/c", 200, b"01234", b"ok", request_complete=False)
    assert exchange.request_bytes == len(head) + 3 + 10 + 2 + 7 + 5


def test_an_answer_whose_chunk_was_skipped_to_its_end_goes_on_exactly() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    listener = skipping(
        (CLIENT, GET), (SERVER, head + b"a\r\n01234"), (SERVER, 5), (SERVER, b"\r\n0\r\n\r\n")
    )
    [exchange] = listener.exchanges
    assert seen(exchange) == Seen(b"GET", b"/a", 200, b"", b"01234", response_complete=False)
    assert listener.connection.resynchronised == 0


def test_a_chunked_request_cut_short_ends_where_its_answer_begins() -> None:
    head = b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    listener = skipping(
        (CLIENT, head + b"a\r\n01234"), (CLIENT, 500), (SERVER, b"HTTP/1.1 100 Continue\r\n\r\n"), (CLIENT, b"rest"),
        (SERVER, OK), (CLIENT, GET), (SERVER, OK),
    )  # fmt: skip
    first, second = listener.exchanges
    assert seen(first) == Seen(b"POST", b"/c", 200, b"01234", b"ok", request_complete=False)
    assert first.request_bytes == len(head) + 3 + 5 + 500 + 4
    assert seen(second) == SEEN_GET


def test_a_chunked_answer_cut_short_ends_where_the_next_request_begins() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for following in (GET, 5):
        listener = skipping(
            (CLIENT, post(b"body")), (SERVER, head + b"a\r\n01234"), (SERVER, 500), (SERVER, b"rest")
        )
        assert listener.exchanges == []
        ended = listener.now
        if isinstance(following, bytes):
            listener.receive(CLIENT, following)
        else:
            listener.skip(CLIENT, following)
        [exchange] = listener.exchanges
        assert seen(exchange) == Seen(b"POST", b"/p", 200, b"body", b"01234", response_complete=False)
        assert exchange.ended == ended
        assert exchange.response_bytes == len(head) + 3 + 5 + 500 + 4
        assert listener.connection.resynchronised == 1


def test_a_chunked_answer_cut_short_ends_with_the_connection() -> None:
    listener = skipping(
        (CLIENT, GET), (SERVER, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), (SERVER, 9)
    )
    listener.close()
    [exchange] = listener.exchanges
    assert seen(exchange) == Seen(b"GET", b"/a", 200, response_complete=False)


def test_a_body_until_close_may_be_skipped() -> None:
    listener = skipping(
        (CLIENT, GET), (SERVER, b"HTTP/1.1 200 OK\r\n\r\nbegin"), (SERVER, 100), (SERVER, b"end")
    )
    listener.close()
    [exchange] = listener.exchanges
    assert seen(exchange) == Seen(b"GET", b"/a", 200, b"", b"begin", response_complete=False)


@pytest.mark.parametrize(
    ("steps", "lost"),
    [
        ([(CLIENT, 1)], 0),
        ([(CLIENT, GET[:5]), (CLIENT, 1)], 1),
        ([(CLIENT, GET), (CLIENT, 1)], 1),
        ([(CLIENT, post(b"abc")[:-2]), (CLIENT, 3)], 1),
        ([(CLIENT, GET), (SERVER, 1)], 1),
        ([(CLIENT, GET), (SERVER, OK[:5]), (SERVER, 1)], 1),
        ([(CLIENT, GET + GET), (SERVER, OK[:-1]), (SERVER, 2)], 2),
        ([(CLIENT, GET), (SERVER, OK), (SERVER, 1)], 0),
    ],
)
def test_skipped_bytes_that_held_a_head_or_an_end_break_the_connection(
    steps: list[tuple[int, bytes | int]], lost: int
) -> None:
    connection = skipping(*steps).connection
    assert (connection.state, connection.broken_reason) == ("broken", "gap")
    assert connection.losses == ({"gap": lost} if lost else {})


def test_skipping_nothing_or_in_a_tunnel_does_nothing() -> None:
    assert skipping((CLIENT, 0), (SERVER, 0), (CLIENT, -1)).connection.state == "ok"
    assert skipping((CLIENT, b"\x16\x03"), (SERVER, 9)).connection.state == "tunnel"
    swallowed = skipping((CLIENT, b"CONNECT m:1 HTTP/1.1\r\n\r\n"), (CLIENT, 9)).connection
    assert (swallowed.state, swallowed.open_exchanges) == ("ok", 1)


# After a gap


def test_after_a_resync_answers_wait_for_the_next_request() -> None:
    listener = skipping((CLIENT, GET + GET[:4]), (SERVER, OK[:9]))
    listener.resync()
    assert listener.connection.losses == {"gap": 2}
    listener.receive(SERVER, b"the rest of an answer that was not seen")
    listener.skip(SERVER, 5)
    assert listener.connection.state == "ok"
    listener.receive(CLIENT, GET)
    listener.receive(SERVER, OK)
    assert [seen(exchange) for exchange in listener.exchanges] == [SEEN_GET]


def test_after_a_resync_what_is_not_http_is_broken_and_never_a_tunnel() -> None:
    listener = Listener()
    listener.resync()
    for _ in range(3):
        listener.receive(CLIENT, b'{"the middle": "of a body"}')
        assert listener.connection.state == "broken"
        listener.resync()
    listener.receive(CLIENT, GET)
    listener.receive(SERVER, OK)
    assert [seen(exchange) for exchange in listener.exchanges] == [SEEN_GET]
    assert listener.connection.losses == {"bad_request": 3}


def test_a_tunnel_stays_one_and_a_closed_connection_reads_nothing() -> None:
    tunnel = listen([(CLIENT, b"\x16\x03\x01")], close=False)
    tunnel.resync()
    tunnel.receive(CLIENT, GET)
    tunnel.close()
    assert (tunnel.connection.state, tunnel.connection.begun) == ("tunnel", 0)
    closed = listen([])
    closed.receive(CLIENT, GET)
    closed.close()
    assert (closed.connection.broken_reason, closed.connection.begun) == ("closed", 0)


def test_half_heads_of_many_connections_are_held_within_the_limit_of_all() -> None:
    held = Held(10_000)
    connections = [Http1Connection(4096, 100, held) for _ in range(10)]
    for connection in connections:
        connection.receive(CLIENT, b"POST /v2/models/m/infer HTTP/1.1\r\nCookie: " + b"x" * 2000, 1)
    assert held.bytes <= held.limit
    states = [connection.state for connection in connections]
    assert states == ["ok"] * 4 + ["broken"] * 6
    assert [connection.losses for connection in connections[4:]] == [{"head_too_long": 1}] * 6
    for connection in connections:
        connection.close(2)
    assert held.bytes == 0
