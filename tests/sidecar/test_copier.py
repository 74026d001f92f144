"""What is copied: whole exchanges or nothing, heads always, and every exchange counted once."""

from __future__ import annotations

import pytest

from sidecar.copier import ANSWER, REQUEST, WHOLE_BYTES, Copier
from sidecar.ring import GAP, HEADS_ONLY, START, Kind, Record, RingReader, RingWriter
from sidecar.words import PAGE, Recorder, Tap, Words, words
from tests.memory import shared_memory

GET = b"GET /v2/health/ready HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /v2/models/m/infer HTTP/1.1\r\nContent-Length: 6\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Bench:
    """A copier and the reader of its ring."""

    def __init__(self, size: int = 65_536, sampling: float = 1.0, body_limit: int = 8192) -> None:
        memory = shared_memory(PAGE + size)
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


def test_one_exchange_can_not_take_the_ring_however_often_the_sides_take_turns() -> None:
    bench = Bench(size=1 << 20, body_limit=1000)
    flow = bench.copier.open(1)
    bench.copier.data(flow, REQUEST, b"\x16\x03\x01" + bytes(997), 1)
    for _ in range(100):
        bench.copier.data(flow, ANSWER, bytes(1000), 1)
        bench.copier.data(flow, REQUEST, bytes(1000), 1)
    records = bench.read()
    copied = {kind: sum(len(data) for k, _, data, _ in records if k is kind) for kind in Kind}
    assert copied[Kind.REQUEST] == 1000 + 1000 + 500 + 250 + 125 + 62 + 31 + 15 + 7 + 3 + 1
    assert copied[Kind.ANSWER] == copied[Kind.REQUEST]
    assert copied[Kind.REQUEST] + sum(size for kind, _, _, size in records if kind == 2) == 101_000
    bench.copier.data(flow, ANSWER, OK, 1)
    bench.copier.data(flow, REQUEST, POST, 1)
    assert bench.read()[-1] == (Kind.REQUEST, START, POST, 0)


def test_an_interim_answer_takes_nothing_from_what_is_copied_of_the_body() -> None:
    bench = Bench(body_limit=1000)
    flow = bench.copier.open(1)
    bench.copier.data(flow, REQUEST, POST, 1)
    bench.copier.data(flow, ANSWER, b"HTTP/1.1 100 Continue\r\n\r\n", 1)
    bench.copier.data(flow, REQUEST, bytes(1000), 1)
    assert bench.read()[-1] == (Kind.REQUEST, 0, bytes(1000), 0)


def test_a_share_of_exchanges_is_copied_up_to_the_large_limit_in_both_directions() -> None:
    bench = Bench(size=1 << 20, body_limit=1000)
    bench.copier = Copier(bench.writer, bench.words, 1.0, 1000, 0.25, 4000)
    large, body = 0, POST + bytes(4000 - len(POST))
    for _ in range(400):
        flow = bench.copier.open(1)
        bench.copier.data(flow, REQUEST, body, 1)
        bench.copier.data(flow, ANSWER, bytes(4000), 1)
        sizes = {len(data) for _, _, data, _ in bench.read() if data}
        assert len(sizes) == 1
        assert sizes <= {1000, 4000}
        large += sizes == {4000}
    assert 60 < large < 140  # 100 ± 4.6 standard deviations


def test_events_as_they_come_are_copied_up_to_the_large_limit_and_other_answers_are_not() -> None:
    event = b"\ndata: " + b"x" * 92
    for piece, copied in ((event, 4000), (bytes(99), 1000)):
        bench = Bench(size=1 << 20, body_limit=1000)
        bench.copier = Copier(bench.writer, bench.words, 1.0, 1000, 0.0, 4000)
        flow = bench.copier.open(1)
        bench.copier.data(flow, REQUEST, POST, 1)
        for time in range(60):
            bench.copier.data(flow, ANSWER, piece, time)
        answers = [record for record in bench.read() if record[0] in (Kind.ANSWER, Kind.ANSWER_SKIPPED)]
        assert sum(len(data) for _, _, data, _ in answers) == copied
        assert sum(size for _, _, _, size in answers) == 60 * 99 - copied
        kinds = [kind for kind, _, _, _ in answers]
        assert kinds == sorted(kinds)  # once something was left out, all the rest is


def test_the_large_limit_is_at_most_an_eighth_of_the_ring() -> None:
    bench = Bench()
    bench.copier = Copier(bench.writer, bench.words, 1.0, 1000, 1.0, 1 << 30)
    flow = bench.copier.open(1)
    bench.copier.data(flow, REQUEST, bytes(20_000), 1)
    assert [len(data) for _, _, data, _ in bench.read()][1:] == [65_536 // 8, 0]


@pytest.mark.parametrize(
    ("planned", "said", "share"),
    [(1.0, 0.0, 1.0), (1.0, 0.3, 0.3), (0.5, 0.8, 0.5), (0.5, 0.1, 0.1), (0.0, 0.5, 0.0), (1.0, 1.0, 1.0)],
)
def test_the_recorder_lowers_the_share_and_never_raises_it(planned: float, said: float, share: float) -> None:
    bench = Bench(sampling=planned)
    flow = bench.copier.open(1)
    bench.words[Recorder.SAMPLING] = round(said * 2**32)
    drawn = 0
    for _ in range(2000):
        bench.copier.data(flow, REQUEST, GET, 1)
        bench.copier.data(flow, ANSWER, OK, 1)
        drawn += sum(flags == START for kind, flags, _, _ in bench.read() if kind is Kind.REQUEST)
    assert abs(drawn - 2000 * share) <= 5 * (2000 * share * (1 - share)) ** 0.5
    assert bench.words[Tap.COPIED] == 2000


def drops(free: float, connections: int, rounds: int) -> list[int]:
    """For each of *connections*: how many of *rounds* exchanges are shed while *free* of the ring is."""
    bench = Bench(size=1 << 16)
    flows = [bench.copier.open(1) for _ in range(connections)]
    bench.read()
    room = int(free * (1 << 16))
    found = [0] * connections
    for _ in range(rounds):
        for number, flow in enumerate(flows):
            while bench.writer.free() - room >= 24:
                filling = min(bench.writer.free() - room, 1024) - 24 & -8
                assert bench.writer.put(Kind.CLOSE, 0, 999, 1, 0, bytes(filling))
            before = bench.words[Tap.DROPPED_PRESSURE]
            bench.copier.data(flow, REQUEST, GET, 1)
            bench.copier.data(flow, ANSWER, OK, 1)
            found[number] += bench.words[Tap.DROPPED_PRESSURE] - before
            bench.read()
    assert sum(found) == bench.words[Tap.DROPPED_PRESSURE]
    assert bench.words[Tap.COPIED] + bench.words[Tap.DROPPED_PRESSURE] == connections * rounds
    return found


@pytest.mark.parametrize(
    ("free", "chance"),
    [(0.8, 0.0), (0.55, 0.0), (0.40625, 0.25), (0.3125, 0.5), (0.21875, 0.75), (0.125, 1.0)],
)
def test_between_a_half_and_an_eighth_free_exchanges_are_shed_by_chance_whatever_the_connection(
    free: float, chance: float
) -> None:
    rounds = 300
    shed = drops(free, 8, rounds)
    expected, deviation = rounds * chance, (rounds * chance * (1 - chance)) ** 0.5
    assert all(abs(count - expected) <= 5 * deviation + 0.03 * rounds for count in shed), shed
    if chance in (0.0, 1.0):
        assert set(shed) == {rounds * chance}
