"""The HTTP/2 reader under conversations of an honest client and server (h2), garbage, bombs and floods."""

from __future__ import annotations

from random import Random

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.exchange import Exchange
from sidecar.framing import CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE
from tests.wire import captures
from tests.wire.conversation import CLIENT, SERVER, Step, cut, damaged, told
from tests.wire.http2_cases import CASES, GRPC, TRAILERS, ok, post
from tests.wire.http2_talk import (
    STREAMED,
    Ends,
    Fields,
    Listener,
    Seen,
    call,
    frame,
    headers,
    listen,
    message,
    request,
    status,
)

C, S = CLIENT, SERVER


class Pair:
    """Two ends of the library h2; every flush is one step."""

    def __init__(self) -> None:
        self.ends = tuple(
            H2Connection(H2Configuration(client_side=side == C, header_encoding=None)) for side in (C, S)
        )
        self.steps: list[Step] = []
        for end in self.ends:
            end.initiate_connection()
        self.flush()

    def flush(self) -> None:
        while True:
            silent = True
            for direction, end in enumerate(self.ends):
                data = end.data_to_send()
                if data:
                    silent = False
                    self.steps.append((direction, data))
                    self.ends[1 - direction].receive_data(data)
            if silent:
                return


EXTRA: list[Fields] = [
    [], [(b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")], [(b"x-long", b"y" * 20_000)],
    [(b"grpc-timeout", b"3S"), (b"user-agent", b"grpc-python/1.62")], [(b"authorization", b"Bearer secret")],
]  # fmt: skip


def talk(random: Random, count: int) -> tuple[list[Step], dict[bytes, Seen]]:
    """A conversation of *count* streams in any interleaving, and what is to be seen, by target."""
    pair = Pair()
    client, server = pair.ends
    expected: dict[bytes, Seen] = {}
    todo: dict[int, list[str]] = {}
    left = count
    unchanged = list(pair.ends)  # h2's encoder errs where a size changes twice
    while left or todo:
        if left and (not todo or random.random() < 0.4):
            left -= 1
            number = client.get_next_available_stream_id()
            grpc = random.random() < 0.6
            target = b"/%s/%d" % (b"call" if grpc else b"rest", number)
            method = b"POST" if grpc else random.choice([b"POST", b"GET", b"HEAD", b"PUT"])
            kind = b"application/grpc" if grpc else b"application/json"
            fields = [*request(target, method, (b"content-type", kind)), (b":authority", b"m")]
            fields.sort(key=lambda field: not field[0].startswith(b":"))
            bare = method in (b"GET", b"HEAD")
            client.send_headers(number, [*fields, *random.choice(EXTRA)], end_stream=bare)
            expected[target] = Seen(target, 0, method=method, protocol="grpc" if grpc else "http")
            ending = random.choice(["end", "end", "trailers"])
            plan = [] if bare else ["ask"] * random.randint(0, 3) + [ending]
            answer = ["head"] + ["answer"] * (0 if method == b"HEAD" else random.randint(0, 3)) + ["last"]
            todo[number] = plan + random.choice([[], ["interim"]]) + random.choice([answer, answer, ["only"]])
            if random.random() < 0.1:
                todo[number].insert(random.randrange(len(todo[number])), random.choice(["cancel", "refuse"]))
            continue
        number = random.choice(list(todo))
        act = todo[number].pop(0)
        if not todo[number]:
            del todo[number]
        target = next(target for target in expected if target.endswith(b"/%d" % number))
        seen = expected[target]
        body = random.randbytes(random.choice([0, 1, 30, 3000]))
        padding = random.choice([None, None, 0, 5, 200])
        if act == "ask":
            client.send_data(number, body, pad_length=padding)
            seen = seen._replace(request=seen.request + body)
        elif act == "end":
            client.end_stream(number)
        elif act == "trailers":
            client.send_headers(number, [(b"x-sum", b"1")], end_stream=True)
        elif act == "interim":
            pair.flush()
            server.send_headers(number, [(b":status", b"103"), (b"link", b"</x>")])
        elif act == "head":
            pair.flush()
            code = random.choice([200, 200, 404, 500])
            server.send_headers(number, [(b":status", b"%d" % code), *random.choice(EXTRA)])
            seen = seen._replace(status=code)
        elif act == "answer":
            server.send_data(number, body, pad_length=padding)
            seen = seen._replace(answer=seen.answer + body)
        elif act == "last":
            if random.random() < 0.5:
                server.end_stream(number)
            else:
                server.send_headers(number, [(b"grpc-status", b"%d" % (number % 9))], end_stream=True)
                seen = seen._replace(trailers=((b"grpc-status", b"%d" % (number % 9)),))
        elif act == "only":
            pair.flush()
            server.send_headers(number, [(b":status", b"200"), (b"grpc-status", b"3")], end_stream=True)
            seen = seen._replace(status=200, trailers=((b"grpc-status", b"3"),))
        else:
            pair.flush()
            asked = not any(step in ("ask", "end", "trailers") for step in todo.pop(number, []))
            (client if act == "cancel" else server).reset_stream(number)
            seen = seen._replace(closed=True, answer_complete=False, request_complete=asked)
        expected[target] = seen
        if random.random() < 0.5:
            pair.flush()
        if unchanged and random.random() < 0.05:
            pair.flush()
            unchanged.pop().update_settings({SettingCodes.HEADER_TABLE_SIZE: random.choice([0, 100, 9000])})
            pair.flush()
        for end in pair.ends:
            end.increment_flow_control_window(20_000)
    pair.flush()
    return pair.steps, expected


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 40), st.integers(1, 12), st.lists(st.integers(0, 60_000), max_size=20))
def test_an_honest_conversation_is_read_as_it_was_meant_however_it_is_cut(
    seed: int, count: int, cuts: list[int]
) -> None:
    steps, expected = talk(Random(seed), count)
    listener = listen(cut(steps, cuts))
    assert listener.connection.losses == {}
    assert {one.target: one for one in listener.seen} == expected
    assert len(listener.exchanges) == count


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 1 << 40), st.integers(1, 12), st.lists(st.integers(0, 200), max_size=3), st.integers(1, 8)
)
def test_with_steps_missing_nothing_untrue_is_said(seed: int, count: int, gaps: list[int], lost: int) -> None:
    steps, expected = talk(Random(seed), count)
    listener = Listener(65536, 1 << 20, 1 << 24)
    missing = 0
    for number, (direction, data) in enumerate(steps):
        if number and number in gaps:
            missing = lost
        if missing:
            missing -= 1
            if not missing:
                listener.resync()
            continue
        listener.receive(direction, data)
    if missing:
        listener.resync()
    listener.close()
    assert set(listener.connection.losses) <= {"gap"}
    for seen in listener.seen:
        if not seen.known:
            continue
        whole = expected[seen.target]
        assert (seen.method, seen.protocol) == (whole.method, whole.protocol)
        if not seen.closed:
            assert seen == whole
        else:
            assert seen.status in (0, whole.status)
            assert whole.request.startswith(seen.request)
            assert whole.answer.startswith(seen.answer)


# Garbage

PIECES = [
    PREFACE, PREFACE[:5], post(1), post(3), ok(1), ok(3), headers(1, call(STREAMED)), headers(3, call(STREAMED)),
    frame(DATA, 0, 1, message(b"m" * 20)), frame(DATA, 8, 3, b"\4" + message(b"")[:3] + b"pad!"), headers(5, status()),
    frame(HEADERS, 0, 5, b"\x82"), frame(CONTINUATION, END_HEADERS, 5, b"\x84"), frame(HEADERS, 5, 7, b"\x40\1a\1b\xbe"),
    frame(HEADERS, 5, 9, b"\xbe\xbf\x82"), frame(3, 0, 1, bytes(4)), frame(4, 0, 0, b"\0\1\0\0\0\0"), frame(4, 1, 0),
    frame(5, 4, 1, b"\0\0\0\2\x88"), frame(7, 0, 0, bytes(8)), frame(8, 0, 1, bytes(4)), frame(2, 0, 1, bytes(5)),
    frame(0xEE, 0, 0, b"x" * 90), headers(1, TRAILERS, 5), headers(3, [*GRPC, *TRAILERS], 5), b"\xff\xff\xff\x00\x01",
    frame(HEADERS, 4, 11, b"\x82" * 600), b"\0" * 9, b"x" * 300, frame(DATA, END_STREAM, 1), frame(HEADERS, 4, 11, b"\xff" * 9),
]  # fmt: skip

texts = st.one_of(
    st.sampled_from(PIECES),
    st.binary(max_size=30),
    st.lists(st.sampled_from(PIECES), max_size=5).map(b"".join),
)
actions = st.one_of(
    st.tuples(st.just("receive"), st.integers(0, 1), texts),
    st.tuples(st.just("receive"), st.integers(0, 1), texts),
    st.tuples(st.just("cut"), st.integers(0, 1), st.sampled_from(PIECES)),
    st.tuples(st.just("skip"), st.integers(0, 1), st.integers(-1, 400)),
    st.tuples(st.just("resync"), st.integers(0, 2), st.just(b"")),
    st.tuples(st.just("note"), st.integers(0, 1), st.integers(0, 12)),
)


def perform(listener: Listener, what: str, direction: int, value: bytes | int) -> None:
    if what == "resync":
        listener.resync(None if direction == 2 else direction)
    elif what == "note":
        assert isinstance(value, int)
        (listener.connection.shed if direction else listener.connection.heads_only)(value)
    elif isinstance(value, int):
        listener.skip(direction, value)
    elif what == "cut":
        for start in range(0, len(value), 7):
            listener.receive(direction, value[start : start + 7])
    else:
        listener.receive(direction, value)


@settings(max_examples=250, deadline=None)
@given(st.booleans(), st.lists(actions, max_size=30))
def test_nothing_escapes_and_every_bound_holds_whatever_comes(
    begins: bool, done: list[tuple[str, int, bytes | int]]
) -> None:
    listener = Listener()  # checks conservation and the bounds after every call
    if begins:
        listener.receive(C, PREFACE)
    for action in done:
        perform(listener, *action)
    listener.close()


@settings(max_examples=120, deadline=None)
@given(
    st.one_of(
        st.sampled_from(CASES).map(lambda case: case.steps),
        st.sampled_from(captures.GRPC_NAMES).map(captures.steps),
    ),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=4),
    st.lists(st.integers(0, 3000), max_size=4),
)
def test_damaged_conversations_break_no_promise(
    steps: list[Step], damage: list[tuple[int, int]], cuts: list[int]
) -> None:
    told(Listener(65536, 4096, 65536), damaged(cut(steps, cuts), damage), close=True)


# Bombs and floods


def test_a_million_tiny_frames_are_counted_and_bounded() -> None:
    listener = Listener()
    listener.receive(C, PREFACE + headers(1, request()))
    piece = frame(DATA, 0, 1, b"x") * 10_000
    for _ in range(20):
        listener.receive(C, piece)
    for kind, flags, payload in (
        (8, 0, bytes(4)),
        (6, 0, bytes(8)),
        (4, 0, b""),
        (2, 0, bytes(5)),
        (0, 0, b""),
    ):
        listener.receive(S, frame(kind, flags, 0 if kind in (4, 6) else 1, payload) * 10_000)
    listener.receive(C, frame(DATA, END_STREAM, 1))
    listener.receive(S, ok(1))
    [exchange] = listener.exchanges
    assert exchange.request_bytes == len(headers(1, request())) + 20 * len(piece) + 9
    assert exchange.request_body == b"x" * 64
    assert not exchange.request_body_complete


def test_streams_that_are_reset_at_once_leave_nothing_behind() -> None:
    listener = Listener()
    listener.receive(C, PREFACE)
    for number in range(1, 20_001, 2):
        listener.receive(C, headers(number, request()) + frame(3, 0, number, b"\0\0\0\x08"))
    assert len(listener.exchanges) == 10_000
    assert all(exchange.closed for exchange in listener.exchanges)
    assert (listener.connection.open_exchanges, listener.held.bytes) == (0, 0)


@pytest.mark.parametrize("huffman", [False, True])
def test_ten_thousand_different_fields_stay_within_the_table(huffman: bool) -> None:
    ends = Ends()
    listener = listen(ends.steps, close=False)
    for number in range(1, 2001, 2):
        fields = [*call(), *((b"x-%d-%d" % (number, index), b"v" * index) for index in range(10))]
        listener.receive(C, frame(HEADERS, 5, number, ends.client.encode(fields, huffman=huffman)))
        listener.receive(S, headers(number, [*GRPC, *TRAILERS], 5))
    assert listener.connection.losses == {}
    assert len(listener.exchanges) == 1000
    assert all(isinstance(one, Exchange) and one.headers_known for one in listener.returned)
