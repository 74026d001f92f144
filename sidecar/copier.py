"""Copying: which bytes of which connection go into the ring, decided where they pass.

Promises: never waits, never raises into the forwarding (the tap guards it), constant memory per
connection. An exchange is copied whole or not at all: the decision is made where it begins.

The unit is found without parsing. Bytes from the client that follow bytes from the server, and that look
like a method, begin an exchange. That is wrong in two cases, which the recorder (it parses) puts right in
the books: several pipelined requests count as one here (the recorder adds `Recorder.EXTRA`), and the rest
of a request body that comes after an early answer and happens to begin like a method counts as one more.
"""

from __future__ import annotations

import random
from collections import deque

from sidecar.ring import GAP, HEADS_ONLY, START, Kind, RingWriter
from sidecar.words import Tap, Words

REQUEST, ANSWER = 0, 1

METHODS = frozenset(
    method[:4].ljust(4) for method in
    (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT", b"PRI")
)  # fmt: skip
"""First four bytes of RFC 9110's methods, PATCH (RFC 5789), and HTTP/2's preface. Four, because a first
segment is never shorter in practice, and shorter ones are compared as far as they go."""

_HEAD_END = b"\r\n\r\n"

WHOLE_BYTES = 2048
"""Of an exchange that is not drawn, first segments up to this size are copied whole: cutting costs the tap
4.1 µs an exchange where copying costs 2.1, and the recorder 10.9 where it costs 8.1 (measured)."""

NOTES_LIMIT = 65_536
"""Notes about closed connections that wait for room in the ring; beyond, readers are told to forget all
connections instead. 65,536 notes are 5 MB and mean that the recorder has been away for long."""


def begins_request(data: bytes) -> bool:
    """Whether *data* may be the beginning of a request.

    >>> begins_request(b"POST /v2/models/m/infer"), begins_request(b'{"inputs"'), begins_request(b"PO")
    (True, False, True)
    """
    first = data[:4]
    if len(first) == 4:
        return first in METHODS
    return any(method.startswith(first) for method in METHODS)


class Flow:
    """One client's connection as the copier sees it."""

    __slots__ = (
        "begun",
        "direction",
        "dropping",
        "gap",
        "generation",
        "head_only",
        "left",
        "number",
        "off",
        "seeking",
    )

    def __init__(self, number: int, generation: int) -> None:
        # Per connection
        self.number = number
        self.begun = False
        self.off = False
        self.generation = generation
        self.gap = False
        # Per exchange
        self.dropping = False
        self.head_only = False
        # Per run of bytes in one direction
        self.direction = ANSWER
        self.left = 0
        self.seeking = False


class Copier:
    """Puts one tap's traffic into its ring.

    *sampling* is the share of exchanges copied with their bodies; of the others only the heads are.
    *body_limit* is how many bytes of each run of one direction are copied.
    """

    def __init__(self, ring: RingWriter, words: Words, sampling: float, body_limit: int) -> None:
        self._ring = ring
        self._words = words
        self._sampling = sampling
        # A single record must leave room for others, however small the ring.
        self._limit = min(body_limit, ring.size // 8)
        # Exchanges begin while this much is free, so that those under way can be finished: with 1/8 of
        # 16 MiB none of 792,664 exchanges was cut in the middle (measured, recorder stopped under load).
        self._reserve = ring.size // 8
        self._generation = 0
        self._notes: deque[tuple[int, int]] = deque()
        self._next = 0

    def open(self, now: int) -> Flow:
        """A client has connected."""
        self._next = (self._next + 1) & 0x7FFFFFFF
        self._words[Tap.CONNECTIONS_OPENED] += 1
        flow = Flow(self._next, self._generation)
        self._note(Kind.OPEN, flow.number, now)
        return flow

    def close(self, flow: Flow, now: int) -> None:
        """Both sides of a connection have ended."""
        self._words[Tap.CONNECTIONS_CLOSED] += 1
        self._note(Kind.CLOSE, flow.number, now)

    def data(self, flow: Flow, direction: int, data: bytes, now: int) -> None:
        """*data* has just been forwarded."""
        flags = 0
        if direction != flow.direction:
            flow.direction = direction
            flow.left = self._limit
            if direction == REQUEST:
                # The first bytes of a connection always begin something, be it TLS.
                if not flow.begun or begins_request(data):
                    flow.begun = True
                    flags = self._begin(flow, now)
                elif flow.head_only:
                    flow.left = 0
            flow.seeking = flow.head_only and flow.left > 0
        if flow.dropping:
            return
        if flow.seeking:
            end = data.find(_HEAD_END)
            if end >= 0:
                # A small message is copied whole: cutting it makes two records of one.
                head = len(data) if len(data) <= WHOLE_BYTES else end + len(_HEAD_END)
                flow.left = min(flow.left, head)
                flow.seeking = False
        length, left = len(data), flow.left
        if length <= left:
            flow.left = left - length
            if not self._ring.put(direction, flags, flow.number, now, 0, data):
                self._cut(flow, flags, now)
                return
        else:
            flow.left = 0
            if (left or flags) and not self._ring.put(direction, flags, flow.number, now, 0, data[:left]):
                self._cut(flow, flags, now)
                return
            if not self._ring.put(Kind.REQUEST_SKIPPED + direction, 0, flow.number, now, length - left, b""):
                self._cut(flow, 0, now)
                return
        if flags:
            flow.gap = False

    def fault(self, flow: Flow, now: int) -> None:
        """A fault of ours: forward this connection without a copy from now on, and count its exchanges."""
        words = self._words
        words[Tap.COPY_ERRORS] += 1
        flow.off = True
        self._note(Kind.LOST, flow.number, now)

    def uncopied(self, flow: Flow, direction: int, data: bytes) -> None:
        """Count what passes on a connection without a copy."""
        if direction != flow.direction:
            flow.direction = direction
            if direction == REQUEST and begins_request(data):
                self._words[Tap.DROPPED_FAULT] += 1

    def flush(self, now: int) -> None:
        """Write down what had to wait for room in the ring; called now and then."""
        notes, put = self._notes, self._ring.put
        while notes:
            kind, number = notes[0]
            if not put(kind, 0, number, now, 0, b""):
                return
            notes.popleft()

    def reset(self, now: int) -> None:
        """Tell the reader to forget all connections."""
        self._generation += 1
        self._notes.clear()
        self._note(Kind.RESET, 0, now)

    def _begin(self, flow: Flow, now: int) -> int:
        """Decide over the exchange that begins: the flags of its first record."""
        flow.head_only = self._sampling < 1.0 and random.random() >= self._sampling
        if flow.generation != self._generation:
            flow.generation = self._generation
            flow.gap = True
        if self._notes:  # they tell of what came before, so they must be read before
            self.flush(now)
        if self._notes or self._ring.free() < self._reserve:
            self._words[Tap.DROPPED_PRESSURE] += 1
            flow.dropping = flow.gap = True
            return 0
        flow.dropping = False
        return START | (GAP if flow.gap else 0) | (HEADS_ONLY if flow.head_only else 0)

    def _cut(self, flow: Flow, flags: int, now: int) -> None:
        """The ring is full in the middle of an exchange."""
        flow.dropping = flow.gap = True
        if flags & START:  # nothing of it was put, so it was not counted as begun either
            self._words[Tap.DROPPED_PRESSURE] += 1
        else:
            self._note(Kind.LOST, flow.number, now)

    def _note(self, kind: int, number: int, now: int) -> None:
        if self._notes or not self._ring.put(kind, 0, number, now, 0, b""):
            self._notes.append((kind, number))
            if len(self._notes) > NOTES_LIMIT:
                self.reset(now)
