"""HTTP/2 in the tap: what is copied of each frame, where a record begins, and how streams are counted."""

from __future__ import annotations

import dataclasses
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.copier import ANSWER, REQUEST, Copier
from sidecar.frames import SHARE, STREAMS, WHOLE_BYTES
from sidecar.framing import PREFACE
from sidecar.ring import BOUNDARY, FRAMES, GAP, START, Kind, Record, RingReader, RingWriter
from sidecar.words import PAGE, Recorder, Tap, Words, words
from tests.memory import shared_memory
from tests.wire.captures import GRPC_NAMES, steps

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS = 1, 4

Told = tuple[Kind, int, bytes, int]


def frame(kind: int, marks: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, marks]) + stream.to_bytes(4, "big") + payload


def head(stream: int, marks: int = END_HEADERS) -> bytes:
    return frame(HEADERS, marks, stream, b"\x83\x84\x40\0\0")  # adds an entry of no bytes


def table(entries: int) -> bytes:
    """What is told of a header table after so many of those."""
    return b"\x40\0\0" * entries


def body(stream: int, size: int, marks: int = END_STREAM) -> bytes:
    return frame(DATA, marks, stream, b"d" * size)


SETTING = frame(SETTINGS, 0, 0, b"123456")
TRAILERS = frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x88")
UPDATE = frame(WINDOW, 0, 0, b"1234")


class Bench:
    """A copier, the reader of its ring, and one connection."""

    def __init__(self, size: int = 65_536, sampling: float = 1.0, limit: int = 8192) -> None:
        memory = shared_memory(PAGE + size)
        self.words: Words = words(memory)
        self.writer = RingWriter(memory)
        self.copier = Copier(self.writer, self.words, sampling, limit)
        self.reader = RingReader(memory)
        self.flow = self.copier.open(1)

    def begin(self) -> Bench:
        """The connection has been opened as HTTP/2, and that has been read."""
        self.say(REQUEST, PREFACE + SETTING)
        self.say(ANSWER, SETTING)
        self.read()
        return self

    def say(self, direction: int, data: bytes) -> None:
        """As the tap does."""
        if self.flow.off:
            self.copier.uncopied(self.flow, direction, data)
        else:
            self.copier.data(self.flow, direction, data, 1)

    def read(self) -> list[Told]:
        records = [Record(*record) for record in self.reader.read(1 << 30)]
        return [(Kind(r.kind), r.flags, bytes(r.payload), r.size) for r in records]

    def fill(self, free: int) -> None:
        """Leave *free* bytes of the ring, or a few less."""
        while self.writer.free() - free >= 4096:
            assert self.writer.put(Kind.CLOSE, 0, 999, 1, 0, bytes(4072))
        while self.writer.free() - free >= 24:
            assert self.writer.put(Kind.CLOSE, 0, 999, 1, 0, b"")

    def counts(self) -> tuple[int, int, int]:
        """Begun in the ring, dropped under pressure, dropped by a fault."""
        page = self.words
        return page[Tap.COPIED], page[Tap.DROPPED_PRESSURE], page[Tap.DROPPED_FAULT]


def test_the_preface_is_a_record_of_its_own_and_what_follows_begins_at_a_boundary() -> None:
    bench = Bench()
    bench.say(REQUEST, PREFACE + SETTING + head(1) + body(1, 5))
    assert bench.read() == [
        (Kind.OPEN, 0, b"", 0),
        (Kind.REQUEST, FRAMES, PREFACE, 0),
        (Kind.REQUEST, FRAMES | BOUNDARY | START, SETTING + head(1) + body(1, 5), 1),
    ]


@pytest.mark.parametrize("cut", range(3, len(PREFACE)))
def test_a_preface_in_two_parts_is_copied_whole(cut: int) -> None:
    bench = Bench()
    bench.say(REQUEST, PREFACE[:cut])
    bench.say(REQUEST, PREFACE[cut:] + SETTING)
    assert [(flags, data) for kind, flags, data, _ in bench.read() if kind is Kind.REQUEST] == [
        (FRAMES, PREFACE[:cut]),
        (FRAMES, PREFACE[cut:] + SETTING),
    ]


def test_what_a_server_says_before_its_client_is_copied_when_the_client_turns_out_to_speak_frames() -> None:
    bench = Bench()
    bench.say(ANSWER, SETTING)
    bench.say(ANSWER, UPDATE + SETTING)
    bench.say(REQUEST, PREFACE)
    assert bench.read() == [
        (Kind.OPEN, 0, b"", 0),
        (Kind.ANSWER, FRAMES | BOUNDARY, SETTING + UPDATE + SETTING, 0),
        (Kind.REQUEST, FRAMES, PREFACE, 0),
    ]


def test_what_a_server_says_before_its_client_is_told_and_not_copied_otherwise() -> None:
    bench = Bench()
    bench.say(ANSWER, b"220 hello")
    bench.say(REQUEST, b"HELO")
    assert bench.read()[1:] == [(Kind.ANSWER_SKIPPED, 0, b"", 9), (Kind.REQUEST, START, b"HELO", 0)]


def test_a_server_that_says_much_before_its_client_is_not_followed() -> None:
    bench = Bench()
    bench.say(ANSWER, bytes(3000))
    bench.say(ANSWER, bytes(3000))
    bench.say(ANSWER, bytes(10))
    bench.say(REQUEST, PREFACE + SETTING)
    bench.say(ANSWER, bytes(10))
    assert bench.read()[1:] == [
        (Kind.ANSWER_SKIPPED, 0, b"", 6000),
        (Kind.ANSWER_SKIPPED, 0, b"", 10),
        (Kind.REQUEST, START, PREFACE + SETTING, 0),
        (Kind.ANSWER, 0, bytes(10), 0),
    ]


def test_a_read_of_which_nothing_is_left_out_is_one_record_as_it_came() -> None:
    bench = Bench().begin()
    sent = head(1) + UPDATE + body(1, 100) + head(3, END_HEADERS | END_STREAM) + frame(PUSH, 4, 1, b"pushed")
    bench.say(REQUEST, sent)
    assert bench.read() == [(Kind.REQUEST, FRAMES | BOUNDARY | START, sent, 2)]


PINGS = frame(PING, 0, 0, b"12345678") + frame(PRIORITY, 0, 1, b"12345")


@pytest.mark.parametrize(
    ("sent", "copied"),
    [
        (UPDATE, []),
        (PINGS + UPDATE, []),
        (UPDATE + SETTING, [SETTING]),
        (SETTING + PINGS + UPDATE, [SETTING]),
        (PINGS + SETTING + UPDATE + SETTING + PINGS, [SETTING + UPDATE + SETTING]),
        (SETTING + frame(PING, 0, 0, bytes(3000)) + SETTING, [SETTING, SETTING]),
    ],
)
def test_what_only_the_transport_needs_is_left_out_at_both_ends_of_a_read(
    sent: bytes, copied: list[bytes]
) -> None:
    bench = Bench().begin()
    bench.say(ANSWER, sent)
    assert bench.read() == [(Kind.ANSWER, FRAMES | BOUNDARY, data, 0) for data in copied]


@pytest.mark.parametrize("cut", range(1, len(UPDATE + SETTING + UPDATE)))
def test_a_frame_cut_anywhere_is_copied_once_or_left_out_whole(cut: int) -> None:
    bench = Bench().begin()
    sent = UPDATE + SETTING + UPDATE
    bench.say(ANSWER, sent[:cut])
    bench.say(ANSWER, sent[cut:])
    told = bench.read()
    assert b"".join(data for _, _, data, _ in told) == SETTING
    assert told[0][1] == FRAMES | BOUNDARY
    assert [flags for _, flags, _, _ in told[1:]] in ([], [FRAMES])


def test_no_record_says_that_it_begins_at_a_boundary_inside_a_header_block() -> None:
    bench = Bench().begin()
    for part in (
        frame(HEADERS, 0, 1, b"a"),
        frame(CONTINUATION, 0, 1, b"b"),
        frame(CONTINUATION, 4, 1, b"c"),
        SETTING,
    ):
        bench.say(REQUEST, part)
    assert [flags for _, flags, _, _ in bench.read()] == [
        FRAMES | BOUNDARY | START,
        FRAMES,
        FRAMES,
        FRAMES | BOUNDARY,
    ]


def test_bytes_beyond_the_cap_are_told_and_not_copied_and_the_frames_headers_are() -> None:
    bench = Bench(limit=100).begin()
    bench.say(REQUEST, head(1) + body(1, 60, 0) + body(1, 60, 0) + body(1, 10) + head(3))
    assert bench.read() == [
        (
            Kind.REQUEST,
            FRAMES | BOUNDARY | START,
            head(1) + body(1, 60, 0) + body(1, 60, 0)[: 9 + 40],
            1,
        ),
        (Kind.REQUEST_SKIPPED, 0, b"", 20),
        (Kind.REQUEST, FRAMES | BOUNDARY, body(1, 10)[:9], 0),
        (Kind.REQUEST_SKIPPED, 0, b"", 10),
        (Kind.REQUEST, FRAMES | BOUNDARY | START, head(3), 1),
    ]


def test_a_large_frame_in_many_reads_is_copied_up_to_the_cap_and_then_told() -> None:
    bench = Bench(limit=100).begin()
    sent = head(1) + body(1, 400) + SETTING
    for at in range(0, len(sent), 50):
        bench.say(REQUEST, sent[at : at + 50])
    told = bench.read()
    assert b"".join(data for _, _, data, _ in told) == head(1) + body(1, 400)[: 9 + 100] + SETTING
    assert sum(size for kind, _, _, size in told if kind is Kind.REQUEST_SKIPPED) == 300
    assert [flags for _, flags, data, _ in told if data.endswith(SETTING[-1:])][-1] == FRAMES | BOUNDARY


def test_the_cap_begins_anew_when_the_other_side_has_spoken() -> None:
    bench = Bench(limit=100).begin()
    bench.say(REQUEST, head(1) + body(1, 100, 0))
    bench.say(ANSWER, head(1) + body(1, 100, 0))
    bench.say(REQUEST, body(1, 100, 0))
    bench.say(ANSWER, body(1, 100, 0))
    bench.say(REQUEST, body(1, 100, 0) + body(1, 100, 0))
    kinds = [kind for kind, _, _, _ in bench.read()]
    assert kinds == [Kind.REQUEST, Kind.ANSWER] * 2 + [Kind.REQUEST, Kind.REQUEST_SKIPPED]


def test_of_a_stream_that_is_not_drawn_the_beginning_is_copied_and_a_note_comes_before() -> None:
    bench = Bench(sampling=0.0).begin()
    small, large = body(1, 100), body(3, WHOLE_BYTES + 500)
    bench.say(REQUEST, head(1) + small + head(3) + large)
    assert bench.read() == [
        (Kind.STREAM_HEADS_ONLY, 0, b"", 1),
        (Kind.STREAM_HEADS_ONLY, 0, b"", 3),
        (
            Kind.REQUEST,
            FRAMES | BOUNDARY | START,
            head(1) + small + head(3) + large[:-500],
            2,
        ),
        (Kind.REQUEST_SKIPPED, 0, b"", 500),
    ]
    assert bench.counts() == (2, 0, 0)


def test_frames_of_unknown_type_are_copied_up_to_a_bound() -> None:
    bench = Bench().begin()
    strange = frame(200, 5, 7, bytes(WHOLE_BYTES + 10))
    bench.say(ANSWER, strange + SETTING)
    assert bench.read() == [
        (Kind.ANSWER, FRAMES | BOUNDARY, strange[:-10], 0),
        (Kind.ANSWER_SKIPPED, 0, b"", 10),
        (Kind.ANSWER, FRAMES | BOUNDARY, SETTING, 0),
    ]


def test_of_a_stream_that_is_shed_heads_are_copied_and_data_only_where_it_ends() -> None:
    bench = Bench().begin()
    bench.fill(8000)  # below an eighth: all are shed
    bench.say(REQUEST, head(1) + body(1, 5000, 0) + body(1, 10))
    bench.say(ANSWER, head(1) + body(1, 2200, 0))
    bench.say(ANSWER, TRAILERS)
    told = [record for record in bench.read() if record[0] is not Kind.CLOSE]
    assert told == [
        (Kind.STREAM_SHED, 0, b"", 1),
        (Kind.REQUEST, FRAMES | BOUNDARY, head(1), 0),
        (Kind.REQUEST, FRAMES | BOUNDARY, body(1, 10)[:9], 0),
        (Kind.REQUEST_SKIPPED, 0, b"", 10),
        (Kind.ANSWER, FRAMES | BOUNDARY, head(1), 0),
        (Kind.ANSWER, FRAMES | BOUNDARY, TRAILERS, 0),
    ]
    assert bench.counts() == (0, 1, 0)


def test_after_a_loss_both_directions_begin_where_a_frame_does() -> None:
    bench = Bench().begin()
    bench.say(REQUEST, head(1) + body(1, 100, 0))
    bench.read()
    bench.fill(60)
    bench.say(REQUEST, body(1, 50, 0)[:30])  # lost in the middle of a frame
    bench.say(ANSWER, head(1) + body(1, 5, 0))
    bench.read()
    bench.say(REQUEST, body(1, 50, 0)[30:] + head(3) + body(3, 20))
    bench.say(ANSWER, body(1, 5000, 0) + head(3))
    assert bench.read() == [
        (Kind.LOST, 0, b"", 0),
        (Kind.REQUEST, FRAMES | GAP | BOUNDARY, b"", 0),
        (Kind.REQUEST_TABLE, 0, table(1), 0),
        (Kind.ANSWER, FRAMES | GAP | BOUNDARY, b"", 0),
        (Kind.ANSWER_TABLE, 0, table(1), 0),
        (Kind.REQUEST, FRAMES | BOUNDARY | START, head(3) + body(3, 20), 1),
        (Kind.ANSWER, FRAMES | BOUNDARY, head(3), 0),
    ]
    assert bench.counts() == (2, 0, 0)


def test_streams_that_begin_while_bytes_are_lost_are_counted_as_dropped() -> None:
    bench = Bench().begin()
    bench.fill(40)
    for stream in range(1, 21, 2):
        bench.say(REQUEST, head(stream) + body(stream, 9))
    assert bench.counts() == (0, 10, 0)
    assert {kind for kind, _, _, _ in bench.read()} <= {Kind.CLOSE, Kind.LOST, Kind.STREAM_SHED}
    bench.say(REQUEST, head(21))
    assert bench.counts() == (1, 10, 0)


def test_a_client_that_keeps_too_many_streams_open_is_counted_and_no_longer_copied() -> None:
    bench = Bench(1 << 20).begin()
    sent = 0
    for stream in range(1, 4 * STREAMS, 2):
        bench.say(REQUEST, head(stream) + body(stream, 1, 0))
        bench.read()
        sent += 1
    assert bench.flow.off
    assert bench.counts() == (STREAMS + 1, 0, sent - STREAMS - 1)
    assert bench.words[Tap.COPY_ERRORS] == 1
    assert bench.flow.frames is not None
    assert not bench.flow.frames.sides[0].runs


def test_many_connections_that_keep_streams_open_share_a_bound() -> None:
    bench = Bench(1 << 20)
    flows = []
    for _ in range(40):
        flow = bench.copier.open(1)
        flows.append(flow)
        sent = b"".join(head(stream) + body(stream, 1, 0) for stream in range(1, 2 * 2000, 2))
        bench.copier.data(flow, REQUEST, PREFACE + SETTING + sent, 1)
        bench.read()
    # 65,536 and a share of 128 for each: 35 connections of 2,000
    assert [flow.off for flow in flows] == [False] * 35 + [True] * 5
    few = bench.copier.open(1)
    bench.copier.data(
        few,
        REQUEST,
        PREFACE + b"".join(head(2 * n + 1) + body(2 * n + 1, 1, 0) for n in range(SHARE)),
        1,
    )
    assert not few.off
    for flow in flows:
        bench.copier.close(flow, 2)
    assert bench.copier._walk._over == 0


def test_streams_that_end_are_forgotten() -> None:
    bench = Bench(1 << 20, sampling=0.5).begin()
    for stream in range(1, 2001, 2):
        bench.say(REQUEST, head(stream) + body(stream, 3000, 0) + body(stream, 10))
        bench.say(ANSWER, head(stream) + body(stream, 3000, 0) + frame(HEADERS, 5, stream, b"t"))
        bench.read()
    bench.say(REQUEST, head(2001) + body(2001, 10, 0) + frame(RST, 0, 2001, b"1234"))
    frames = bench.flow.frames
    assert frames is not None
    assert (frames.sides[0].runs, frames.sides[1].runs, frames.limits) == ({}, {}, {})


def test_streams_of_a_connection_without_a_copy_are_counted() -> None:
    bench = Bench().begin()
    bench.say(REQUEST, head(1)[:5])
    bench.copier.fault(bench.flow, 2)
    bench.say(REQUEST, head(1)[5:] + body(1, 9) + head(3) + head(3)[:3])
    bench.say(ANSWER, head(1) + head(3))
    assert bench.counts() == (0, 0, 2)
    bench.flow = bench.copier.open(3)
    bench.flow.off = True
    bench.say(REQUEST, PREFACE + SETTING + head(1) + head(3))
    assert bench.counts() == (0, 0, 4)


def test_nothing_of_a_connection_is_read_before_its_opening_even_if_that_had_to_wait() -> None:
    bench = Bench()
    bench.fill(0)
    bench.flow = bench.copier.open(1)  # the note waits
    bench.say(REQUEST, PREFACE + SETTING + head(1))
    bench.say(ANSWER, SETTING)
    assert bench.counts() == (0, 1, 0)
    bench.read()
    bench.say(REQUEST, head(3))
    assert bench.read() == [
        (Kind.OPEN, 0, b"", 0),
        (Kind.REQUEST, FRAMES | GAP | BOUNDARY, b"", 0),
        (Kind.REQUEST_TABLE, 0, table(1), 0),
        (Kind.ANSWER, FRAMES | GAP | BOUNDARY, b"", 0),
        (Kind.ANSWER_TABLE, 0, table(0), 0),
        (Kind.REQUEST, FRAMES | BOUNDARY | START, head(3), 1),
    ]
    assert bench.counts() == (1, 1, 0)


def test_between_a_half_and_an_eighth_free_streams_are_shed_by_chance_each_for_itself() -> None:
    bench = Bench(1 << 16)
    flows = [bench.copier.open(1) for _ in range(8)]
    for flow in flows:
        bench.copier.data(flow, REQUEST, PREFACE + SETTING, 1)
    bench.read()
    shed = [0] * len(flows)
    for turn in range(200):
        for number, flow in enumerate(flows):
            bench.fill((1 << 16) * 5 // 16)  # half way
            before = bench.words[Tap.DROPPED_PRESSURE]
            bench.copier.data(flow, REQUEST, head(4 * turn + 1) + head(4 * turn + 3), 1)
            shed[number] += bench.words[Tap.DROPPED_PRESSURE] - before
            noted = [kind for kind, _, _, _ in bench.read() if kind is Kind.STREAM_SHED]
            assert len(noted) == bench.words[Tap.DROPPED_PRESSURE] - before
    assert all(abs(count - 200) < 60 for count in shed), shed  # of 400: 6 standard deviations
    assert bench.words[Tap.COPIED] + bench.words[Tap.DROPPED_PRESSURE] == 8 * 400


def test_who_spoke_last_is_told_without_what_only_the_transport_needs() -> None:
    bench = Bench().begin()
    spoke = []
    for direction, data in [
        (REQUEST, head(1) + body(1, 9)),
        (ANSWER, PINGS),
        (ANSWER, head(1) + TRAILERS),
        (REQUEST, PINGS + UPDATE),
        (REQUEST, head(3)),
    ]:
        bench.say(direction, data)
        spoke.append(bench.flow.direction)
    assert spoke == [REQUEST, REQUEST, ANSWER, ANSWER, REQUEST]


def test_after_a_reset_a_connection_of_frames_begins_anew_at_a_boundary() -> None:
    bench = Bench().begin()
    bench.say(REQUEST, head(1) + body(1, 100)[:50])
    bench.copier.reset(2)
    bench.read()
    bench.say(REQUEST, body(1, 100)[50:] + head(3))
    assert bench.read() == [
        (Kind.REQUEST, FRAMES | GAP | BOUNDARY, b"", 0),
        (Kind.REQUEST_TABLE, 0, table(1), 0),
        (Kind.ANSWER, FRAMES | GAP | BOUNDARY, b"", 0),
        (Kind.ANSWER_TABLE, 0, table(0), 0),
        (Kind.REQUEST, FRAMES | BOUNDARY | START, head(3), 1),
    ]


def test_for_another_recorder_a_connection_begins_anew_with_the_next_stream() -> None:
    bench = Bench().begin()
    bench.say(REQUEST, head(1) + body(1, 100, 0))
    bench.say(ANSWER, head(1) + body(1, 100)[:50])
    bench.read()
    bench.words[Recorder.EPOCH] += 1
    bench.say(REQUEST, body(1, 10) + SETTING)
    assert bench.read() == [(Kind.REQUEST, FRAMES | BOUNDARY, body(1, 10) + SETTING, 0)]
    bench.say(REQUEST, SETTING + head(3) + body(3, 10))
    bench.say(ANSWER, body(1, 100)[50:])
    bench.say(ANSWER, head(3) + body(3, 10))
    bench.say(REQUEST, head(5))
    assert bench.read() == [
        (Kind.LOST, 0, b"", 0),
        (Kind.REQUEST, FRAMES | GAP | BOUNDARY, b"", 0),
        (Kind.REQUEST_TABLE, 0, table(1), 0),
        (Kind.ANSWER, FRAMES | GAP, b"", 0),  # it is inside a frame
        (Kind.REQUEST, FRAMES | BOUNDARY | START, head(3) + body(3, 10), 1),
        (Kind.ANSWER, FRAMES | BOUNDARY, b"", 0),
        (Kind.ANSWER_TABLE, 0, table(1), 0),
        (Kind.ANSWER, FRAMES | BOUNDARY, head(3) + body(3, 10), 0),
        (Kind.REQUEST, FRAMES | BOUNDARY | START, head(5), 1),
    ]
    assert bench.counts() == (3, 0, 0)


def test_a_table_that_can_not_be_followed_is_not_told() -> None:
    bench = Bench().begin()
    bench.say(REQUEST, head(1) + frame(HEADERS, END_HEADERS, 3, b"\x40\x7f"))
    bench.read()
    bench.words[Recorder.EPOCH] += 1
    bench.say(REQUEST, head(5))
    assert [kind for kind, _, _, _ in bench.read()] == [
        Kind.LOST, Kind.REQUEST, Kind.ANSWER, Kind.ANSWER_TABLE, Kind.REQUEST
    ]  # fmt: skip


def test_of_a_connection_that_is_not_copied_no_table_is_held() -> None:
    bench = Bench().begin()
    other = bench.copier.open(1)
    bench.copier.data(other, REQUEST, PREFACE + head(1), 1)
    bench.say(REQUEST, head(1) + head(3))
    tables = bench.copier._walk._tables
    assert tables.held == len(table(3))
    bench.copier.fault(bench.flow, 2)
    assert tables.held == len(table(1))
    bench.say(REQUEST, head(5))
    bench.copier.close(other, 3)
    assert tables.held == 0


# What holds for any frames, cut anywhere


@dataclasses.dataclass
class Said:
    """A conversation: its frames by direction, and its bytes as the tap reads them."""

    frames: tuple[list[bytes], list[bytes]]
    reads: list[tuple[int, bytes]]
    streams: int


def conversation(random: Random, turns: int, longest: int) -> Said:
    """Streams of a client and a server that keep to the order of frames, and to little else."""
    frames: tuple[list[bytes], list[bytes]] = ([SETTING], [SETTING])
    waiting = [PREFACE + SETTING, SETTING]
    reads: list[tuple[int, bytes]] = []
    highest, streams = -1, 0
    for serial in range(turns):
        direction = random.choice((REQUEST, ANSWER))
        mark = serial.to_bytes(4, "big") + bytes(serial)  # no two frames have the same length
        payload = mark + bytes(random.choice((0, 300, longest)))
        stream = random.randrange(1, max(highest, 1) + 2, 2) if random.random() < 0.9 else random.randrange(9)
        match random.randrange(9):
            case 0 | 1 if direction == REQUEST:
                highest += 2
                streams += 1
                parts = random.randint(0, 2)
                marks = random.choice((0, END_STREAM))
                new = [frame(HEADERS, marks | (0 if parts else END_HEADERS), highest, payload)]
                new += [frame(CONTINUATION, 0, highest, mark)] * (parts - 1)
                new += [frame(CONTINUATION, END_HEADERS, highest, mark)] * (parts > 0)
            case 0 | 1:
                stream = min(stream, max(highest, 1))
                new = [frame(HEADERS, END_HEADERS | random.choice((0, END_STREAM)), stream, mark)]
            case 2 | 3 | 4:
                new = [frame(DATA, random.choice((0, 0, END_STREAM)), stream, payload)]
            case 5:
                new = [frame(random.choice((WINDOW, PING, PRIORITY)), 0, stream, mark)]
            case 6:
                new = [frame(random.choice((SETTINGS, GOAWAY)), 0, 0, payload)]
            case 7:
                new = [frame(RST, 0, stream, mark)]
            case _:
                new = [frame(random.randint(10, 255), 5, stream, payload)]
        frames[direction].extend(new)
        waiting[direction] += b"".join(new)
        while random.random() < 0.7:
            side = random.choice((REQUEST, ANSWER))
            size = random.choice((len(waiting[side]), random.randint(1, len(waiting[side]) + 1)))
            part, waiting[side] = waiting[side][:size], waiting[side][size:]
            if not reads:  # the client begins, and its first read holds PRI
                part, waiting[side] = waiting[side][:0], part + waiting[side]
                side, part = REQUEST, waiting[REQUEST][: max(size, 3)]
                waiting[REQUEST] = waiting[REQUEST][len(part) :]
            if part:
                reads.append((side, part))
    reads += [(side, waiting[side]) for side in (REQUEST, ANSWER) if waiting[side]]
    return Said(frames, reads, streams)


class Follower:
    """A reader that knows the contract and what was said, and accepts nothing else."""

    def __init__(self, said: Said) -> None:
        self.said = said
        self.expected = [0, 0]
        """The next frame of each direction that was not seen yet."""
        self.part = [b"", b""]
        self.left = [0, 0]
        self.full = [b"", b""]
        self.block = [False, False]
        self.lost = [False, False]
        """A gap has come, and no record that begins at a boundary since."""
        self.jumped = [False, False]
        self.fresh = [False, False]
        """A direction goes on, and nothing of it has come yet."""
        self.preface = len(PREFACE)
        self.begun = 0
        self.highest = 0
        self.shed: set[int] = set()

    def record(self, kind: Kind, flags: int, data: bytes, size: int) -> None:
        if kind is Kind.STREAM_SHED:
            assert size > self.highest
            self.shed.add(size)
        elif kind is Kind.STREAM_HEADS_ONLY:
            assert size > self.highest
        elif kind is Kind.LOST:
            self.lost, self.jumped = [True, True], [True, True]
        elif kind in (Kind.REQUEST_TABLE, Kind.ANSWER_TABLE):
            assert self.fresh[kind - Kind.REQUEST_TABLE]
            self.fresh[kind - Kind.REQUEST_TABLE] = False
        elif kind in (Kind.REQUEST_SKIPPED, Kind.ANSWER_SKIPPED):
            way = kind - Kind.REQUEST_SKIPPED
            assert 0 < size <= self.left[way]
            assert self.full[way][3] == DATA or self.full[way][3] > CONTINUATION
            self.left[way] -= size
        elif kind in (Kind.REQUEST, Kind.ANSWER):
            self.bytes(kind, flags, data, size)

    def bytes(self, way: int, flags: int, data: bytes, size: int) -> None:
        assert flags & FRAMES
        if flags & GAP:
            assert not data
            self.lost[way] = self.jumped[way] = True
        self.fresh[way] = not data and flags & BOUNDARY != 0
        if self.lost[way]:
            assert not data
            if not flags & BOUNDARY:
                return
            self.lost[way], self.left[way], self.block[way] = False, 0, False
            if way == REQUEST:
                self.preface = 0
        inside = self.left[way] > 0 or self.block[way] or (way == REQUEST and self.preface > 0)
        assert bool(flags & BOUNDARY) == (not inside)
        if way == REQUEST and self.preface:
            begin = len(PREFACE) - self.preface
            own, data = data[: self.preface], data[self.preface :]
            assert own == PREFACE[begin : begin + len(own)]
            self.preface -= len(own)
        begun = 0
        while data:
            if self.left[way]:
                taken = data[: self.left[way]]
                at = len(self.full[way]) - self.left[way]
                assert taken == self.full[way][at : at + len(taken)]
                self.left[way] -= len(taken)
                data = data[len(taken) :]
                continue
            header, data = data[:9], data[9:]
            assert len(header) == 9
            begun += self.header(way, header, data[:4])
        assert begun == (size if flags & START else 0)
        self.begun += begun

    def header(self, way: int, header: bytes, mark: bytes) -> int:
        """A frame begins: the next that was said, but for those that may be left out."""
        frames = self.said.frames[way]
        at = self.expected[way]
        while True:
            full = frames[at]
            if full[:9] == header and full[9 : 9 + len(mark)] == mark[: len(full) - 9]:
                break
            stream = int.from_bytes(full[5:9], "big")
            left_out = full[3] in (WINDOW, PING, PRIORITY) or (full[3] == DATA and not full[4] & END_STREAM)
            assert self.jumped[way] or (left_out and (full[3] != DATA or stream in self.shed))
            at += 1
        self.expected[way] = at + 1
        self.full[way], self.left[way] = full, len(full) - 9
        kind, marks, stream = full[3], full[4], int.from_bytes(full[5:9], "big")
        if kind in (HEADERS, CONTINUATION):
            self.block[way] = not marks & END_HEADERS
        if way == REQUEST and kind == HEADERS and stream > self.highest and stream & 1:
            self.highest = stream
            return int(stream not in self.shed)
        return 0


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 1 << 32),
    st.sampled_from((8192, 65_536)),
    st.sampled_from((1.0, 0.5)),
    st.sampled_from((600, 3000, 9000)),
    st.sampled_from((0.9, 0.3, 0.02)),
)
def test_whatever_is_said_and_lost_records_keep_to_the_contract_and_streams_are_counted_once(
    seed: int, size: int, sampling: float, longest: int, reading: float
) -> None:
    random = Random(seed)
    said = conversation(random, random.choice((10, 200)), longest)
    bench = Bench(size, sampling, limit=2000)
    follower = Follower(said)

    def read() -> None:
        for record in bench.read():
            follower.record(*record)
        assert follower.begun == bench.words[Tap.COPIED]

    for direction, data in said.reads:
        bench.say(direction, data)
        if random.random() < reading:
            read()
        if random.random() < 0.02:
            bench.words[Recorder.EPOCH] += 1
    bench.copier.flush(2)
    read()
    copied, pressure, fault = bench.counts()
    assert (copied + pressure, fault) == (said.streams, 0)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from((REQUEST, ANSWER)), st.binary(min_size=1, max_size=200))))
def test_bytes_that_are_no_frames_harm_nothing(reads: list[tuple[int, bytes]]) -> None:
    bench = Bench().begin()
    for direction, data in reads:
        bench.say(direction, data)
        bench.read()
    assert not bench.flow.off
    assert bench.words[Tap.COPY_ERRORS] == 0


@pytest.mark.parametrize("name", GRPC_NAMES)
@pytest.mark.parametrize("cut", [None, 1, 7, 100])
def test_of_what_real_servers_and_clients_say_every_frame_is_copied(name: str, cut: int | None) -> None:
    bench = Bench(1 << 22, limit=1 << 20)
    said = [b"", b""]
    copied = [b"", b""]
    for direction, data in steps(name):
        said[direction] += data
        first = 3 if data.startswith(PREFACE[:3]) else 0  # what tells that it is HTTP/2 comes in one read
        if first:
            bench.say(direction, data[:first])
        for at in range(first, len(data), cut or len(data)):
            bench.say(direction, data[at : at + (cut or len(data))])
    for kind, flags, data, _ in bench.read():
        if kind in (Kind.REQUEST, Kind.ANSWER):
            copied[kind] += data
            assert flags & FRAMES
    said[REQUEST] = said[REQUEST].removeprefix(PREFACE)
    copied[REQUEST] = copied[REQUEST].removeprefix(PREFACE)
    heads = 0
    for direction in (REQUEST, ANSWER):
        frames = [f for f in split(said[direction]) if f[3] not in (WINDOW, PING, PRIORITY)]
        assert [f for f in split(copied[direction]) if f[3] not in (WINDOW, PING, PRIORITY)] == frames
        if direction == REQUEST:
            heads = len({f[5:9] for f in frames if f[3] == HEADERS})
    assert bench.counts() == (heads, 0, 0)


def split(data: bytes) -> list[bytes]:
    """The frames of *data*."""
    found = []
    while data:
        size = 9 + int.from_bytes(data[:3], "big")
        found.append(data[:size])
        data = data[size:]
    return found
