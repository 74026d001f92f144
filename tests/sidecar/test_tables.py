"""The header tables that the tap keeps: what they make of an empty table is judged by the library hpack."""

from __future__ import annotations

from random import Random

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar import tables
from sidecar.tables import ADDED, FIELDS, IDLE, LIMIT, LONGEST, Table, Tables

HEADERS, PUSH, CONTINUATION = 1, 5, 9
END_HEADERS, PADDED, PRIORITY = 4, 8, 0x20

NAMES = [b":path", b"x-a", b"te", b"grpc-timeout", b"traceparent", b"cookie", b":method"]
FIELD = st.tuples(
    st.sampled_from(NAMES),
    st.one_of(st.sampled_from([b"", b"1", b"POST", b"trailers", b"v" * 300]), st.binary(max_size=60)),
    st.booleans(),
)
BLOCKS = st.lists(
    st.tuples(
        st.lists(FIELD, max_size=8), st.sampled_from([None] * 9 + [0, 100, 300, 4096, 8192]), st.booleans()
    ),
    max_size=40,
)


def pass_on(table: Table, block: bytes, random: Random) -> bool:
    """Hand *block* over in frames and reads, as a connection may."""
    kind = random.choice((HEADERS, PUSH))
    while True:
        part = block if random.random() < 0.7 else block[: random.randint(0, len(block))]
        block = block[len(part) :]
        flags = 0 if block else END_HEADERS
        payload = part
        if kind == PUSH:
            payload = b"\0\0\0\2" + payload
        elif kind == HEADERS and random.random() < 0.3:
            flags, payload = flags | PRIORITY, b"\0\0\0\0\7" + payload
        if kind != CONTINUATION and random.random() < 0.3:
            padding = random.randint(0, 9)
            flags, payload = flags | PADDED, bytes([padding]) + payload + bytes(padding)
        before, behind = random.randbytes(random.randint(0, 3)), random.randbytes(random.randint(0, 3))
        read = len(payload) if random.random() < 0.7 else random.randint(0, len(payload))
        data = before + payload[:read] + (behind if read == len(payload) else b"")
        if not table.take(kind, flags, data, len(before), len(before) + len(payload)):
            return False
        while read < len(payload):
            piece = payload[read : read + random.randint(1, len(payload))]
            read += len(piece)
            if not table.more(piece + (behind if read == len(payload) else b"")):
                return False
        assert table.left == 0
        if flags & END_HEADERS:
            return True
        kind = CONTINUATION


def decoder() -> hpack.Decoder:
    made = hpack.Decoder()
    made.max_allowed_table_size = 1 << 16
    return made


@settings(max_examples=200, deadline=None)
@given(BLOCKS, st.integers(0, 1 << 32))
def test_a_table_is_told_as_the_encoder_has_it_after_any_blocks(
    blocks: list[tuple[list[tuple[bytes, bytes, bool]], int | None, bool]], seed: int
) -> None:
    random = Random(seed)
    encoder, judge, kept = hpack.Encoder(), decoder(), Tables()
    table = Table(kept)
    for fields, size, huffman in blocks:
        if size is not None:
            encoder.header_table_size = size
        block = encoder.encode(fields, huffman=huffman)
        before = [*judge.header_table.dynamic_entries], judge.header_table.maxsize
        judge.decode(block, raw=True)
        after = [*judge.header_table.dynamic_entries], judge.header_table.maxsize
        assert pass_on(table, block, random)
        if block in kept.idle:
            assert before == after
        told = decoder()
        told.decode(table.block(), raw=True)
        assert told.header_table.maxsize == after[1]
        assert list(told.header_table.dynamic_entries)[: len(after[0])] == after[0]
        assert len(table.block()) <= table.room <= LIMIT + 8
    assert kept.held == table._held == len(table._entries)
    table.drop()
    assert kept.held == 0


@settings(max_examples=200, deadline=None)
@given(BLOCKS)
def test_a_block_is_idle_if_and_only_if_nothing_in_it_is_to_be_remembered(
    blocks: list[tuple[list[tuple[bytes, bytes, bool]], int | None, bool]],
) -> None:
    encoder, judge = hpack.Encoder(), decoder()
    for fields, size, huffman in blocks:
        if size is not None:
            encoder.header_table_size = size
        block = encoder.encode(fields, huffman=huffman)
        added: list[object] = []
        table = judge.header_table
        judge.header_table = Watched(table, added)  # type: ignore[assignment]
        judge.decode(block, raw=True)
        judge.header_table = table
        kept = Tables()
        follower = Table(kept)
        follower._entries += b"\x40\0\0" * 200  # whatever it refers to is there
        follower._starts.extend(range(0, 600, 3))
        follower._heads.extend([2] * 200)
        assert follower.take(HEADERS, END_HEADERS, block, 0, len(block))
        assert (block in kept.idle) == (not added and len(block) <= LONGEST)


class Watched:
    """A table that notes what is done to it."""

    def __init__(self, table: object, added: list[object]) -> None:
        self.__dict__.update(table=table, added=added)

    def __getattr__(self, name: str) -> object:
        return getattr(self.table, name)

    def __setattr__(self, name: str, value: object) -> None:
        self.added.append(value)
        setattr(self.table, name, value)

    def add(self, name: bytes, value: bytes) -> None:
        self.added.append(name)
        self.table.add(name, value)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from((HEADERS, PUSH, CONTINUATION)),
            st.integers(0, 63),
            st.one_of(st.binary(max_size=80), st.binary(max_size=20).map(lambda some: some * 900)),
            st.integers(0, 300),
        ),
        max_size=12,
    )
)
def test_bytes_that_are_no_header_blocks_raise_nothing_and_hold_little(
    frames: list[tuple[int, int, bytes, int]],
) -> None:
    kept = Tables()
    table = Table(kept)
    for kind, flags, payload, read in frames:
        going = table.take(kind, flags, payload[:read], 0, len(payload))
        while going and table.left:
            going = table.more(payload[-table.left :][:100])
        assert kept.held == table._held <= LIMIT
        if not going:
            assert (kept.held, table.left) == (0, 0)
            return


@pytest.mark.parametrize(
    "block",
    [
        b"\x40\1a",  # cut
        b"\x40\1a\5b",
        b"\0\1a\5b",
        b"\x7f\xff\xff\xff\xff\x01\1a",
        b"\xff",
        b"\x7f\0\1a",  # the second entry of one
        b"\x82" * (FIELDS + 1),
        b"\x41\0" * (ADDED + 1),
        b"\0\1a\x7f" + b"\xff\xff\x01" + bytes(LIMIT),
    ],
)
def test_of_a_block_that_can_not_be_followed_nothing_is_kept(block: bytes) -> None:
    kept = Tables()
    table = Table(kept)
    assert table.take(HEADERS, END_HEADERS, b"\x40\1a\1b", 0, 5)
    assert kept.held == 5
    assert not table.take(HEADERS, END_HEADERS, block, 0, len(block))
    assert (kept.held, table.block(), kept.idle) == (0, b"", set())


def test_parts_of_blocks_out_of_place_end_it() -> None:
    table = Table(Tables())
    assert not table.take(CONTINUATION, END_HEADERS, b"", 0, 0)
    table = Table(Tables())
    assert table.take(HEADERS, 0, b"\x82", 0, 1)
    assert not table.take(HEADERS, END_HEADERS, b"\x82", 0, 1)


def test_all_tables_share_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "TOTAL", 1000)
    kept = Tables()
    block = b"\x40\1a\x7f\x49" + bytes(200)
    all_tables = [Table(kept) for _ in range(6)]
    followed = [table.take(HEADERS, END_HEADERS, block, 0, len(block)) for table in all_tables]
    assert followed == [True] * 4 + [False] * 2
    all_tables[0].drop()
    assert Table(kept).take(HEADERS, END_HEADERS, block, 0, len(block))
    assert kept.held == 4 * len(block)


def test_blocks_that_change_nothing_are_remembered_in_bounds() -> None:
    kept = Tables()
    table = Table(kept)
    for number in range(3 * IDLE):
        block = b"\0\3x-a\4%04d" % number
        assert table.take(HEADERS, END_HEADERS, block, 0, len(block))
        assert block in kept.idle
        assert len(kept.idle) <= IDLE
    kept.idle.clear()
    assert table.take(HEADERS, END_HEADERS, b"\0\1a\x7f\xff\x07" + bytes(1150), 0, 1156)
    assert kept.idle == set()


def test_an_honest_encoder_with_a_new_trace_id_in_each_call_is_followed_for_ever() -> None:
    kept = Tables()
    table, encoder, judge, random = Table(kept), hpack.Encoder(), decoder(), Random(1)
    for _ in range(2000):
        fields = [
            (b":method", b"POST"), (b":path", b"/inference.GRPCInferenceService/ModelInfer"),
            (b"grpc-timeout", b"%du" % random.randint(1, 10**7)), (b"traceparent", random.randbytes(27).hex().encode()),
        ]  # fmt: skip
        block = encoder.encode(fields)
        assert table.take(HEADERS, END_HEADERS, block, 0, len(block))
        judge.decode(block, raw=True)
    told = decoder()
    told.decode(table.block(), raw=True)
    entries = list(judge.header_table.dynamic_entries)
    assert list(told.header_table.dynamic_entries)[: len(entries)] == entries
    assert kept.held < 10_000
