"""A channel's records, followed connection by connection into exchanges, with the books kept.

Promises: each exchange that the tap counted is settled once; whatever the records hold, nothing escapes
(a fault of ours costs one connection, counted). Refuses to know what an exchange means.

The tap says which connections are HTTP/2 (`FRAMES`); there an exchange is a stream, bytes may be missing in
one direction alone, and after a gap a direction is read again from where a frame begins (`BOUNDARY`).
"""

from __future__ import annotations

import mmap
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic_ns

from exporter.schema import Limits
from sidecar.books import Books, DroppedReason
from sidecar.exchange import Exchange, Message
from sidecar.ring import BOUNDARY, FRAMES, GAP, HEADS_ONLY, START, Kind, RingReader
from sidecar.wire.body import Held
from sidecar.wire.http1 import Http1Connection
from sidecar.wire.http2 import Http2Connection
from sidecar.words import Recorder, words

Sink = Callable[[Exchange, bool, Books], None]
"""Takes a finished exchange, and whether only its heads were copied; settles it in the books."""

MessageSink = Callable[[Message], None]
"""Takes a message of a stream under way; the stream itself comes to the `Sink` when it has ended."""

ANSWER = int(Kind.ANSWER)
"""The largest kind that carries bytes."""

LONGEST_READ_NS = 250_000_000

HELD_BYTES = 16 << 20
"""Bytes of unfinished messages that all connections together may hold."""


class _Followed:
    """One connection as far as it has been read."""

    __slots__ = ("begun_heads_only", "blind", "connection", "counted", "credit", "heads_only", "streams")

    def __init__(self, connection: Http1Connection | Http2Connection) -> None:
        # Per connection
        self.connection = connection
        self.streams = connection if isinstance(connection, Http2Connection) else None
        """The same reader, where exchanges are streams."""
        self.blind = [False, False]
        """For each direction of streams: not read until a record begins where a frame does."""
        self.counted: dict[str, int] = {}
        """Losses that stand in the books already, by reason."""
        self.credit = 0
        """Exchanges that the tap has counted and that the reader has not yet seen begin."""
        # Per exchange
        self.heads_only = False
        self.begun_heads_only: deque[bool] = deque()
        """For each open exchange, when there is sampling: whether only its heads are copied."""


class Channel:
    """Reads one ring; *sink* gets every finished exchange."""

    def __init__(
        self,
        memory: mmap.mmap,
        protocol: str,
        limits: Limits,
        sampled: bool,
        sink: Sink,
        message_sink: MessageSink = lambda message: None,
        streaming: Callable[[bytes], bool] = lambda target: False,
    ) -> None:
        self.protocol = protocol
        page = words(memory)
        self.ring = RingReader(memory)
        self.books = Books(page, protocol)
        self.words = page
        self._header_limit = limits.header_bytes
        self._body_limit = max(limits.body_bytes, limits.large_body_bytes)
        """The tap decides which limit is an exchange's; here both fit."""
        self._sampled = sampled
        self._sink = sink
        self._message_sink = message_sink
        self._streaming = streaming
        self._held = Held(HELD_BYTES)
        self._connections: dict[int, _Followed] = {}
        self.in_flight = 0
        """Requests begun and not answered, of those that are followed."""
        self.faults = 0
        self.oldest = 0
        """Monotonic nanoseconds of the last record that was read."""

    def attach(self, *, first: bool = False) -> int:
        """Begin at the present end of the ring; returns how many exchanges a recorder before us left open.

        The *first* recorder begins at the ring's beginning instead: nothing was read before, and clients may
        have come while it was starting. (A later one does not: what the one before had begun to read may
        be what ended it.)
        """
        if first:
            return 0
        copied = self.ring.skip_to_head()
        self.words[Recorder.EPOCH] += 1  # after it: who sees this tells us behind it what we have to know
        lost = copied + self.words[Recorder.EXTRA] - self.books.settled()
        self.books.dropped("recorder_restart", lost)
        return lost

    def read(self, limit: int) -> int:
        """Follow about *limit* bytes of records; returns how many records there were.

        Ends early when they take long: 2 kB that were compressed can take 50 ms, and whoever reads has to
        give signs of life in between.
        """
        count = 0
        until = monotonic_ns() + LONGEST_READ_NS
        for kind, flags, number, time, size, payload in self.ring.read(limit):
            count += 1
            self.oldest = time
            try:
                if kind <= ANSWER:
                    followed = self._connections.get(number)
                    if flags & FRAMES:
                        followed = self._begin_frames(number, kind, flags, size)
                    elif flags:
                        followed = self._begin(number, followed, flags)
                    if followed is not None:
                        self._receive(followed, kind, payload, 0, time)
                elif kind == Kind.OPEN:
                    self._connections[number] = _Followed(self._reader())
                else:
                    self._rare(kind, number, time, size, payload)
            except Exception:  # a fault of ours may cost a connection, never the recorder
                self._fault(number)
            if not count & 15 and monotonic_ns() > until:
                break
        return count

    def _reader(self) -> Http1Connection:
        return Http1Connection(self._header_limit, self._body_limit, self._held)

    def _begin(self, number: int, followed: _Followed | None, flags: int) -> _Followed:
        """The tap has counted an exchange on connection *number*."""
        if followed is None:  # opened before we attached
            followed = self._connections[number] = _Followed(self._reader())
        elif flags & GAP or followed.connection.state == "broken":
            self._resync(followed)
        if flags & START:
            followed.credit += 1
            followed.heads_only = bool(flags & HEADS_ONLY)
        return followed

    def _frames(self, number: int) -> _Followed:
        """Connection *number*, which is HTTP/2."""
        before = self._connections.get(number)
        if before is not None and before.streams is not None:
            return before
        reader = Http2Connection(self._header_limit, self._body_limit, self._held, self._streaming)
        followed = self._connections[number] = _Followed(reader)
        if before is None:  # opened before we attached, or forgotten by a fault
            reader.resync()
            followed.blind = [True, True]
        return followed

    def _begin_frames(self, number: int, direction: int, flags: int, size: int) -> _Followed | None:
        """A record of HTTP/2 begins; None when it can not be read."""
        followed = self._frames(number)
        assert followed.streams is not None
        if flags & GAP:
            self._resync(followed, direction)
        if flags & BOUNDARY:
            followed.blind[direction] = False
        begun = (size or 1) if flags & START else 0
        if followed.blind[direction]:
            self.books.unobservable("header_state_lost", begun)
            return None
        if followed.connection.state != "ok":  # an HTTP/2 connection has no point at which it begins anew
            self._give_up(followed.connection.broken_reason or "bad_request", begun)
            return None
        followed.credit += begun
        return followed

    def _receive(
        self, followed: _Followed, direction: int, payload: memoryview, size: int, time: int
    ) -> None:
        """Bytes (or *size* bytes that were not copied) of one direction."""
        connection = followed.connection
        begun = connection.begun
        if size:
            finished = connection.skip(direction, size, time)
        else:
            finished = connection.receive(direction, payload, time)
        if connection.begun != begun:
            self._begun(followed, connection.begun - begun)
        if finished:
            self._finished(followed, finished)
        if connection.state != "ok" or size or connection.losses:
            self._settle(followed)

    def _begun(self, followed: _Followed, count: int) -> None:
        self.in_flight += count
        followed.credit -= count
        if followed.credit < 0:  # pipelined: the tap counted one for all of them
            self.books.pipelined(-followed.credit)
            followed.credit = 0
        if self._sampled and followed.streams is None:
            followed.begun_heads_only.extend([followed.heads_only] * count)

    def _finished(self, followed: _Followed, finished: Sequence[Exchange | Message]) -> None:
        for item in finished:
            if type(item) is Message:
                try:
                    self._message_sink(item)
                except Exception:  # costs this message; its stream is settled when it ends
                    self.faults += 1
                continue
            assert isinstance(item, Exchange)
            self.in_flight -= 1
            heads_only = followed.begun_heads_only.popleft() if followed.begun_heads_only else item.heads_only
            try:
                self._sink(item, heads_only, self.books)
            except Exception:  # the sink settles an exchange last, so this one still is to be settled
                self.faults += 1
                self.books.dropped("fault")

    def _settle(self, followed: _Followed) -> None:
        """Put into the books what the reader has given up on since the last time."""
        connection = followed.connection
        for reason, total in connection.losses.items():
            count = total - followed.counted.get(reason, 0)
            if not count:
                continue
            followed.counted[reason] = total
            self.in_flight -= count
            self._give_up(reason, count)
        if connection.state == "tunnel":
            self.books.unobservable(connection.tunnel_reason or "not_http", followed.credit)
            followed.credit = 0
        elif connection.state == "broken":
            self._give_up(connection.broken_reason or "bad_request", followed.credit)
            followed.credit = 0

    def _give_up(self, reason: str, count: int) -> None:
        """*count* exchanges that the reader lost; bytes that are missing are missing by our choice."""
        if reason == "gap":
            self.books.dropped("ring_full", count)
        else:
            self.books.undecodable(reason, count)

    def _resync(self, followed: _Followed, direction: int | None = None) -> None:
        """Bytes (of one *direction*, or of both) are missing before the next ones."""
        begun = followed.connection.begun
        if followed.streams is None:
            followed.connection.resync()
        else:
            followed.streams.resync(direction)
            for other in (0, 1) if direction is None else (direction,):
                followed.blind[other] = True
        self._begun(followed, followed.connection.begun - begun)  # a half-read head, begun and lost at once
        followed.begun_heads_only.clear()
        self._settle(followed)
        if followed.credit and direction != ANSWER:  # counted, and cut before its head was complete
            self.books.dropped("ring_full", followed.credit)
            followed.credit = 0

    def _rare(self, kind: int, number: int, time: int, size: int, payload: memoryview) -> None:
        if kind == Kind.RESET:
            for other in list(self._connections):
                self._forget(other, "tap_restart")
            return
        if kind in (Kind.STREAM_SHED, Kind.STREAM_HEADS_ONLY):
            streams = self._frames(number).streams
            assert streams is not None
            (streams.shed if kind == Kind.STREAM_SHED else streams.heads_only)(size)
            return
        followed = self._connections.get(number)
        if followed is None:
            return
        if kind == Kind.CLOSE:
            begun = followed.connection.begun
            finished = followed.connection.close(time)
            self._begun(followed, followed.connection.begun - begun)
            self._finished(followed, finished)
            self._settle(followed)
            self.books.ignored("continuation", followed.credit)
            del self._connections[number]
        elif kind == Kind.LOST:
            self._resync(followed)
        elif kind >= Kind.REQUEST_TABLE:
            if followed.streams is not None and not followed.blind[kind - Kind.REQUEST_TABLE]:
                followed.streams.restore(kind - Kind.REQUEST_TABLE, bytes(payload))
        elif not followed.blind[kind - Kind.REQUEST_SKIPPED]:
            self._receive(followed, kind - Kind.REQUEST_SKIPPED, memoryview(b""), size, time)

    def _forget(self, number: int, reason: DroppedReason) -> None:
        """Drop connection *number* and what is under way on it, for *reason*."""
        followed = self._connections.pop(number)
        connection = followed.connection
        open_exchanges = connection.open_exchanges
        connection.resync()  # gives back what it held
        self.in_flight -= open_exchanges
        self.books.dropped(reason, open_exchanges + followed.credit)

    def _fault(self, number: int) -> None:
        """A fault of ours: forget the connection until its next exchange begins."""
        self.faults += 1
        if number in self._connections:
            self._forget(number, "fault")
