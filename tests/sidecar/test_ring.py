"""The copy channel: what is put is read once, whole and in order; a full ring refuses and says so."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.ring import GAP, HEADER, START, Kind, Record, RingReader, RingWriter
from sidecar.words import PAGE, Recorder, Tap, attach, create, words

SIZE = 65_536


def ring(size: int = SIZE) -> tuple[RingWriter, RingReader]:
    memory = attach(create("test", PAGE + size))
    return RingWriter(memory), RingReader(memory)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.binary(max_size=9000), st.sampled_from([0, START, START | GAP])),
            st.tuples(st.just("read"), st.integers(1, SIZE), st.just(0)),
        ),
        max_size=120,
    )
)
def test_what_is_put_is_read_once_whole_and_in_order(steps: list[tuple[str, object, int]]) -> None:
    writer, reader = ring()
    accepted: list[tuple[int, bytes, int]] = []
    read: list[tuple[int, bytes, int]] = []
    for number, (step, value, flags) in enumerate(steps):
        if step == "put":
            assert isinstance(value, bytes)
            free = writer.free()
            if writer.put(Kind.REQUEST, flags, number, number, 0, value):
                accepted.append((number, value, flags))
                assert writer.free() < free
            else:
                assert writer.free() == free
        else:
            assert isinstance(value, int)
            read += [(r.connection, bytes(r.payload), r.flags) for r in map(Record._make, reader.read(value))]
    while reader.pending():
        read += [(r.connection, bytes(r.payload), r.flags) for r in map(Record._make, reader.read(SIZE))]
    assert read == accepted
    assert writer.free() == SIZE


def test_a_record_larger_than_the_ring_is_refused() -> None:
    writer, reader = ring()
    assert not writer.put(Kind.REQUEST, 0, 1, 1, 0, bytes(SIZE))
    assert writer.put(Kind.REQUEST, 0, 1, 1, 0, bytes(SIZE - HEADER.size))
    assert writer.free() == 0
    assert [len(r.payload) for r in map(Record._make, reader.read(SIZE))] == [SIZE - HEADER.size]


def test_a_record_that_would_cross_the_end_is_read_as_one_piece() -> None:
    writer, reader = ring()
    for _ in range(3):
        assert writer.put(Kind.REQUEST, 0, 1, 1, 0, b"a" * 40_000)
        assert [bytes(r.payload) for r in map(Record._make, reader.read(SIZE))] == [b"a" * 40_000]


def test_room_is_given_back_only_when_the_batch_is_read() -> None:
    writer, reader = ring()
    assert writer.put(Kind.REQUEST, 0, 1, 1, 0, b"x" * 1000)
    batch = reader.read(SIZE)
    next(batch)
    assert writer.free() == SIZE - 1024
    assert list(batch) == []
    assert writer.free() == SIZE


def test_a_new_reader_knows_how_many_exchanges_it_will_never_see() -> None:
    memory = attach(create("test", PAGE + SIZE))
    writer = RingWriter(memory)
    for number in range(7):
        writer.put(Kind.REQUEST, START, number, 1, 0, b"GET / HTTP/1.1\r\n\r\n")
        writer.put(Kind.ANSWER, 0, number, 1, 0, b"HTTP/1.1 200 OK\r\n\r\n")
    reader = RingReader(memory)
    assert reader.skip_to_head() == 7
    assert reader.pending() == 0
    assert words(memory)[Recorder.TAIL] == words(memory)[Tap.HEAD]
    writer.put(Kind.REQUEST, START, 9, 1, 0, b"GET / HTTP/1.1\r\n\r\n")
    assert [r.connection for r in map(Record._make, reader.read(SIZE))] == [9]


def test_a_ring_of_another_size_than_a_power_of_two_is_refused() -> None:
    with pytest.raises(ValueError, match="power of two"):
        RingWriter(attach(create("test", PAGE + 65_537)))


def test_no_two_words_of_a_page_have_the_same_place() -> None:
    assert {word.value for word in Tap} & set(range(Recorder.TAIL, Recorder.END)) == set()
    assert len({word.value for word in Recorder}) == len(Recorder)
    assert max(Recorder) <= PAGE // 8


@pytest.mark.parametrize("done", range(4))
def test_a_tap_killed_between_two_stores_is_completed_by_the_next(done: int) -> None:
    memory = attach(create("test", PAGE + SIZE))
    writer = RingWriter(memory)
    page = words(memory)
    assert writer.put(Kind.REQUEST, START, 1, 1, 0, b"first")
    before = {word: page[word] for word in (Tap.SEQUENCE, Tap.COPIED, Tap.HEAD)}
    assert writer.put(Kind.REQUEST, START, 2, 2, 0, b"second")
    # As if it had died after *done* of the stores: SEQUENCE odd, COPIED, HEAD, SEQUENCE even.
    page[Tap.SEQUENCE] = before[Tap.SEQUENCE] + 1
    if done < 1:
        page[Tap.COPIED] = before[Tap.COPIED]
    if done < 2:
        page[Tap.HEAD] = before[Tap.HEAD]
    successor = RingWriter(memory)
    assert page[Tap.SEQUENCE] % 2 == 0
    assert page[Tap.COPIED] == 2
    assert successor.put(Kind.REQUEST, START, 3, 3, 0, b"third")
    read = [(r.connection, bytes(r.payload)) for r in map(Record._make, RingReader(memory).read(SIZE))]
    assert read == [(1, b"first"), (2, b"second"), (3, b"third")]
    assert page[Tap.COPIED] == 3
