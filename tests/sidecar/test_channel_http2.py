"""HTTP/2 through copier, ring and channel: what is returned is what was said, and every stream is counted."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.copier import Copier, Flow
from sidecar.ring import Kind, RingWriter
from sidecar.words import Recorder, Tap
from tests.sidecar.talk import Talk
from tests.sidecar.test_channel import Bench, parts


def play(bench: Bench, talk: Talk) -> None:
    flow = bench.copier.open(1)
    for time, (direction, data) in enumerate(talk.pieces, 2):
        bench.copier.data(flow, direction, data, time)
    bench.copier.close(flow, len(talk.pieces) + 2)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1 << 32), st.booleans())
def test_every_stream_is_returned_as_it_was_said(seed: int, grpc: bool) -> None:
    talk = Talk(Random(seed), grpc).go(streams=20, longest=200)
    bench = Bench(1 << 20)
    play(bench, talk)
    bench.read()
    returned = {exchange.target: exchange for exchange in bench.exchanges}
    assert sorted(returned) == sorted(stream.target for stream in talk.streams.values())
    for stream in talk.streams.values():
        exchange = returned[stream.target]
        assert exchange.protocol == ("grpc" if grpc else "http")
        assert exchange.closed == stream.reset
        assert exchange.headers_known
        if not stream.reset:
            assert (exchange.request_body, exchange.response_body) == (stream.request, stream.answer)
            assert exchange.request_body_complete
            assert exchange.response_body_complete
            assert (exchange.status, exchange.trailers) == (200, {b"grpc-status": b"0"})
    law = bench.law()
    assert (law.seen, law.recorded, law.unsettled, law.in_flight) == (20, 20, 0, 0)


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 1 << 32), st.sampled_from([1.0, 0.5, 0.0]), st.sampled_from([200, 3000, 20_000]))
def test_whatever_is_lost_every_stream_is_counted_and_nothing_untrue_is_said(
    seed: int, sampling: float, longest: int
) -> None:
    """A ring that is too small, recorders that are replaced, and sampling, in any mixture."""
    random = Random(seed)
    talks = [
        Talk(Random(random.random())).go(streams=random.randint(1, 25), longest=longest) for _ in range(4)
    ]
    bench = Bench(65_536, sampling)
    flows = [bench.copier.open(1) for _ in talks]
    queues = [list(talk.pieces) for talk in talks]
    time = 1
    while any(queues):
        time += 1
        number = random.choice([number for number, queue in enumerate(queues) if queue])
        direction, data = queues[number].pop(0)
        bench.copier.data(flows[number], direction, data, time)
        if random.random() < 0.02:
            bench.attach()
        elif random.random() < 0.02:  # a tap's copier does not outlive its tap, but its ring does
            bench.copier.flush(time)
        elif random.random() < (0.05 if longest > 1000 else 0.2):
            bench.channel.read(random.choice([1000, 1 << 20]))
    for flow in flows:
        bench.copier.close(flow, time + 1)
    bench.read()
    bench.copier.flush(time + 2)
    bench.read()
    law = bench.law()
    assert law.seen == sum(len(talk.streams) for talk in talks)
    assert parts(law) == law.seen, law
    assert (law.unsettled, law.in_flight) == (0, 0)
    said = {
        (stream.target, index): stream for index, talk in enumerate(talks) for stream in talk.streams.values()
    }
    for exchange in bench.exchanges:
        assert exchange.headers_known  # the tap tells every table that was lost
        candidates = [stream for (target, _), stream in said.items() if target == exchange.target]
        assert candidates, exchange.target
        if exchange.closed or exchange.heads_only:
            continue
        assert (exchange.status, exchange.trailers.get(b"grpc-status")) == (200, b"0")
        if exchange.request_body_complete:
            assert exchange.request_body in {stream.request for stream in candidates}
        if exchange.response_body_complete:
            assert exchange.response_body in {stream.answer for stream in candidates}


def feed(bench: Bench, flow: Flow, pieces: list[tuple[int, bytes]]) -> None:
    for direction, data in pieces:
        bench.copier.data(flow, direction, data, 1)


def check_the_last(bench: Bench, talk: Talk, count: int, unheard: int = 0) -> None:
    """The last *count* streams have been returned, and all that has been is as it was said.

    Of at most *unheard* streams the heads could not be read.
    """
    streams = {stream.target: stream for stream in talk.streams.values()}
    returned = [exchange.target for exchange in bench.exchanges]
    assert set(returned) >= set(list(streams)[len(streams) - count :])
    assert len(set(returned)) == len(returned)
    for exchange in bench.exchanges:
        stream = streams[exchange.target]
        assert exchange.headers_known
        assert exchange.closed == stream.reset
        if not stream.reset:
            assert (exchange.request_body, exchange.response_body) == (stream.request, stream.answer)
            assert (exchange.status, exchange.trailers) == (200, {b"grpc-status": b"0"})
    law = bench.law()
    assert (law.seen, parts(law)) == (len(streams), len(streams))
    assert (law.unsettled, law.in_flight) == (0, 0)
    assert law.unobservable["header_state_lost"] <= unheard


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 1 << 32), st.lists(st.floats(0, 1), max_size=3), st.booleans())
def test_a_recorder_that_attaches_later_knows_all_of_every_stream_that_begins(
    seed: int, moments: list[float], reads: bool
) -> None:
    talk = Talk(Random(seed)).go(streams=30, longest=200)
    bench = Bench(1 << 20)
    flow = bench.copier.open(1)
    at = begun = 0
    for moment in sorted(moments):
        now = round(moment * len(talk.pieces))
        feed(bench, flow, talk.pieces[at:now])
        if reads:
            bench.read()
        bench.attach()
        at, begun = now, bench.words[Tap.COPIED]
    feed(bench, flow, talk.pieces[at:])
    bench.copier.close(flow, 2)
    bench.read()
    check_the_last(bench, talk, 30 - begun)
    assert bench.law().recorded + bench.law().dropped["recorder_restart"] == 30


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 1 << 32), st.floats(0, 1), st.floats(0, 1))
def test_after_a_full_ring_all_is_known_of_every_stream_that_begins(
    seed: int, first: float, last: float
) -> None:
    talk = Talk(Random(seed)).go(streams=30, longest=200)
    full, free = sorted(round(moment * len(talk.pieces)) for moment in (first, last))
    bench = Bench(1 << 20)
    flow = bench.copier.open(1)
    feed(bench, flow, talk.pieces[:full])
    bench.read()
    put = bench.copier._put
    while put(Kind.CLOSE, 0, 999, 1, 0, bytes(1000)) or put(Kind.CLOSE, 0, 999, 1, 0, b""):
        pass
    feed(bench, flow, talk.pieces[full:free])
    bench.read()
    begun, dropped = bench.words[Tap.COPIED], bench.words[Tap.DROPPED_PRESSURE]
    feed(bench, flow, talk.pieces[free:])
    bench.copier.close(flow, 2)
    bench.copier.flush(3)
    bench.read()
    assert bench.words[Tap.DROPPED_PRESSURE] == dropped
    check_the_last(bench, talk, bench.words[Tap.COPIED] - begun)


def test_a_new_tap_on_the_same_ring_leaves_nothing_of_the_old_streams_open() -> None:
    bench = Bench(1 << 20)
    talk = Talk(Random(1)).go(streams=10, longest=100)
    flow = bench.copier.open(1)
    for direction, data in talk.pieces[: len(talk.pieces) // 2]:
        bench.copier.data(flow, direction, data, 1)
    bench.copier = Copier(RingWriter(bench.memory), bench.words, 1.0, 2000)
    bench.copier.reset(2)
    bench.read()
    law = bench.law()
    assert parts(law) == law.seen
    assert (law.unsettled, law.in_flight) == (0, 0)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 1 << 32), st.floats(0, 1), st.floats(0, 1))
def test_a_tap_that_hears_late_of_a_recorder_counts_every_stream_and_says_nothing_untrue(
    seed: int, first: float, last: float
) -> None:
    talk = Talk(Random(seed)).go(streams=30, longest=200)
    attached, heard = sorted(round(moment * len(talk.pieces)) for moment in (first, last))
    bench = Bench(1 << 20)
    flow = bench.copier.open(1)
    feed(bench, flow, talk.pieces[:attached])
    bench.attach()
    before = bench.words[Tap.COPIED]
    bench.words[Recorder.EPOCH] -= 1
    feed(bench, flow, talk.pieces[attached:heard])
    bench.words[Recorder.EPOCH] += 1
    begun = bench.words[Tap.COPIED]
    feed(bench, flow, talk.pieces[heard:])
    bench.copier.close(flow, 2)
    bench.read()
    bench.exchanges = [exchange for exchange in bench.exchanges if exchange.headers_known]
    check_the_last(bench, talk, 30 - begun, begun - before)
