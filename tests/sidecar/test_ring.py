"""The copy channel: what is put is read once, whole and in order; a full ring refuses and says so."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.order import ordered_on
from sidecar.ring import FRAMES, GAP, HEADER, START, Kind, Record, RingReader, RingWriter
from sidecar.words import PAGE, Recorder, Tap, Words, words
from tests.memory import shared_memory

SIZE = 65_536


def ring(size: int = SIZE) -> tuple[RingWriter, RingReader]:
    memory = shared_memory(PAGE + size)
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
    memory = shared_memory(PAGE + SIZE)
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
        RingWriter(shared_memory(PAGE + 65_537))


def test_no_two_words_of_a_page_have_the_same_place() -> None:
    assert {word.value for word in Tap} & set(range(Recorder.TAIL, Recorder.END)) == set()
    assert len({word.value for word in Recorder}) == len(Recorder)
    assert max(Recorder) <= PAGE // 8


@pytest.mark.parametrize("done", range(4))
def test_a_tap_killed_between_two_stores_is_completed_by_the_next(done: int) -> None:
    memory = shared_memory(PAGE + SIZE)
    writer = RingWriter(memory)
    page = words(memory)
    assert writer.put(Kind.REQUEST, START, 1, 1, 0, b"first")
    before = {word: page[word] for word in (Tap.SEQUENCE, Tap.COPIED, Tap.HEAD)}
    assert writer.put(Kind.REQUEST, START, 2, 2, 0, b"second")
    # As if it had died after *done* of the stores: SEQUENCE odd, COPIED, HEAD, SEQUENCE even.
    page[Tap.SEQUENCE] = page[Tap.HEAD] + 1
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


def test_a_record_counts_as_many_exchanges_as_it_says() -> None:
    memory = shared_memory(PAGE + SIZE)
    writer, page = RingWriter(memory), words(memory)
    for flags, size in [(START, 0), (START | FRAMES, 5), (FRAMES, 0), (START | FRAMES, 1)]:
        assert writer.put(Kind.REQUEST, flags, 1, 1, size, b"x")
    assert page[Tap.COPIED] == 7
    assert RingReader(memory).skip_to_head() == 7


class _Watched:
    """A page that tells when a word is loaded or stored."""

    def __init__(self, page: Words, told: list[str]) -> None:
        self._page = page
        self._told = told

    def __getitem__(self, index: int) -> int:
        self._told.append("load")
        return self._page[index]

    def __setitem__(self, index: int, value: int) -> None:
        self._told.append("store")
        self._page[index] = value


def test_where_stores_may_be_reordered_each_has_a_fence_before_it_and_each_load_one_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    ordered = ordered_on("aarch64")
    monkeypatch.setattr("sidecar.order.fence", lambda: told.append("fence"))
    monkeypatch.setattr("sidecar.ring.ordered", lambda page: ordered(_Watched(page, told)))  # type: ignore[arg-type]
    writer, reader = ring()
    for number in range(40):
        assert writer.put(Kind.REQUEST, START, number, number, 0, bytes(3000))
        assert [r.time for r in map(Record._make, reader.read(SIZE))] == [number]
    assert reader.skip_to_head() == 40
    pairs = list(zip(told[::2], told[1::2], strict=True))
    assert set(pairs) == {("load", "fence"), ("fence", "store")}


def test_on_machines_that_keep_the_order_the_page_is_used_as_it_is() -> None:
    page = words(shared_memory(PAGE))
    assert ordered_on("x86_64")(page) is page
