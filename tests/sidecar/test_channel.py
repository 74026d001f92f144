"""The conservation law: whatever passes and whatever is lost, every exchange is accounted for once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.schema import Limits
from exporter.views import LawView
from sidecar.books import (
    _WRITTEN_DROPPED,
    DROPPED_REASONS,
    IGNORED_REASONS,
    UNDECODABLE_REASONS,
    UNOBSERVABLE_REASONS,
    Books,
)
from sidecar.channel import LONGEST_READ_NS, Channel
from sidecar.copier import ANSWER, REQUEST, Copier, Flow
from sidecar.exchange import Exchange
from sidecar.ring import RingWriter
from sidecar.words import PAGE, Recorder, Tap, words
from tests.memory import shared_memory

LIMITS = Limits(body_bytes=2000, header_bytes=4096)


def post(body: bytes, chunked: bool = False) -> bytes:
    head = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\n"
    if chunked:
        return head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Bench:
    """A tap's copier, its ring, and the channel that reads it; every finished exchange is 'recorded'."""

    def __init__(self, size: int = 65_536, sampling: float = 1.0) -> None:
        memory = shared_memory(PAGE + size)
        self.memory = memory
        self.words = words(memory)
        self.copier = Copier(RingWriter(memory), self.words, sampling, LIMITS.body_bytes)
        self.sampling = sampling
        self.exchanges: list[Exchange] = []
        self.channel = self.attach(first=True)

    def attach(self, *, first: bool = False) -> Channel:
        self.channel = Channel(self.memory, "http", LIMITS, self.sampling < 1.0, self.settle)
        self.channel.attach(first=first)
        return self.channel

    def settle(self, exchange: Exchange, heads_only: bool, books: Books) -> None:
        self.exchanges.append(exchange)
        if heads_only:
            books.sampled_out()
        else:
            books.recorded(1)

    def read(self) -> None:
        while self.channel.read(1 << 20):
            pass

    def law(self) -> LawView:
        return self.channel.books.view(self.channel.in_flight)


def parts(law: LawView) -> int:
    """Everything but what is unsettled."""
    by_reason = (law.dropped, law.undecodable, law.unobservable, law.ignored)
    return law.recorded + law.sampled_out + sum(sum(reasons.values()) for reasons in by_reason)


def test_the_reasons_fit_into_their_words() -> None:
    assert set(_WRITTEN_DROPPED) | {"pressure"} == set(DROPPED_REASONS)
    assert Recorder.DROPPED + len(_WRITTEN_DROPPED) <= Recorder.UNDECODABLE
    assert Recorder.UNDECODABLE + len(UNDECODABLE_REASONS) <= Recorder.UNOBSERVABLE
    assert Recorder.UNOBSERVABLE + len(UNOBSERVABLE_REASONS) <= Recorder.IGNORED
    assert Recorder.IGNORED + len(IGNORED_REASONS) <= Recorder.END
    for reasons in (UNDECODABLE_REASONS, UNOBSERVABLE_REASONS, IGNORED_REASONS):
        assert len(set(reasons)) == len(reasons)


def test_exchanges_on_a_kept_connection_are_recorded_one_by_one() -> None:
    bench = Bench()
    flow = bench.copier.open(1)
    for number in range(5):
        bench.copier.data(flow, REQUEST, post(b"%d" % number), 10 * number)
        bench.copier.data(flow, ANSWER, ok(b"yes"), 10 * number + 5)
    bench.read()
    assert [(e.request_body, e.started, e.ended) for e in bench.exchanges] == [
        (b"%d" % number, 10 * number, 10 * number + 5) for number in range(5)
    ]
    law = bench.law()
    assert (law.seen, law.recorded, law.unsettled, law.in_flight) == (5, 5, 0, 0)


def test_pipelined_requests_are_all_seen() -> None:
    bench = Bench()
    flow = bench.copier.open(1)
    bench.copier.data(flow, REQUEST, post(b"a") + post(b"b") + post(b"c"), 1)
    bench.read()
    assert (bench.law().seen, bench.law().unsettled, bench.law().in_flight) == (3, 3, 3)
    bench.copier.data(flow, ANSWER, ok(b"1") + ok(b"2"), 2)
    bench.copier.data(flow, ANSWER, ok(b"3"), 3)
    bench.read()
    law = bench.law()
    assert (law.seen, law.recorded, law.unsettled, law.in_flight) == (3, 3, 0, 0)


def test_a_connection_that_is_not_http_is_unobservable() -> None:
    bench = Bench()
    for first in (
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",  # no stream begins: no exchange
        b"\x00\x01\x02\x03binary",
    ):
        flow = bench.copier.open(1)
        bench.copier.data(flow, REQUEST, first, 1)
        bench.copier.data(flow, ANSWER, b"\x16\x03\x03\x00", 1)
        bench.copier.data(flow, REQUEST, b"\x17\x03\x03\x00", 1)
        bench.copier.close(flow, 2)
    bench.read()
    law = bench.law()
    assert law.seen == 2
    assert law.unobservable["tls"] == 1
    assert parts(law) == 2


def test_an_exchange_under_way_when_the_recorder_is_replaced_is_dropped_and_the_next_is_recorded() -> None:
    bench = Bench()
    flow = bench.copier.open(1)
    bench.copier.data(flow, REQUEST, post(b"a"), 1)
    bench.copier.data(flow, ANSWER, ok(b"a"), 1)
    bench.copier.data(flow, REQUEST, post(b"b"), 2)
    bench.read()
    bench.copier.data(flow, ANSWER, ok(b"b"), 2)
    bench.copier.data(flow, REQUEST, post(b"c"), 3)
    bench.attach()  # the old one died: b was half-read, c not read at all
    bench.copier.data(flow, ANSWER, ok(b"c"), 3)
    bench.copier.data(flow, REQUEST, post(b"d"), 4)
    bench.copier.data(flow, ANSWER, ok(b"d"), 4)
    bench.read()
    law = bench.law()
    assert [e.request_body for e in bench.exchanges] == [b"a", b"d"]
    assert (law.seen, law.recorded, law.dropped["recorder_restart"], law.unsettled) == (4, 2, 2, 0)


def test_the_first_recorder_reads_what_came_while_it_was_starting() -> None:
    bench = Bench()
    flow = bench.copier.open(1)
    bench.copier.data(flow, REQUEST, post(b"early"), 1)
    bench.copier.data(flow, ANSWER, ok(b"yes"), 2)
    bench.attach(first=True)
    bench.read()
    assert [e.request_body for e in bench.exchanges] == [b"early"]
    assert (bench.law().recorded, bench.law().unsettled) == (1, 0)


def test_a_tap_that_is_replaced_drops_what_was_under_way() -> None:
    bench = Bench()
    flow = bench.copier.open(1)
    bench.copier.data(flow, REQUEST, post(b"a"), 1)
    bench.copier.reset(2)
    bench.read()
    law = bench.law()
    assert (law.seen, law.dropped["tap_restart"], law.unsettled, law.in_flight) == (1, 1, 0, 0)


def test_of_exchanges_not_drawn_the_traffic_is_still_known() -> None:
    bench = Bench(sampling=0.0)
    flow = bench.copier.open(1)
    for number in range(4):
        bench.copier.data(flow, REQUEST, post(b"x" * 5000), 10 * number)
        bench.copier.data(flow, ANSWER, ok(b"y" * 7000), 10 * number + 5)
    bench.read()
    assert [(e.status, e.request_body, e.request_bytes, e.ended - e.started) for e in bench.exchanges] == [
        (200, b"", len(post(b"x" * 5000)), 5)
    ] * 4
    assert (bench.law().seen, bench.law().sampled_out, bench.law().unsettled) == (4, 4, 0)


def test_a_fault_of_the_sink_costs_one_exchange_and_is_counted() -> None:
    bench = Bench()

    def fails(exchange: Exchange, heads_only: bool, books: Books) -> None:
        raise RuntimeError("a fault of ours")

    bench.channel._sink = fails
    flow = bench.copier.open(1)
    bench.copier.data(flow, REQUEST, post(b"a"), 1)
    bench.copier.data(flow, ANSWER, ok(b"a"), 1)
    bench.read()
    assert (bench.law().dropped["fault"], bench.law().unsettled, bench.channel.faults) == (1, 0, 1)


STEPS = st.one_of(
    st.tuples(st.just("exchange"), st.integers(0, 4), st.integers(0, 6000), st.booleans()),
    st.tuples(st.just("request"), st.integers(0, 4), st.integers(0, 300), st.booleans()),
    st.tuples(st.just("pipelined"), st.integers(0, 4), st.integers(1, 4), st.booleans()),
    st.tuples(st.just("garbage"), st.integers(0, 4), st.integers(0, 40), st.booleans()),
    st.tuples(st.just("close"), st.integers(0, 4), st.just(0), st.just(False)),
    st.tuples(st.just("read"), st.integers(0, 4), st.integers(1, 20_000), st.just(False)),
    st.tuples(st.just("new recorder"), st.integers(0, 4), st.just(0), st.just(False)),
    st.tuples(st.just("new tap"), st.integers(0, 4), st.just(0), st.just(False)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=60), st.sampled_from([0.0, 0.5, 1.0]), st.binary(max_size=40))
def test_every_exchange_is_accounted_for_once_whatever_happens(
    steps: list[tuple[str, int, int, bool]], sampling: float, noise: bytes
) -> None:
    bench = Bench(sampling=sampling)
    flows: dict[int, Flow] = {}
    last_seen = 0
    for now, (step, number, size, chunked) in enumerate(steps):
        if step in ("exchange", "request", "pipelined", "garbage") and number not in flows:
            flows[number] = bench.copier.open(now)
        flow = flows.get(number)
        if step == "read":
            bench.channel.read(size)
        elif step == "new recorder":
            bench.attach()
        elif step == "new tap":
            bench.copier.reset(now)
            flows.clear()
        elif flow is None:
            continue
        elif step == "close":
            bench.copier.close(flows.pop(number), now)
        elif step == "garbage":
            bench.copier.data(flow, size & 1, noise or b"?", now)
        else:
            requests = post(b"x" * size, chunked) if step != "pipelined" else post(b"y") * size
            for at in range(0, len(requests), 900):
                bench.copier.data(flow, REQUEST, requests[at : at + 900], now)
            if step != "request":
                answers = ok(b"z" * size) if step != "pipelined" else ok(b"w") * size
                for at in range(0, len(answers), 900):
                    bench.copier.data(flow, ANSWER, answers[at : at + 900], now)
        law = bench.law()
        assert law.seen == parts(law) + law.unsettled
        assert law.unsettled >= 0
        assert law.seen >= last_seen, "a counter fell"
        last_seen = law.seen
    for flow in flows.values():
        bench.copier.close(flow, 99)
    bench.read()
    bench.copier.flush(100)
    bench.read()
    law = bench.law()
    assert (law.unsettled, law.in_flight, bench.channel.faults) == (0, 0, 0)
    assert law.seen == parts(law)
    assert (
        law.seen == bench.words[Tap.COPIED] + bench.words[Tap.DROPPED_PRESSURE] + bench.words[Recorder.EXTRA]
    )


def test_exchanges_that_take_long_do_not_keep_the_reader_until_the_ring_is_empty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moments = iter(range(0, 10**15, LONGEST_READ_NS))
    monkeypatch.setattr("sidecar.channel.monotonic_ns", lambda: next(moments))
    bench = Bench(1 << 20)
    flow = bench.copier.open(1)
    for number in range(100):
        bench.copier.data(flow, REQUEST, post(b"%d" % number), 10 * number)
        bench.copier.data(flow, ANSWER, ok(b"yes"), 10 * number + 5)
    reads = 0
    while bench.channel.read(1 << 20):
        reads += 1
    assert 5 < reads < 20
    assert [exchange.request_body for exchange in bench.exchanges] == [
        b"%d" % number for number in range(100)
    ]
    assert bench.law().recorded == 100
