"""What is copied: whole exchanges or nothing, heads always, and every exchange counted once."""

from __future__ import annotations

from sidecar.copier import ANSWER, REQUEST, WHOLE_BYTES, Copier
from sidecar.ring import GAP, HEADS_ONLY, START, Kind, Record, RingReader, RingWriter
from sidecar.words import PAGE, Tap, Words, attach, create, words

GET = b"GET /v2/health/ready HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /v2/models/m/infer HTTP/1.1\r\nContent-Length: 6\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Bench:
    """A copier and the reader of its ring."""

    def __init__(self, size: int = 65_536, sampling: float = 1.0, body_limit: int = 8192) -> None:
        memory = attach(create("test", PAGE + size))
        self.words: Words = words(memory)
        self.writer = RingWriter(memory)
        self.copier = Copier(self.writer, self.words, sampling, body_limit)
        self.reader = RingReader(memory)

    def read(self) -> list[tuple[Kind, int, bytes, int]]:
        records = [Record(*record) for record in self.reader.read(1 << 30)]
        return [(Kind(r.kind), r.flags, bytes(r.payload), r.size) for r in records]


def test_each_request_after_an_answer_begins_an_exchange() -> None:
    bench = Bench()
    flow = bench.copier.open(1)
    for direction, data in [
        (REQUEST, GET),
        (ANSWER, OK),
        (REQUEST, POST),
        (REQUEST, b"123456"),
        (ANSWER, OK),
    ]:
        bench.copier.data(flow, direction, data, 1)
    bench.copier.close(flow, 1)
    assert bench.read() == [
        (Kind.OPEN, 0, b"", 0),
        (Kind.REQUEST, START, GET, 0),
        (Kind.ANSWER, 0, OK, 0),
        (Kind.REQUEST, START, POST, 0),
        (Kind.REQUEST, 0, b"123456", 0),
        (Kind.ANSWER, 0, OK, 0),
        (Kind.CLOSE, 0, b"", 0),
    ]
    assert bench.words[Tap.COPIED] == 2


def test_an_interim_answer_does_not_begin_another_exchange() -> None:
    bench = Bench()
    flow = bench.copier.open(1)
    for direction, data in [
        (REQUEST, POST),
        (ANSWER, b"HTTP/1.1 100 Continue\r\n\r\n"),
        (REQUEST, b'{"in"}'),
    ]:
        bench.copier.data(flow, direction, data, 1)
    assert bench.words[Tap.COPIED] == 1


def test_a_request_cut_into_single_bytes_begins_one_exchange() -> None:
    bench = Bench()
    flow = bench.copier.open(1)
    for message in (POST + b"123456", OK, POST + b"123456"):
        direction = ANSWER if message is OK else REQUEST
        for at in range(len(message)):
            bench.copier.data(flow, direction, message[at : at + 1], 1)
    assert bench.words[Tap.COPIED] == 2


def test_the_first_bytes_of_a_connection_begin_an_exchange_whatever_they_are() -> None:
    bench = Bench()
    flow = bench.copier.open(1)
    for direction, data in [
        (REQUEST, b"\x16\x03\x01\x02"),
        (ANSWER, b"\x16\x03\x03"),
        (REQUEST, b"\x14\x03\x03"),
    ]:
        bench.copier.data(flow, direction, data, 1)
    assert bench.words[Tap.COPIED] == 1


def test_bytes_beyond_the_limit_are_told_and_not_copied() -> None:
    bench = Bench(body_limit=100)
    flow = bench.copier.open(1)
    bench.copier.data(flow, REQUEST, POST, 1)
    bench.copier.data(flow, REQUEST, b"x" * 100, 1)
    bench.copier.data(flow, REQUEST, b"y" * 50, 1)
    bench.copier.data(flow, ANSWER, OK, 1)
    left = 100 - len(POST)
    assert bench.read()[1:] == [
        (Kind.REQUEST, START, POST, 0),
        (Kind.REQUEST, 0, b"x" * left, 0),
        (Kind.REQUEST_SKIPPED, 0, b"", 100 - left),
        (Kind.REQUEST_SKIPPED, 0, b"", 50),
        (Kind.ANSWER, 0, OK, 0),
    ]


def test_of_an_exchange_that_is_not_drawn_only_the_heads_are_copied() -> None:
    bench = Bench(sampling=0.0)
    flow = bench.copier.open(1)
    large, body = POST + b"1" * WHOLE_BYTES, b"2" * 3000
    for direction, data in [(REQUEST, large), (REQUEST, body), (ANSWER, OK[:20]), (ANSWER, OK[20:] + body)]:
        bench.copier.data(flow, direction, data, 1)
    assert bench.read()[1:] == [
        (Kind.REQUEST, START | HEADS_ONLY, POST, 0),
        (Kind.REQUEST_SKIPPED, 0, b"", WHOLE_BYTES),
        (Kind.REQUEST_SKIPPED, 0, b"", 3000),
        (Kind.ANSWER, 0, OK[:20], 0),
        (Kind.ANSWER, 0, OK[20:-2], 0),
        (Kind.ANSWER_SKIPPED, 0, b"", 3002),
    ]


def test_of_a_small_exchange_that_is_not_drawn_all_is_copied_and_marked() -> None:
    bench = Bench(sampling=0.0)
    flow = bench.copier.open(1)
    for direction, data in [(REQUEST, POST + b"123456"), (ANSWER, OK)]:
        bench.copier.data(flow, direction, data, 1)
    assert bench.read()[1:] == [
        (Kind.REQUEST, START | HEADS_ONLY, POST + b"123456", 0),
        (Kind.ANSWER, 0, OK, 0),
    ]


def test_under_pressure_whole_exchanges_are_dropped_and_counted_and_the_next_one_tells_of_the_gap() -> None:
    bench = Bench()
    flow = bench.copier.open(1)
    sent = 0
    while not bench.words[Tap.DROPPED_PRESSURE]:
        bench.copier.data(flow, REQUEST, POST + b"123456", 1)
        bench.copier.data(flow, ANSWER, OK, 1)
        sent += 1
    assert bench.words[Tap.COPIED] == sent - 1
    assert len([r for r in bench.read() if r[0] is Kind.ANSWER]) == sent - 1
    bench.copier.data(flow, REQUEST, POST + b"123456", 1)
    assert bench.read() == [(Kind.REQUEST, START | GAP, POST + b"123456", 0)]
    assert bench.words[Tap.COPIED] + bench.words[Tap.DROPPED_PRESSURE] == sent + 1


def test_a_ring_full_of_other_connections_loses_an_exchange_and_says_which() -> None:
    bench = Bench(body_limit=1 << 20)
    flow, other = bench.copier.open(1), bench.copier.open(1)
    bench.copier.data(flow, REQUEST, POST, 1)
    while bench.writer.put(Kind.REQUEST, 0, other.number, 1, 0, b"z" * 512):
        pass
    bench.copier.data(flow, ANSWER, OK * 20, 1)
    bench.copier.close(flow, 1)
    before = bench.read()
    assert all(kind is Kind.OPEN or payload in (POST, b"z" * 512) for kind, _, payload, _ in before)
    bench.copier.flush(2)
    assert [r[0] for r in bench.read()] == [Kind.LOST, Kind.CLOSE]


def test_after_a_reset_every_connection_tells_of_its_gap() -> None:
    bench = Bench()
    flow = bench.copier.open(1)
    bench.copier.data(flow, REQUEST, POST, 1)
    bench.copier.reset(2)
    bench.copier.data(flow, ANSWER, OK, 3)
    bench.copier.data(flow, REQUEST, POST, 4)
    assert [(kind, flags) for kind, flags, _, _ in bench.read()][2:] == [
        (Kind.RESET, 0),
        (Kind.ANSWER, 0),
        (Kind.REQUEST, START | GAP),
    ]
