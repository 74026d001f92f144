"""A channel's records, followed connection by connection into exchanges, with the books kept.

Promises: each exchange that the tap counted is settled once; whatever the records hold, nothing escapes
(a fault of ours costs one connection, counted). Refuses to know what an exchange means.
"""

from __future__ import annotations

import mmap
from collections import deque
from collections.abc import Callable

from exporter.schema import Limits
from sidecar.books import Books, DroppedReason
from sidecar.exchange import Exchange
from sidecar.ring import GAP, HEADS_ONLY, START, Kind, RingReader
from sidecar.wire.body import Held
from sidecar.wire.http1 import Http1Connection
from sidecar.words import Recorder, words

Sink = Callable[[Exchange, bool, Books], None]
"""Takes a finished exchange, and whether only its heads were copied; settles it in the books."""

ANSWER = int(Kind.ANSWER)
"""The largest kind that carries bytes."""

HELD_BYTES = 16 << 20
"""Bytes of unfinished messages that all connections together may hold."""


class _Followed:
    """One connection as far as it has been read."""

    __slots__ = ("begun_heads_only", "connection", "counted", "credit", "heads_only")

    def __init__(self, connection: Http1Connection) -> None:
        # Per connection
        self.connection = connection
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

    def __init__(self, memory: mmap.mmap, protocol: str, limits: Limits, sampled: bool, sink: Sink) -> None:
        self.protocol = protocol
        page = words(memory)
        self.ring = RingReader(memory)
        self.books = Books(page, protocol)
        self.words = page
        self._limits = limits
        self._sampled = sampled
        self._sink = sink
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
        lost = copied + self.words[Recorder.EXTRA] - self.books.settled()
        self.books.dropped("recorder_restart", lost)
        return lost

    def read(self, limit: int) -> int:
        """Follow about *limit* bytes of records; returns how many records there were."""
        count = 0
        for kind, flags, number, time, size, payload in self.ring.read(limit):
            count += 1
            self.oldest = time
            try:
                if kind <= ANSWER:
                    followed = self._connections.get(number)
                    if flags:
                        followed = self._begin(number, followed, flags)
                    if followed is not None:
                        self._receive(followed, kind, payload, 0, time)
                elif kind == Kind.OPEN:
                    self._connections[number] = _Followed(self._reader())
                else:
                    self._rare(kind, number, time, size)
            except Exception:  # a fault of ours may cost a connection, never the recorder
                self._fault(number)
        return count

    def _reader(self) -> Http1Connection:
        return Http1Connection(self._limits.header_bytes, self._limits.body_bytes, self._held)

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
        if connection.state != "ok" or size:
            self._settle(followed)

    def _begun(self, followed: _Followed, count: int) -> None:
        self.in_flight += count
        followed.credit -= count
        if followed.credit < 0:  # pipelined: the tap counted one for all of them
            self.books.pipelined(-followed.credit)
            followed.credit = 0
        if self._sampled:
            followed.begun_heads_only.extend([followed.heads_only] * count)

    def _finished(self, followed: _Followed, finished: list[Exchange]) -> None:
        self.in_flight -= len(finished)
        for exchange in finished:
            heads_only = followed.begun_heads_only.popleft() if followed.begun_heads_only else False
            try:
                self._sink(exchange, heads_only, self.books)
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

    def _resync(self, followed: _Followed) -> None:
        """Bytes are missing before the next ones."""
        begun = followed.connection.begun
        followed.connection.resync()
        self._begun(followed, followed.connection.begun - begun)  # a half-read head, begun and lost at once
        followed.begun_heads_only.clear()
        self._settle(followed)
        if followed.credit:  # counted by the tap, and cut before its head was complete
            self.books.dropped("ring_full", followed.credit)
            followed.credit = 0

    def _rare(self, kind: int, number: int, time: int, size: int) -> None:
        if kind == Kind.RESET:
            for other in list(self._connections):
                self._forget(other, "tap_restart")
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
        else:
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
