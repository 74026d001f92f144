"""HTTP/2 through copier, ring and channel: what is returned is what was said, and every stream is counted."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.copier import Copier
from sidecar.ring import RingWriter
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
    talk = Talk(Random(seed), grpc).go(streams=20, longest=300)
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
        if not exchange.headers_known:
            continue
        candidates = [stream for (target, _), stream in said.items() if target == exchange.target]
        assert candidates, exchange.target
        if exchange.closed or exchange.heads_only:
            continue
        assert (exchange.status, exchange.trailers.get(b"grpc-status")) == (200, b"0")
        if exchange.request_body_complete:
            assert exchange.request_body in {stream.request for stream in candidates}
        if exchange.response_body_complete:
            assert exchange.response_body in {stream.answer for stream in candidates}


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
