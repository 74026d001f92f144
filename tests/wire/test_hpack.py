"""Header blocks: the library hpack encodes, and its decoder judges."""

from __future__ import annotations

import hpack
import pytest
from hpack.table import HeaderTable
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar import tables
from sidecar.packing import STATIC_END
from sidecar.wire.fields import KNOWN, LONGEST, WANTED, BlockReader, read_fields
from sidecar.wire.hpack import CAP, UNKNOWN, BlockError, Field, LongBlockError, Table

LIMIT = 65536

NAMES = st.sampled_from(
    [b":method", b":path", b":status", b"content-type", b"te", b"x-a", b"x-long-name" * 5, b"grpc-status"]
)
VALUES = st.one_of(
    st.sampled_from([b"GET", b"POST", b"/", b"200", b"application/grpc", b"trailers", b"", b"x" * 200]),
    st.binary(max_size=12),
    st.text("0123456789abcdef-", min_size=20, max_size=60).map(str.encode),
)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=8)
SIZES = st.sampled_from([None, None, None, 0, 50, 100, 300, 4096])
ALL = frozenset(
    {b":method", b":path", b":status", b"content-type", b"te", b"x-a", b"x-long-name" * 5, b"grpc-status"}
)
SOME = frozenset({b":path", b"content-type", b"grpc-status"})


class Encoder:
    """hpack's encoder, with sensitive fields and sizes that change."""

    def __init__(self) -> None:
        self.encoder = hpack.Encoder()

    def encode(self, fields: list[Field], size: int | None, huffman: bool) -> bytes:
        if size is not None and size != self.encoder.header_table_size:
            self.encoder.header_table_size = size
        sent = [hpack.NeverIndexedHeaderTuple(*field) if len(field[1]) == 3 else field for field in fields]
        return self.encoder.encode(sent, huffman=huffman)


BLOCKS = st.lists(st.tuples(FIELDS, SIZES, st.booleans()), max_size=25)


@settings(max_examples=100, deadline=None)
@given(BLOCKS, st.sampled_from([ALL, SOME, frozenset[bytes]()]))
def test_every_wanted_field_is_told_as_it_was_sent(
    blocks: list[tuple[list[Field], int | None, bool]], wanted: frozenset[bytes]
) -> None:
    encoder, table = Encoder(), Table(wanted)
    for fields, size, huffman in blocks:
        block = encoder.encode(fields, size, huffman)
        assert table.decode(block, LIMIT) == [field for field in fields if field[0] in wanted]


@settings(max_examples=150, deadline=None)
@given(BLOCKS, st.lists(st.integers(0, 25), max_size=4), st.sampled_from([ALL, SOME]), st.integers(1, 3))
def test_after_a_gap_every_field_is_told_as_it_was_sent_or_is_unknown(
    blocks: list[tuple[list[Field], int | None, bool]], gaps: list[int], wanted: frozenset[bytes], lost: int
) -> None:
    encoder, table, missing = Encoder(), Table(wanted), 0
    for number, (fields, size, huffman) in enumerate(blocks):
        block = encoder.encode(fields, size, huffman)
        if number in gaps:
            table.forget()
            missing = lost
        if missing:
            missing -= 1
            if not missing:
                table.forget()
            continue
        told = table.decode(block, LIMIT)
        known = [field for field in told if field[0]]
        sent = iter([field for field in fields if field[0] in wanted])
        assert all(field in sent for field in known)  # in order, none other
        if len(known) == len(told):
            assert known == [field for field in fields if field[0] in wanted]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=30), BLOCKS.map(lambda b: b"")), max_size=8), BLOCKS)
def test_garbage_is_refused_or_read_as_the_library_reads_it(
    garbage: list[bytes], blocks: list[tuple[list[Field], int | None, bool]]
) -> None:
    encoder, table, judge = Encoder(), Table(ALL), hpack.Decoder()
    sent = [encoder.encode(*block) for block in blocks]
    for block in [*sent, *garbage]:
        try:
            expected: list[Field] | None = [tuple(field) for field in judge.decode(block, raw=True)]
        except (hpack.HPACKError, IndexError):
            expected = None
        try:
            told: list[Field] | None = table.decode(block, LIMIT)
        except BlockError:
            told = None
        if expected is None or told is None:
            # Strings that nobody wants are not looked at, and sizes are known from below: what is refused
            # here is refused there, too.
            assert expected is None
            return
        assert [field for field in told if field[0]] == [field for field in expected if field[0] in ALL]


def test_an_entry_after_a_gap_keeps_its_place_whatever_was_before() -> None:
    encoder, table = hpack.Encoder(), Table(ALL)
    encoder.encode([(b"x-a", b"1"), (b"te", b"trailers")])
    table.forget()
    new = encoder.encode([(b"x-a", b"1"), (b":path", b"/new"), (b"te", b"other")])
    assert table.decode(new, LIMIT) == [
        UNKNOWN,
        (b":path", b"/new"),
        UNKNOWN,
    ]  # the name of te is an old entry's
    again = encoder.encode([(b":path", b"/new"), (b"x-a", b"1")])
    assert len(again) == 2
    assert table.decode(again, LIMIT) == [(b":path", b"/new"), UNKNOWN]


def test_a_table_of_no_bytes_holds_nothing_unknown() -> None:
    table = Table(ALL)
    table.forget()
    assert table.decode(b"\xbe", LIMIT) == [UNKNOWN]
    assert table.decode(b"\x20\x3f\xe1\x1f", LIMIT) == []  # 0, then 4096
    with pytest.raises(BlockError):
        table.decode(b"\xbe", LIMIT)


@settings(max_examples=100, deadline=None)
@given(BLOCKS)
def test_a_table_that_is_restored_goes_on_where_the_lost_one_was(
    blocks: list[tuple[list[Field], int | None, bool]],
) -> None:
    encoder, kept, table = Encoder(), tables.Table(tables.Tables()), Table(ALL)
    for fields, size, huffman in blocks:
        block = encoder.encode(fields, size, huffman)
        table.restore(kept.block())
        assert table.decode(block, LIMIT) == [field for field in fields if field[0] in ALL]
        assert kept.take(1, 4, block, 0, len(block))


@pytest.mark.parametrize("block", [b"\x40\1a", b"\x3f\xe2\xff\x03", b"\x40\1a\1b\xbf", b"\xbe" * 9])
def test_a_block_that_can_not_be_read_restores_nothing(block: bytes) -> None:
    table = Table(ALL)
    table.decode(b"\x40\3x-a\1b", LIMIT)
    table.restore(block)
    assert table.decode(b"\xbe", LIMIT) == [UNKNOWN]
    assert (table._size, len(table._entries)) == (0, 0)


@pytest.mark.parametrize(
    "block",
    [
        "80", "be", "ff", "ffffffffff", "ffffffffffffffffff01", "7f", "40", "4001", "400161", "40016102",         "00ff", "82 20", "3fe21f", "0081", "00 81 00 00", "0f", "10",
    ],
)  # fmt: skip
def test_what_is_not_hpack_is_refused(block: str) -> None:
    text = block.replace(" ", "")
    with pytest.raises(BlockError):
        Table(frozenset({b""}) | ALL).decode(bytes.fromhex(text + "0" * (len(text) % 2)), LIMIT)


def test_a_bomb_of_references_is_cut_off() -> None:
    table = Table(frozenset({b"x-a"}))
    table.decode(b"\x40\x03x-a\x7f\xa1\x1e" + b"y" * 4000, LIMIT)
    with pytest.raises(LongBlockError):
        table.decode(b"\xbe" * 60_000, LIMIT)
    assert len(table.decode(b"\xbe" * 16, LIMIT)) == 16


@settings(max_examples=8, deadline=None)
@given(st.booleans(), st.integers(0, 2000), st.binary(max_size=3))
def test_a_table_never_holds_more_than_its_cap(forgets: bool, length: int, start: bytes) -> None:
    table = Table(ALL)
    table.allow(1 << 31)
    if forgets:
        table.forget()
    table.decode(b"\x3f\xe1\xff\x03", LIMIT)  # 65536
    value = (b"\x7f" + _integer(length - 127) if length >= 127 else bytes([length])) + start.ljust(
        length, b"v"
    )[:length]
    for _ in range(300):
        table.decode(b"\x40\x03x-a" + value, LIMIT)
        assert sum(size for *_, size in table._entries) == table._size <= CAP
    assert len(table._entries) == min(300, CAP // (32 + 3 + length))


def _integer(rest: int) -> bytes:
    found = b""
    while rest >= 128:
        found += bytes([128 | rest & 127])
        rest >>= 7
    return found + bytes([rest])


def never(target: bytes) -> bool:
    return False


@settings(max_examples=80, deadline=None)
@given(BLOCKS, st.lists(st.integers(0, 100), max_size=40))
def test_a_block_read_before_says_what_reading_it_anew_says(
    blocks: list[tuple[list[Field], int | None, bool]], picks: list[int]
) -> None:
    """Blocks of one honest encoder, where the same fields come again and again."""
    encoder, reader, judge = Encoder(), BlockReader(LIMIT, never), hpack.Decoder()
    for pick in picks:
        if not blocks:
            break
        fields, size, huffman = blocks[pick % min(len(blocks), 4)]
        block = encoder.encode(fields, size if pick % 7 == 0 else None, huffman)
        truth = [(bytes(name), bytes(value)) for name, value in judge.decode(block, raw=True)]
        assert reader.read(block) == read_fields([field for field in truth if field[0] in WANTED], never)


def test_blocks_that_are_remembered_are_few_and_short() -> None:
    reader = BlockReader(LIMIT, never)
    for number in range(3 * KNOWN):
        reader.read(b"\0\3x-a\3%03d" % number)
        assert len(reader.known) <= KNOWN
    reader.read(b"\x82" * (LONGEST + 1))
    assert all(len(block) <= LONGEST for block in reader.known)
    reader.read(b"\x40\3x-a\1b")
    assert reader.known == {}


def test_repeated_fields_are_one_list_and_long_ones_are_forgotten() -> None:
    many = [(b"content-encoding", b"gzip")] * 3
    assert read_fields(many, never).headers == {b"content-encoding": b"gzip, gzip, gzip"}
    assert read_fields(many * 1000, never).headers == {}
    assert read_fields([(b"content-encoding", b"x" * 100_000)] * 100, never).headers == {}
    assert [read_fields([(b":status", value)], never).status for value in (b"200", b"20", b"2e2", b"-20", b"\xb2\xb2\xb2")] == [
        200, 0, 0, 0, 0
    ]  # fmt: skip


def test_the_static_table_ends_where_the_tap_says() -> None:
    assert len(HeaderTable.STATIC_TABLE) + 1 == STATIC_END
