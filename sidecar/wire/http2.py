"""HTTP/2 (RFC 9113): both directions of one connection, an exchange for each stream that the client begins.

Promises beside those of `sidecar.wire`:

* A stream is returned when its answer and its request have ended, or when either side reset it, or the
  server said that it will not be processed (GOAWAY), or the connection ended. `Exchange.closed` when its
  answer had not ended by then.
* Sizes are those of the stream's HEADERS, CONTINUATION and DATA frames with their 9-byte headers, padding
  included. Bodies are the payload of DATA without padding.
* After `resync` header blocks go on being read exactly (`sidecar.wire.hpack`). A stream that has an unknown
  field in one of its blocks is returned with `headers_known` False; but for calls of gRPC whose method, path,
  content type, status and grpc-status are all known, since clients that trace refer to a name from before the
  gap for ever. (What may be missing there is grpc-encoding, and a compressed message needs that.)
* Memory: in each direction one frame or header block of at most `header_limit` (plus the piece just
  received), a table of header fields, and blocks read before (`sidecar.wire.fields`); of at most
  `STREAM_LIMIT` open streams their targets; of the bodies, or of each message that is handed out, at most
  `body_limit` each and what the shared `Held` allows in all.

Refuses to guess: what ends an HTTP/2 connection for its peers makes it ``broken`` here, until `resync`.
Frames on streams that were not begun here (shed, begun before we came, pushed, finished) are followed for
their header blocks only. Flow control, priorities and extensions are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from sidecar.exchange import Exchange, Message
from sidecar.framing import (
    BLOCK_FLAGS,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADER_SIZE,
    HEADERS,
    NUMBER,
    PADDED,
    PREFACE,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    fragment,
    unpack_header,
)
from sidecar.wire import CLIENT_TO_SERVER, SERVER_TO_CLIENT, LossReason, State, TunnelReason
from sidecar.wire.body import Held
from sidecar.wire.fields import BlockReader, Head
from sidecar.wire.frames import WHOLE, Block, Frame, Side, table_sizes
from sidecar.wire.hpack import BlockError, LongBlockError
from sidecar.wire.stream import ANSWER_ENDED, BOTH_ENDED, REQUEST_ENDED, Stream

STREAM_LIMIT: Final = 1000
"""Open streams of one connection; more are lost, each as ``pipelined``. Servers allow 100 (grpc-go, nginx:
128) to 250 (Node.js); gRPC's C++ server sets no limit."""

CONTINUATION_LIMIT: Final = 128
"""CONTINUATION frames of one header block. Peers refuse more than 8 (nghttp2) or 64 (the library h2)."""

_SHED, _HEADS_ONLY = 1, 2
_MARK_LIMIT = 10_000

_EMPTY: Mapping[bytes, bytes] = {}

Done: TypeAlias = list[Exchange | Message]


class Http2Connection:
    """One connection; see `sidecar.wire.Connection`.

    >>> connection = Http2Connection(65536, 1 << 20)
    >>> head = bytes.fromhex("00000e 01 05 00000001") + bytes.fromhex("82 86 84 41 09") + b"localhost"
    >>> connection.receive(0, PREFACE + head, 1)
    []
    >>> answer = bytes.fromhex("000001 01 04 00000001 88") + bytes.fromhex("000002 00 01 00000001") + b"up"
    >>> [done] = connection.receive(1, answer, 5)
    >>> done.method, done.target, done.status, done.response_body, done.ended - done.started
    (b'GET', b'/', 200, b'up', 4)
    """

    __slots__ = (
        "_after_gap", "_body_limit", "_client", "_header_limit", "_held", "_highest", "_marks", "_parts",
        "_server", "_streams", "begun", "broken_reason", "finished", "losses", "state", "tunnel_reason",
    )  # fmt: skip

    def __init__(
        self,
        header_limit: int,
        body_limit: int,
        held: Held | None = None,
        streaming: Callable[[bytes], bool] = lambda target: False,
    ) -> None:
        """*streaming*: whether messages of a gRPC request with that target are handed out one by one."""
        # Per connection
        self._header_limit = header_limit
        self._body_limit = body_limit
        self._held = Held(8 * body_limit) if held is None else held
        self._client = Side(CLIENT_TO_SERVER, BlockReader(header_limit, streaming))
        self._server = Side(SERVER_TO_CLIENT, BlockReader(header_limit, lambda target: False))
        self._client.preface = True
        self._highest = 0  # of the streams that the client began
        self._after_gap = False  # the client may have begun streams that were not seen
        self._marks: dict[int, int] = {}  # streams that are yet to begin: _SHED or _HEADS_ONLY
        self._parts = 0  # bytes of half-read frames and blocks that stand in `_held`
        self.begun = 0
        self.finished = 0
        self.losses: dict[LossReason, int] = {}
        self.state: State = "ok"
        self.tunnel_reason: TunnelReason | None = None
        """Always None: HTTP/2 has no tunnels but of single streams."""
        self.broken_reason: LossReason | None = None

        # Per exchange in flight
        self._streams: dict[int, Stream] = {}

    @property
    def lost(self) -> int:
        """Streams that were given up, whatever the reason."""
        return sum(self.losses.values())

    @property
    def open_exchanges(self) -> int:
        """Streams that have begun and are neither returned nor lost."""
        return len(self._streams)

    # What the tap tells

    def shed(self, stream: int) -> None:
        """Of *stream*, which is yet to begin, only the header blocks are read: it never counts as begun."""
        self._mark(stream, _SHED)

    def heads_only(self, stream: int) -> None:
        """Of *stream*, which is yet to begin, little more than the header blocks is copied."""
        self._mark(stream, _HEADS_ONLY)

    def _mark(self, stream: int, mark: int) -> None:
        marks = self._marks
        if len(marks) >= _MARK_LIMIT:  # only of streams whose beginnings were lost
            for old in [old for old in marks if old <= self._highest] or list(marks):
                del marks[old]
        marks[stream] = mark

    def receive(self, direction: int, data: bytes | memoryview, now_ns: int) -> Done:
        """Read *data*; returns the streams that ended in it, and messages. Nothing unless all is ``ok``."""
        done: Done = []
        side = self._client if direction == CLIENT_TO_SERVER else self._server
        if self.state != "ok" or not data or side.blind:
            return done
        if type(data) is not bytes:
            data = bytes(data)
        position = 0
        started = now_ns
        if side.part:
            part = side.part
            part += data
            if len(part) < side.need:
                self._count_parts()
                return done
            data = bytes(part)
            part.clear()
            started = side.part_ns
        elif side.left:
            position = self._go_on(side, data, 0, now_ns, done)
        if side.opening:
            position = self._open(side, data, started)
        if self.state == "ok":
            self._read(side, data, position, started, now_ns, done)
        if self._parts or side.part or side.block is not None:
            self._count_parts()
        return done

    def skip(self, direction: int, nbytes: int, now_ns: int) -> Done:
        """Pass over *nbytes* that were not copied: a part of one frame's payload, or else they are a gap."""
        done: Done = []
        side = self._client if direction == CLIENT_TO_SERVER else self._server
        if self.state != "ok" or nbytes <= 0 or side.blind:
            return done
        if nbytes > side.left:
            self._break("gap")
            return done
        stream = side.stream
        if stream is not None:
            stream.add_size(direction, nbytes)
            if side.pad < 0:  # how much of the rest is padding will never be known
                stream.cut(direction)
                if stream.messages is not None:
                    stream.messages[direction].lose(now_ns, done)
            else:
                stream.skip(direction, min(nbytes, max(side.left - side.pad, 0)), now_ns, done)
        side.pad = max(side.pad, 0)
        side.left -= nbytes
        if side.left == 0:
            self._end_payload(side, now_ns, done)
        return done

    def close(self, now_ns: int) -> Done:
        """The connection ended, both ways. Afterwards nothing is read any more."""
        done: Done = []
        if self.state == "ok":
            for stream in list(self._streams.values()):
                self._cut_off(stream, now_ns, done)
            self._break("closed")
        return done

    def resync(self, direction: int | None = None) -> None:
        """Bytes of *direction* (None: of both) are missing; the next ones begin where a frame does.

        Every open stream is lost as ``gap``.
        """
        sides = (self._client, self._server)
        if self.state == "ok":
            self._lose("gap", half_read=direction != SERVER_TO_CLIENT)
        else:
            for side in sides:
                side.blind = True  # until its own resync
            self.state = "ok"
            self.broken_reason = None
        for side in sides:
            if direction is None or direction == side.direction:
                side.restart()
        if direction != SERVER_TO_CLIENT:
            self._after_gap = True
        self._count_parts()

    def restore(self, direction: int, block: bytes) -> None:
        """Behind a `resync` of *direction*: *block* makes of an empty table the one that is used here."""
        side = self._client if direction == CLIENT_TO_SERVER else self._server
        if self.state == "ok" and side.opening and not side.blind:
            side.blocks.restore(block)

    # Frames

    def _open(self, side: Side, data: bytes, started: int) -> int:
        """The first bytes of a direction; returns where its first frame begins."""
        if side.direction == CLIENT_TO_SERVER:
            start = data[: len(PREFACE)]
            if PREFACE.startswith(start):
                if len(start) < len(PREFACE):
                    side.keep(data, 0, started, len(start) + 1)
                    return len(data)
                if not side.preface:  # after a resync: the connection had not even begun
                    self._after_gap = False
                    for other in (self._client, self._server):
                        if other.opening:
                            other.blocks.table.restart()
                side.preface = side.opening = False
                return len(PREFACE)
            if side.preface:
                self._break("bad_request")
        side.opening = False
        return 0

    def _read(self, side: Side, data: bytes, position: int, started: int, now_ns: int, done: Done) -> None:
        """Read frames from *position* on; the first byte of *data* was read at *started*."""
        direction = side.direction
        from_client = direction == CLIENT_TO_SERVER
        known = side.blocks.known
        streams = self._streams
        end = len(data)
        in_block = side.block is not None
        while end - position >= HEADER_SIZE:
            word, flags, number = unpack_header(data, position)
            start = position + HEADER_SIZE
            stop = start + (word >> 8)
            kind = word & 0xFF
            number &= NUMBER
            # Nearly all frames are whole, plain and known before: they are read here.
            if in_block or stop > end:
                pass
            elif kind == DATA:
                if number and not flags & PADDED:
                    stream = streams.get(number)
                    if stream is not None:
                        exchange = stream.exchange
                        if from_client:
                            exchange.request_bytes += stop - position
                        else:
                            exchange.response_bytes += stop - position
                        if start == stop:
                            pass
                        elif stream.messages is None:
                            stream.receive(direction, data, start, stop, self._body_limit, self._held)
                        else:
                            stream.messages[direction].receive(data, start, stop, now_ns, done)
                        if flags & END_STREAM:
                            self._end(stream, direction, now_ns, done)
                    position = stop
                    continue
            elif kind == HEADERS:
                if number and flags & BLOCK_FLAGS == END_HEADERS:
                    head = known.get(data[start:stop])
                    if head is not None:
                        began = now_ns if position else started
                        self._head(side, number, flags, head, began, stop - position, now_ns, done)
                        position = stop
                        continue
            elif kind == WINDOW_UPDATE and stop - start == 4:
                position = stop
                continue
            began = now_ns if position else started
            frame = Frame(kind, flags, number, start, stop, began)
            if (kind == CONTINUATION) != in_block or frame.is_wrong():
                self._refuse(direction, frame)
            elif kind not in WHOLE:
                self._as_it_comes(side, frame, data, now_ns, done)
            elif self._is_long(side, frame):
                self._break("head_too_long", heads=self._begins(direction, frame))
            elif stop > end:
                side.keep(data, position, began, stop - position)
                return
            else:
                self._whole(side, frame, data, now_ns, done)
                in_block = side.block is not None
            if self.state != "ok":
                return
            position = min(stop, end)
        if position < end:
            side.keep(data, position, now_ns if position else started, HEADER_SIZE)

    def _is_long(self, side: Side, frame: Frame) -> bool:
        """Whether a frame that is read as a whole would be too much to keep."""
        block = side.block
        if block is None:
            return frame.length > self._header_limit
        return (
            block.continuations >= CONTINUATION_LIMIT or len(block.bytes) + frame.length > self._header_limit
        )

    def _begins(self, direction: int, frame: Frame) -> int:
        """1 when *frame*, whose stream has not begun, begins one that counts; else 0."""
        begins = direction == CLIENT_TO_SERVER and frame.kind == HEADERS and self._counts(frame.number)
        return int(begins and frame.number > self._client.half_headers())

    def _counts(self, number: int) -> bool:
        """Whether stream *number* would begin an exchange."""
        return number > self._highest and number & 1 == 1 and self._marks.get(number) != _SHED

    def _refuse(self, direction: int, frame: Frame) -> None:
        """*frame* makes peers end the connection."""
        reason: LossReason = "bad_request" if direction == CLIENT_TO_SERVER else "bad_answer"
        self._break(reason, heads=self._begins(direction, frame))

    def _whole(self, side: Side, frame: Frame, data: bytes, now_ns: int, done: Done) -> None:
        """Read a frame whose payload is all there."""
        kind, flags, number, start, stop, _ = frame
        direction = side.direction
        if kind == CONTINUATION:
            block = side.block
            assert block is not None
            if number != block.first.number:
                self._refuse(direction, frame)
                return
            block.continuations += 1
            block.bytes += memoryview(data)[start:stop]
            block.size += stop - start + HEADER_SIZE
            if flags & END_HEADERS:
                side.block = None
                self._block(side, block.first, bytes(block.bytes), block.size, now_ns, done)
        elif kind in (HEADERS, PUSH_PROMISE):
            begun = fragment(data[start:stop], flags, kind == PUSH_PROMISE)
            if begun is None or (kind == PUSH_PROMISE and direction == CLIENT_TO_SERVER):
                self._refuse(direction, frame)
            elif flags & END_HEADERS:
                self._block(side, frame, begun, stop - start + HEADER_SIZE, now_ns, done)
            else:
                side.block = Block(frame, begun)
        elif kind == SETTINGS:
            other = self._server if direction == CLIENT_TO_SERVER else self._client
            for size in table_sizes(data, start, stop):  # what is decoded here is encoded over there
                other.blocks.table.allow(size)
        elif kind == RST_STREAM:
            stream = self._streams.get(number)
            if stream is not None:
                self._cut_off(stream, now_ns, done)
        elif kind == GOAWAY and direction == SERVER_TO_CLIENT:
            last = int.from_bytes(data[start : start + 4], "big") & NUMBER
            for stream in [stream for stream in self._streams.values() if stream.number > last]:
                self._cut_off(stream, now_ns, done)

    def _as_it_comes(self, side: Side, frame: Frame, data: bytes, now_ns: int, done: Done) -> None:
        """Begin a payload that is read as it comes: DATA, or what is passed over."""
        side.stream = None
        side.ending = False
        side.pad = 0
        side.left = frame.length
        if frame.kind == DATA:
            side.stream = self._streams.get(frame.number)
            side.ending = frame.flags & END_STREAM != 0
            if frame.flags & PADDED:
                side.pad = -1
            if side.stream is not None:
                side.stream.add_size(side.direction, HEADER_SIZE)
        if side.left == 0:
            self._end_payload(side, now_ns, done)
        else:
            self._go_on(side, data, frame.start, now_ns, done)

    def _go_on(self, side: Side, data: bytes, position: int, now_ns: int, done: Done) -> int:
        """Read what is there of such a payload; returns the position after it."""
        here = min(side.left, len(data) - position)
        if here == 0:
            return position
        start, stop = position, position + here
        stream = side.stream
        if stream is not None:
            stream.add_size(side.direction, here)
        side.left -= here
        if side.pad < 0:
            side.pad = data[start]
            start += 1
            if side.pad > stop - start + side.left:
                self._break("bad_request" if side.direction == CLIENT_TO_SERVER else "bad_answer")
                return stop
        if stream is not None:
            content = min(stop - start, stop - start + side.left - side.pad)
            if content <= 0:
                pass
            elif stream.messages is None:
                stream.receive(side.direction, data, start, start + content, self._body_limit, self._held)
            else:
                stream.messages[side.direction].receive(data, start, start + content, now_ns, done)
        if side.left == 0:
            self._end_payload(side, now_ns, done)
        return stop

    def _end_payload(self, side: Side, now_ns: int, done: Done) -> None:
        """A payload that was read as it came is all there."""
        stream = side.stream
        side.stream = None
        if stream is not None and side.ending:
            self._end(stream, side.direction, now_ns, done)

    # Heads and ends

    def _block(self, side: Side, frame: Frame, block: bytes, size: int, now_ns: int, done: Done) -> None:
        """Read a whole header *block* that *frame* began; its frames took *size* bytes."""
        try:
            head = side.blocks.read(block)
        except BlockError:
            self._refuse(side.direction, frame)
        except LongBlockError:
            self._break("head_too_long", heads=self._begins(side.direction, frame))
        else:
            if frame.kind == HEADERS:
                self._head(side, frame.number, frame.flags, head, frame.started, size, now_ns, done)

    def _head(
        self,
        side: Side,
        number: int,
        flags: int,
        head: Head,
        started: int,
        size: int,
        now_ns: int,
        done: Done,
    ) -> None:
        """Stream *number* has a header block, of which the first byte was read at *started*."""
        direction = side.direction
        stream = self._streams.get(number)
        if direction == CLIENT_TO_SERVER:
            if stream is not None:  # trailers
                stream.exchange.request_bytes += size
            elif number > self._highest and number & 1:
                stream = self._begin(number, head, started, size)
            if stream is not None and flags & END_STREAM:
                self._end(stream, direction, now_ns, done)
            return
        if stream is None:
            return
        exchange = stream.exchange
        exchange.response_bytes += size
        if exchange.answered:
            exchange.trailers = head.headers
        elif 100 <= head.status < 200 and not flags & END_STREAM:
            return  # 100 Continue, 103 Early Hints: the final answer follows
        else:
            exchange.status = head.status
            exchange.response_headers = head.headers
            exchange.answered = started
            if flags & END_STREAM:
                exchange.trailers = head.headers
        if not head.known and not (
            exchange.protocol == "grpc"
            and exchange.status
            and (not flags & END_STREAM or b"grpc-status" in head.headers)
        ):
            exchange.headers_known = False
        if flags & END_STREAM:
            self._end(stream, direction, now_ns, done)

    def _begin(self, number: int, head: Head, started: int, size: int) -> Stream | None:
        """The client began stream *number*; None when it is not to be followed."""
        if self._after_gap and head.known and not head.method:
            return None  # trailers of a stream that began in what is missing
        self._highest = number
        mark = self._marks.pop(number, 0) if self._marks else 0
        if mark == _SHED:
            return None
        self.begun += 1
        streams = self._streams
        held = self._held
        if streams and (len(streams) >= STREAM_LIMIT or held.bytes >= held.limit):
            self.losses["pipelined"] = self.losses.get("pipelined", 0) + 1
            return None
        held.bytes += len(head.target)
        exchange = Exchange(
            head.protocol, head.method, head.target, head.headers, b"", 0, _EMPTY, b"", started, 0, 0, size
        )
        stream = streams[number] = Stream(number, exchange)
        if not head.known and not (head.protocol == "grpc" and head.method and head.target):
            exchange.headers_known = False
        if mark == _HEADS_ONLY:
            exchange.heads_only = True
        if head.streamed:
            stream.hand_out(self._body_limit, held)
        return stream

    def _end(self, stream: Stream, direction: int, now_ns: int, done: Done) -> None:
        """One direction of *stream* has ended."""
        if direction == CLIENT_TO_SERVER:
            stream.ended |= REQUEST_ENDED
        else:
            if not stream.ended & ANSWER_ENDED:
                stream.exchange.ended = now_ns
            stream.ended |= ANSWER_ENDED
        if stream.ended == BOTH_ENDED:
            self._return(stream, done)

    def _cut_off(self, stream: Stream, now_ns: int, done: Done) -> None:
        """Return *stream*, which ends before both of its directions did."""
        exchange = stream.exchange
        if not stream.ended & ANSWER_ENDED:
            exchange.closed = True
            exchange.ended = now_ns
            exchange.response_body_complete = False
        if not stream.ended & REQUEST_ENDED:
            exchange.request_body_complete = False
        self._return(stream, done)

    def _return(self, stream: Stream, done: Done) -> None:
        exchange = stream.exchange
        if not exchange.status and exchange.headers_known:
            exchange.closed = True  # an answer without a status is none to its client, who resets the stream
        self._drop(stream)
        self.finished += 1
        done.append(stream.finish())

    def _drop(self, stream: Stream) -> None:
        """Take *stream* out, and what it holds out of `Held`."""
        del self._streams[stream.number]
        self._held.bytes -= stream.held
        if stream.messages is not None:
            for messages in stream.messages:
                messages.release()
        if self._client.stream is stream:
            self._client.stream = None
        if self._server.stream is stream:
            self._server.stream = None

    # Losses

    def _count_parts(self) -> None:
        """Half-read frames are held, too; where all connections hold too much, this one gives up its own."""
        parts = self._client.held + self._server.held
        held = self._held
        held.bytes += parts - self._parts
        self._parts = parts
        if parts and held.bytes > held.limit:
            self._break("head_too_long")

    def _lose(self, reason: LossReason, heads: int = 0, *, half_read: bool = True) -> None:
        """Give up every open stream, *heads* that never became one, and one that is half begun."""
        if half_read and self._counts(self._client.half_headers()):
            heads += 1
        self.begun += heads
        lost = len(self._streams) + heads
        if lost:
            self.losses[reason] = self.losses.get(reason, 0) + lost
        for stream in list(self._streams.values()):
            self._drop(stream)

    def _break(self, reason: LossReason, heads: int = 0) -> None:
        self._lose(reason, heads)
        self._client.clear()
        self._server.clear()
        self.state = "broken"
        self.broken_reason = reason
        self._held.bytes -= self._parts
        self._parts = 0
