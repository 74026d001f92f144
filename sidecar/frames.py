"""Frames: an HTTP/2 connection is walked by the 9-byte headers of its frames (RFC 9113, 4.1).

Promises: nothing but those headers is looked at, and what header blocks do to their table, 0.3 µs each;
malformed bytes are walked like others and harm nothing; streams are counted exactly (begun in the ring, or
`Tap.DROPPED_PRESSURE`); memory per connection is bounded.
Refuses: fields, padding, and to judge a peer's conduct.

The unit is a stream: a HEADERS frame of the client on an odd stream above all earlier ones begins an
exchange. What is copied goes into the ring verbatim, one record for each read as long as nothing in it is
left out. Header blocks, SETTINGS, RST_STREAM, GOAWAY and PUSH_PROMISE are always copied, since HPACK and
the streams' states hang on them; they may use the part of the ring that is kept for what is under way.
Left out are, and the reader sees each but the last two as skipped payload of a frame whose header it has:

* DATA beyond the cap: `Draws.limit` bytes of one stream and direction since the last DATA of the other
  direction, and `WHOLE_BYTES` of a stream that was not drawn for recording (a note comes before its head);
* the payload of frames of unknown type beyond `WHOLE_BYTES`;
* DATA of a stream that was shed (a note comes before its head), but where it ends the stream: whole;
* WINDOW_UPDATE, PING and PRIORITY where they begin or end a read: whole. In the middle it is cheaper to copy.

A frame's header is put when all of it has come: up to 8 bytes of a read wait for the next one.

When a record does not fit, or another recorder has taken over, the connection's state in the reader is lost:
both directions are copied again from their next frame that is not inside a header block, with an empty record
that says so (`BOUNDARY`), and one with what the header table was by then (`sidecar.tables`). That bytes are
missing (`GAP`) is told for both when the first goes on. Streams begun meanwhile are counted as dropped, and
of those begun before nothing more is copied but their heads.

What is kept of a stream is how much of it may still be copied, and only between its first and last DATA, or
if it was not drawn. A connection with more than `STREAMS` of those, or with more than `SHARE` when all
together keep more than `TOTAL` beyond that, is not copied any more: its streams are counted only.
"""

from __future__ import annotations

from collections.abc import Callable

from sidecar.draws import HEADS, SHED, Draws
from sidecar.framing import (
    BLOCK_FLAGS,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADER_SIZE,
    HEADERS,
    NUMBER,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    WINDOW_UPDATE,
    unpack_header,
)
from sidecar.ring import BOUNDARY, FRAMES, GAP, HEADER, START, Kind, RingWriter
from sidecar.tables import Table, Tables
from sidecar.words import Recorder, Tap, Words

WHOLE_BYTES = 2048
"""Of an exchange that is not drawn, this much is copied whole: cutting costs the tap 4.1 µs an exchange where
copying costs 2.1, and the recorder 10.9 where it costs 8.1 (measured over HTTP/1). Over gRPC it also holds
the model's name, which is the first field of the message."""

STREAMS = 4096
SHARE = 128
"""Servers allow 100 streams at once (RFC 9113, 6.5.2, tells them not to allow fewer)."""
TOTAL = 65_536
"""About 10 MB."""

_SHED, _HEADS_ONLY = int(Kind.STREAM_SHED), int(Kind.STREAM_HEADS_ONLY)
_SKIPPED = int(Kind.REQUEST_SKIPPED)
_TABLE = int(Kind.REQUEST_TABLE)

_DROPPED_PRESSURE = int(Tap.DROPPED_PRESSURE)
_EPOCH = int(Recorder.EPOCH)
_LEFT_OUT = frozenset((WINDOW_UPDATE, PING, PRIORITY))
_PARTS = frozenset((CONTINUATION, PUSH_PROMISE))

Piece = tuple[int, int, int, bytes]
"""A record to be: kind, flags, size, payload."""


class Side:
    """One direction of a connection."""

    __slots__ = ("block", "lost", "omit", "partial", "rest", "runs", "skip", "table", "told")

    def __init__(self, rest: int) -> None:
        self.rest = rest
        """Bytes of the frame under way that will be copied; then"""
        self.skip = 0
        """bytes of it that will be told and not copied; or"""
        self.omit = 0
        """bytes of it that will be left out."""
        self.partial = b""
        """The beginning of a frame's header."""
        self.block = False
        """A header block is under way."""
        self.lost = False
        """Nothing is copied until a frame begins."""
        self.told = False
        """The reader knows, and of what began since no byte is missing."""
        self.table: Table | None = None
        """What the header table is, while that is known."""
        self.runs: dict[int, int] = {}
        """For each stream that sends DATA: how much more of it is copied."""

    def rests(self) -> bool:
        """Whether the next byte begins a frame, not inside a header block."""
        return not (self.rest or self.skip or self.omit or self.block)

    def room(self) -> int:
        """Bytes of the ring that telling of a gap takes at most: twice, as its end may be in the way."""
        return 2 * (2 * HEADER.size + (0 if self.table is None else self.table.room))

    def head(self, kind: int, flags: int, data: bytes, start: int, end: int) -> None:
        """A frame of a header block; its payload is *data* from *start* to *end*, as far as that is there."""
        if self.table is not None and not self.table.take(kind, flags, data, start, end):
            self.table = None

    def more(self, data: bytes) -> None:
        """*data* begins with more of the frame under way."""
        if self.table is not None and self.table.left and not self.table.more(data):
            self.table = None


class Frames:
    """Both directions of a connection, from its beginning."""

    __slots__ = ("epoch", "highest", "horizon", "limits", "over", "sides", "spoke")

    def __init__(self) -> None:
        self.sides = (Side(len(PREFACE)), Side(0))
        self.highest = 0
        """The last stream that has begun."""
        self.horizon = -1
        """The last stream of which bytes were lost."""
        self.limits: dict[int, int] = {}
        """For streams with another than the usual: how many bytes of a run are copied, or `SHED`."""
        self.over = 0
        """Streams kept beyond `SHARE`."""
        self.epoch = 0
        """The recorder that knows it, as of `Recorder.EPOCH`."""
        self.spoke = 1
        """The direction of the last bytes that were more than what only the transport needs."""


class FrameWalk:
    """Puts the connections of one tap that are HTTP/2 into its ring.

    *resume* tells whether lost bytes may be followed by others now; *note* writes (kind, connection, time)
    down as soon as there is room.
    """

    def __init__(
        self,
        ring: RingWriter,
        words: Words,
        draws: Draws,
        resume: Callable[[int], bool],
        note: Callable[[int, int, int], None],
    ) -> None:
        self._ring = ring
        self._put = ring.put
        self._words = words
        self._draw = draws.draw
        self._limit = draws.limit
        self._reserve = draws.reserve
        self._resume = resume
        self._note = note
        self._over = 0
        self._tables = Tables()

    def begin(self) -> Frames:
        """A connection of which nothing has been copied yet."""
        frames = Frames()
        frames.epoch = self._words[_EPOCH]
        for side in frames.sides:
            side.table = Table(self._tables)
        return frames

    def data(self, frames: Frames, number: int, direction: int, data: bytes, now: int) -> bool:
        """*data* of connection *number* has been forwarded; False when it keeps too many streams."""
        side = frames.sides[direction]
        if side.partial:
            data = side.partial + data
            side.partial = b""
        length = len(data)
        # Frames are walked up to *at*. The next record begins at *start* and ends at *keep*, not at *at*,
        # so that frames that end the read may be left out; *pieces* are the records before it, if any.
        start = at = keep = begun = 0
        pieces: list[Piece] | None = None
        if side.lost:
            frames.spoke = direction
            start = at = keep = self._seek(frames, number, direction, data, now)
            if at < 0:
                return True
        elif side.rest >= length:
            frames.spoke = direction
            side.rest -= length
            side.more(data)
            if not self._put(direction, FRAMES, number, now, 0, data):
                self._lost(frames, number, now)
            return True
        else:
            at = keep = side.rest
            side.rest = 0
            if at:
                side.more(data)
            if side.skip:
                here = min(side.skip, length - at)
                side.skip -= here
                pieces = [(direction, FRAMES, 0, data[:at])] if at else []
                pieces.append((_SKIPPED + direction, 0, here, b""))
                start = at = keep = at + here
            elif side.omit:
                start = at = keep = min(side.omit, length)
                side.omit -= at
        flags = FRAMES if side.block or at > start else FRAMES | BOUNDARY
        theirs = frames.sides[1 - direction].runs
        runs, limits, usual = side.runs, frames.limits, self._limit
        idle = self._tables.idle
        while True:
            head = at + HEADER_SIZE
            if head > length:
                side.partial = data[at:]
                break
            first, marks, stream = unpack_header(data, at)
            kind, size = first & 255, first >> 8
            # *end* of the frame, and *cut*: up to where it is copied, *at* when it is left out whole.
            cut = end = head + size
            if kind == DATA:
                stream &= NUMBER
                allowed = runs.get(stream, SHED)
                if allowed == SHED and stream > frames.horizon:
                    allowed = limits.get(stream, usual) if limits else usual
                    if theirs:
                        theirs.pop(stream, None)
                if size > allowed:
                    if allowed != SHED:
                        cut, allowed = head + allowed, size
                    else:
                        cut = head if marks & END_STREAM else at
                if marks & END_STREAM:
                    if runs or theirs or limits:
                        _ended(stream, direction, runs, theirs, limits)
                elif allowed != SHED:
                    runs[stream] = allowed - size
            elif kind == HEADERS:
                stream &= NUMBER
                if not direction and stream > frames.highest and stream & 1:
                    if self._words[_EPOCH] != frames.epoch and not begun:
                        return self._renew(frames, number, data[at:], now)
                    frames.highest = stream
                    limit = self._draw()
                    if limit != SHED:
                        begun += 1
                    if limit != usual:
                        pieces = pieces or []
                        self._unusual(limits, stream, limit, pieces)
                if marks & END_STREAM and (runs or theirs or limits):
                    _ended(stream, direction, runs, theirs, limits)
                if not marks & END_HEADERS:
                    side.block = True
                if side.table is not None and (
                    data[head:end] not in idle or marks & BLOCK_FLAGS != END_HEADERS or end > length
                ):
                    side.head(kind, marks, data, head, end)
            elif kind in _LEFT_OUT:
                cut = at
            elif kind in _PARTS:
                _block(side, kind, marks)
                side.head(kind, marks, data, head, end)
            elif kind == RST_STREAM:
                stream &= NUMBER
                _ended(stream, 1, runs, theirs, limits)
            elif kind > CONTINUATION and size > WHOLE_BYTES:
                cut = head + WHOLE_BYTES
            if cut == end:
                if end > length:
                    side.rest = end - length
                    keep = length
                    break
                at = keep = end
                continue
            if cut >= length:  # where it is cut has not come yet
                side.rest, side.skip = cut - length, end - cut
                keep = length
                break
            if cut != at:
                pieces = pieces or []
                pieces.append((direction, flags | START if begun else flags, begun, data[start:cut]))
                side.skip = end - cut
                here = min(side.skip, length - cut)
                side.skip -= here
                pieces.append((_SKIPPED + direction, 0, here, b""))
            elif at == start or size > WHOLE_BYTES:
                if at != start:
                    pieces = pieces or []
                    pieces.append((direction, flags | START if begun else flags, begun, data[start:keep]))
                side.omit = max(end - length, 0)
            else:  # small, and behind something else: it goes with what comes behind it, if anything does
                if end > length:
                    side.omit = end - length
                    break
                at = end
                continue
            if end > length:
                start = keep
                break
            start = at = keep = end
            begun = 0
            flags = FRAMES if side.block else FRAMES | BOUNDARY
        if keep > start:
            frames.spoke = direction
            if begun:
                flags |= START
            if pieces is None:
                if not self._put(direction, flags, number, now, begun, data[start:keep]):
                    self._words[_DROPPED_PRESSURE] += begun
                    self._lost(frames, number, now)
            else:
                pieces.append((direction, flags, begun, data[start:keep]))
        if pieces is not None:
            frames.spoke = direction
            self._put_all(frames, number, pieces, now)
        if frames.over or len(runs) + len(theirs) + len(limits) > SHARE:
            return self._bounded(frames)
        return True

    def lose(self, frames: Frames) -> None:
        """Bytes of this connection are not copied: nothing more is until `_seek` finds where to begin."""
        for side in frames.sides:
            side.lost, side.told = True, False
        self._clear(frames)

    def forget(self, frames: Frames) -> None:
        """Keep nothing: no more of this connection is copied."""
        for side in frames.sides:
            if side.table is not None:
                side.table.drop()
                side.table = None
        self._clear(frames)

    def _clear(self, frames: Frames) -> None:
        """Keep nothing of single streams."""
        for side in frames.sides:
            side.runs.clear()
        frames.limits.clear()
        self._over -= frames.over
        frames.over = 0

    def _unusual(self, limits: dict[int, int], stream: int, limit: int, pieces: list[Piece]) -> None:
        """*stream* begins, and not the usual *limit* was drawn for it."""
        if limit == SHED:
            self._words[_DROPPED_PRESSURE] += 1
            pieces.append((_SHED, 0, stream, b""))
        elif limit == HEADS:
            limit = min(WHOLE_BYTES, self._limit)
            pieces.append((_HEADS_ONLY, 0, stream, b""))
        limits[stream] = limit

    def _put_all(self, frames: Frames, number: int, pieces: list[Piece], now: int) -> None:
        """Put *pieces* in order; from the first that does not fit on all are lost."""
        for at, (kind, flags, size, payload) in enumerate(pieces):
            if not self._put(kind, flags, number, now, size, payload):
                begun = sum(size for _, flags, size, _ in pieces[at:] if flags & START)
                self._words[_DROPPED_PRESSURE] += begun
                self._lost(frames, number, now)
                return

    def _lost(self, frames: Frames, number: int, now: int) -> None:
        self.lose(frames)
        self._note(Kind.LOST, number, now)

    def _renew(self, frames: Frames, number: int, data: bytes, now: int) -> bool:
        """A stream begins with *data*, and there is a recorder that does not know the connection."""
        frames.epoch = self._words[_EPOCH]
        self._lost(frames, number, now)
        return self.data(frames, number, 0, data, now)

    def _seek(self, frames: Frames, number: int, direction: int, data: bytes, now: int) -> int:
        """Where in *data* copying goes on after a loss: told to the reader; or -1."""
        side, other = frames.sides[direction], frames.sides[1 - direction]
        ready = self._resume(now) and self._ring.free() >= self._reserve + side.room() + other.room()
        if not ready:
            side.told = False
        at, begun = _pass(frames, direction, data, ready)
        self._words[_DROPPED_PRESSURE] += begun
        if at < 0:
            return at
        # There is room for all that is put here.
        if side.told:
            self._go_on(side, number, direction, now, BOUNDARY)
            return at
        frames.horizon = frames.highest
        self._go_on(side, number, direction, now, GAP | BOUNDARY)
        if other.lost and other.rests():
            self._go_on(other, number, 1 - direction, now, GAP | BOUNDARY)
        elif other.lost:
            # It goes on behind the frame or block under way. Nothing of what begins from here on is in that.
            self._put(1 - direction, FRAMES | GAP, number, now, 0, b"")
            other.told = True
        return at

    def _go_on(self, side: Side, number: int, direction: int, now: int, flags: int) -> None:
        """Copy *side* again, from here on."""
        self._put(direction, FRAMES | flags, number, now, 0, b"")
        if side.table is not None:
            self._put(_TABLE + direction, 0, number, now, 0, side.table.block())
        side.lost = side.told = False

    def _bounded(self, frames: Frames) -> bool:
        """Whether *frames* may keep as many streams as it does."""
        kept = len(frames.sides[0].runs) + len(frames.sides[1].runs) + len(frames.limits)
        over = max(kept - SHARE, 0)
        self._over += over - frames.over
        frames.over = over
        return not over or (kept <= STREAMS and self._over <= TOTAL)


def count(frames: Frames, direction: int, data: bytes) -> int:
    """How many streams begin in *data*, of a connection that is not copied.

    >>> frames = Frames()
    >>> count(frames, 0, PREFACE + bytes([0, 0, 1, 1, 5, 0, 0, 0, 1, 0x82, 0, 0, 1, 1, 5, 0, 0, 0, 3, 0x82]))
    2
    """
    return _pass(frames, direction, data, ready=False)[1]


def _pass(frames: Frames, direction: int, data: bytes, ready: bool) -> tuple[int, int]:
    """Walk without copying, to where it may begin again if *ready*, else -1; and how many streams begin."""
    side = frames.sides[direction]
    if side.partial:
        data = side.partial + data
        side.partial = b""
    length = len(data)
    at = side.rest + side.skip + side.omit
    side.rest = side.skip = side.omit = begun = 0
    side.more(data)
    while at <= length:
        if ready and not side.block:
            return at, begun
        if at + HEADER_SIZE > length:
            side.partial = data[at:]
            return -1, begun
        first, marks, stream = unpack_header(data, at)
        kind = first & 255
        head = at + HEADER_SIZE
        at = head + (first >> 8)
        if kind == HEADERS:
            stream &= NUMBER
            if not direction and stream > frames.highest and stream & 1:
                frames.highest = stream
                begun += 1
        if kind == HEADERS or kind in _PARTS:
            _block(side, kind, marks)
            side.head(kind, marks, data, head, at)
    side.omit = at - length
    return -1, begun


def _block(side: Side, kind: int, marks: int) -> None:
    """A frame of a header block: whether the block is under way behind it."""
    if not marks & END_HEADERS:
        if kind != CONTINUATION:
            side.block = True
    elif kind == CONTINUATION:
        side.block = False


def _ended(
    stream: int, direction: int, runs: dict[int, int], theirs: dict[int, int], limits: dict[int, int]
) -> None:
    """*stream* sends no more in this *direction*; when the server does not, nothing of it is kept."""
    if runs:
        runs.pop(stream, None)
    if direction:
        if theirs:
            theirs.pop(stream, None)
        if limits:
            limits.pop(stream, None)
