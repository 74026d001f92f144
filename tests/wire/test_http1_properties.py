"""The HTTP/1.x reader under made-up conversations, garbage, and llhttp as an outside judge."""

from __future__ import annotations

from itertools import chain

import httptools
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sidecar.wire import LOSS_REASONS, TUNNEL_REASONS
from sidecar.wire.body import Body, Held
from sidecar.wire.head import CHUNKED
from tests.wire import captures
from tests.wire.cases import CASES
from tests.wire.conversation import CLIENT, SERVER, Listener, Seen, Step, cut, damaged, listen, seen, told

bodies = st.binary(max_size=120)


@st.composite
def chunked(draw: st.DrawFn, body: bytes) -> bytes:
    """*body* in chunks of any sizes, with extensions and trailers."""
    marks = sorted(draw(st.lists(st.integers(1, max(1, len(body) - 1)), max_size=4, unique=True)))
    pieces = [body[start:stop] for start, stop in zip([0, *marks], [*marks, len(body)], strict=True)]
    sent = b""
    for piece in filter(None, pieces):
        extension = draw(st.sampled_from([b"", b";a", b";a=b", b';a="b c"']))
        size = draw(st.sampled_from([b"%x", b"%X", b"0%x"])) % len(piece)
        sent += size + extension + b"\r\n" + piece + b"\r\n"
    trailers = draw(st.sampled_from([b"", b"X-Sum: 1\r\n", b"A: b\r\nC:\r\n"]))
    return sent + draw(st.sampled_from([b"0", b"000"])) + b"\r\n" + trailers + b"\r\n"


@st.composite
def message(draw: st.DrawFn, first_line: bytes, body: bytes, may_be_chunked: bool = True) -> bytes:
    """A message with *body*, of known length or chunked."""
    fields = draw(st.sampled_from([b"", b"Host: m\r\n", b"X-Empty:\r\nAccept: */*\r\n"]))
    if may_be_chunked and draw(st.booleans()):
        return first_line + b"Transfer-Encoding: chunked\r\n" + fields + b"\r\n" + draw(chunked(body))
    return first_line + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[Step], list[Seen]]:
    """A few exchanges, each step possibly of several pipelined ones, and what is to be seen."""
    steps: list[Step] = []
    expected = []
    for number in range(draw(st.integers(1, 4))):
        requests, answers = b"", b""
        for turn in range(draw(st.integers(1, 3))):
            target = b"/%d/%d" % (number, turn)
            method = draw(st.sampled_from([b"POST", b"GET", b"HEAD", b"PUT"]))
            sent = draw(bodies) if method in (b"POST", b"PUT") else b""
            requests += draw(message(method + b" " + target + b" HTTP/1.1\r\n", sent))
            status = draw(st.sampled_from([200, 204, 404, 500]))
            answered = draw(bodies)
            answer = draw(message(b"HTTP/1.1 %d X\r\n" % status, answered))
            if method == b"HEAD" or status == 204:
                answer = answer[: answer.index(b"\r\n\r\n") + 4]
                answered = b""
            interim = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
            answers += interim + answer
            expected.append(Seen(method, target, status, sent, answered))
        steps += [(CLIENT, requests), (SERVER, answers)]
    return steps, expected


@settings(max_examples=250, deadline=None)
@given(conversations(), st.lists(st.integers(0, 2000), max_size=10))
def test_every_conversation_is_read_as_it_was_meant_however_it_is_cut(
    conversation: tuple[list[Step], list[Seen]], cuts: list[int]
) -> None:
    steps, expected = conversation
    listener = listen(cut(steps, cuts))
    assert [seen(exchange) for exchange in listener.exchanges] == expected
    assert listener.connection.losses == {}
    assert sum(exchange.request_bytes for exchange in listener.exchanges) == listener.received[CLIENT]
    assert sum(exchange.response_bytes for exchange in listener.exchanges) == listener.received[SERVER]


WORDS = [
    b"GET / HTTP/1.1\r\n\r\n", b"POST /p HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 101 S\r\n\r\n",
    b"Content-Length: 5\r\n", b"Content-Length: 700\r\n", b"Transfer-Encoding: chunked\r\n", b"\r\n", b"\r", b"\n",
    b"5\r\nhello\r\n", b"0\r\n\r\n", b"hello", b"HTTP/1.1 100 Continue\r\n\r\n", b"CONNECT m:1 HTTP/1.1\r\n\r\n",
    b"HEAD /h HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 204 N\r\n\r\n", b"\x16\x03\x01", b"\x00",
    b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"x" * 300, b"ffffffffffffffff\r\n",
    b"GET /" + b"a" * 300 + b" HTTP/1.1\r\n\r\n",
]  # fmt: skip

texts = st.one_of(
    st.sampled_from(WORDS), st.binary(max_size=40), st.lists(st.sampled_from(WORDS), max_size=5).map(b"".join)
)
actions = st.one_of(
    st.tuples(st.just("receive"), st.integers(0, 1), texts),
    st.tuples(st.just("receive"), st.integers(0, 1), texts),
    st.tuples(st.just("skip"), st.integers(0, 1), st.integers(-1, 800)),
    st.tuples(st.just("resync"), st.just(0), st.just(b"")),
)


def perform(listener: Listener, what: str, direction: int, value: bytes | int) -> None:
    if what == "resync":
        listener.resync()
    elif isinstance(value, int):
        listener.skip(direction, max(value, 0))
    else:
        listener.receive(direction, value)


@settings(max_examples=500, deadline=None)
@given(st.lists(actions, max_size=30))
def test_nothing_escapes_and_every_bound_holds_whatever_comes(
    done: list[tuple[str, int, bytes | int]],
) -> None:
    listener = Listener()  # checks conservation and the bounds after every call
    for action in done:
        perform(listener, *action)
    listener.close()


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.sampled_from(CASES).map(lambda case: case.steps),
        st.sampled_from(captures.NAMES).map(captures.steps),
    ),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=4),
    st.lists(st.integers(0, 3000), max_size=4),
)
def test_damaged_conversations_break_no_promise(
    steps: list[Step], damage: list[tuple[int, int]], cuts: list[int]
) -> None:
    assume(steps)
    told(Listener(65536, 4096, 65536), damaged(cut(steps, cuts), damage), close=True)


class Judge:
    """What llhttp makes of a whole chunked request."""

    def __init__(self) -> None:
        self.body = b""
        self.complete = False
        self.failed = False

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.complete = True

    def read(self, body: bytes) -> None:
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            parser.feed_data(body)
        except httptools.HttpParserError:
            self.failed = True


@settings(max_examples=400, deadline=None)
@given(
    bodies.flatmap(chunked),
    st.lists(st.tuples(st.integers(0, 400), st.sampled_from(b"\r\n0a;: x\x00\xff")), max_size=2),
)
def test_chunks_are_read_as_llhttp_reads_them(sent: bytes, damage: list[tuple[int, int]]) -> None:
    damaged = bytearray(sent)
    for position, value in damage:
        damaged[position % len(damaged)] = value
    judge = Judge()
    judge.read(bytes(damaged))
    body = Body(CHUNKED, 1000, Held(1000))
    position = body.receive(bytes(damaged), 0)
    if judge.complete:
        assert body.done
        assert body.copy == judge.body
        assert damaged[:position].endswith(b"\r\n\r\n")
    elif not judge.failed:
        assert not body.done
        assert not body.failed
        assert body.copy == judge.body


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_a_million_bytes_in_one_chunk_or_in_many_are_counted_and_bounded(size: int) -> None:
    listener = Listener(512, 64, 128)
    listener.receive(CLIENT, b"POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = (b"%x\r\n%s\r\n" % (size, b"x" * size)) * (1 + 20_000 // size)
    for _ in range(5):
        listener.receive(CLIENT, piece)
    listener.receive(CLIENT, b"0\r\n\r\n")
    listener.receive(SERVER, b"HTTP/1.1 204 No Content\r\n\r\n")
    [exchange] = listener.exchanges
    assert exchange.request_bytes == listener.received[CLIENT]
    assert exchange.request_body == b"x" * 64


def test_a_flood_of_empty_lines_and_interim_answers_is_passed_over() -> None:
    listener = Listener()
    for _ in range(20):
        listener.receive(CLIENT, b"\r\n" * 10_000)
    listener.receive(CLIENT, b"GET / HTTP/1.1\r\n\r\n")
    for _ in range(20):
        listener.receive(SERVER, b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000)
    listener.receive(SERVER, b"HTTP/1.1 204 No Content\r\n\r\n")
    [exchange] = listener.exchanges
    assert (exchange.request_bytes, exchange.response_bytes) == tuple(listener.received)


def test_the_cases_reach_every_reason() -> None:
    reached = {case.reason for case in CASES} | set(chain.from_iterable(case.losses for case in CASES))
    assert reached - {None} == {*LOSS_REASONS, *TUNNEL_REASONS} - {"gap"}  # gaps: test_http1's skips
