"""Copying: which bytes of which connection go into the ring, decided where they pass.

Promises: never waits, never raises into the forwarding (the tap guards it), constant memory per
connection. An exchange is copied whole or not at all: the decision is made where it begins (`sidecar.draws`).

Over HTTP/1 the unit is found without parsing. Bytes from the client that follow bytes from the server, and
that look like a method, begin an exchange. That is wrong in two cases, which the recorder (it parses) puts
right in the books: several pipelined requests count as one here (the recorder adds `Recorder.EXTRA`), and
the rest of a request body that comes after an early answer and happens to begin like a method counts as one
more. A connection that begins with HTTP/2's preface is walked by its frames instead (`sidecar.frames`).

Of each run of bytes in one direction the first `Draws.limit` are copied; of the others it is told how many
there were. Interim answers (100, 103) make more runs of one exchange, and a tunnel makes them without end:
from the second turn without a new request on, each run may take half as much as the one before it, so that
one exchange puts less than four limits of each direction into the ring, and 24 bytes for each read beyond.
"""

from __future__ import annotations

from collections import deque

from sidecar.draws import HEADS, SHED, Draws
from sidecar.frames import WHOLE_BYTES, Frames, FrameWalk, count
from sidecar.framing import PREFACE
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
_EVENT = b"\ndata: "

EARLY_BYTES = 4096
"""Kept of a server that speaks before its client has: gRPC's sends its SETTINGS (40 bytes) when it accepts,
and only the client's preface tells that they are frames."""

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
        "early",
        "frames",
        "gap",
        "generation",
        "head_only",
        "left",
        "limit",
        "number",
        "off",
        "seeking",
        "turned",
    )

    def __init__(self, number: int, generation: int) -> None:
        # Per connection
        self.number = number
        self.begun = False
        self.off = False
        self.generation = generation
        self.gap = False
        self.frames: Frames | None = None
        """Where it stands in its frames, when it is HTTP/2."""
        self.early: bytes | None = b""
        """What the server said before the client; None when it was too much to keep."""
        # Per exchange
        self.dropping = False
        self.head_only = False
        self.limit = 0
        self.turned = False
        # Per run of bytes in one direction
        self.direction = ANSWER
        """Who spoke last; over HTTP/2 without what only the transport needs (`sidecar.frames`)."""
        self.left = 0
        self.seeking = False


class Copier:
    """Puts one tap's traffic into its ring; the arguments are those of `Draws`."""

    def __init__(
        self,
        ring: RingWriter,
        words: Words,
        sampling: float,
        body_limit: int,
        large_sampling: float = 0.0,
        large_limit: int = 0,
    ) -> None:
        self._put = ring.put
        self._words = words
        self._draws = Draws(ring, words, sampling, body_limit, large_sampling, large_limit)
        self._draw = self._draws.draw
        self._limit = self._draws.limit
        self._generation = 0
        self._notes: deque[tuple[int, int]] = deque()
        self._next = 0
        self._walk = FrameWalk(ring, words, self._draws, self._resume, self._note)

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
        if flow.frames is not None:
            self._walk.forget(flow.frames)
        self._note(Kind.CLOSE, flow.number, now)

    def data(self, flow: Flow, direction: int, data: bytes, now: int) -> None:
        """*data* has just been forwarded."""
        frames = flow.frames
        if frames is not None:
            self._frames(flow, frames, direction, data, now)
            return
        flags = 0
        if direction != flow.direction:
            flow.direction = direction
            if direction == ANSWER:
                flow.left = flow.limit
            elif not flow.begun:
                # The first bytes of a connection always begin something, be it TLS.
                flow.begun = True
                if self._first(flow, data, now):
                    return
                flags = self._begin(flow, self._draw(), now)
            elif data[:4] in METHODS or begins_request(data):
                limit = self._draw()
                if limit == SHED or flow.gap or self._notes or flow.generation != self._generation:
                    flags = self._begin(flow, limit, now)
                else:  # the usual, as `_begin` does it, without a call
                    flow.dropping = flow.turned = flow.seeking = False
                    if limit == HEADS:
                        flow.head_only = True
                        flow.limit = flow.left = self._limit
                        flags = START | HEADS_ONLY
                    else:
                        flow.head_only = False
                        flow.limit = flow.left = limit
                        flags = START
            else:
                self._turn(flow)
            if flow.head_only:
                flow.seeking = flow.left > 0
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
            if not self._put(direction, flags, flow.number, now, 0, data):
                self._cut(flow, flags, now)
                return
        else:
            if not flow.begun and flow.early is not None:
                flow.early += data
                length = len(flow.early)
                if length <= EARLY_BYTES:
                    return
                flow.early = None
            elif left and direction == ANSWER and not flow.head_only and _EVENT in data:
                # Tokens as they come are no tensor: small reads over a long time, and what tells how many
                # they were stands at the end. Looked for only where an answer would be cut.
                more, flow.limit = self._draws.most - flow.limit, self._draws.most
                if more:
                    flow.left = left + more
                    self.data(flow, direction, data, now)
                    return
            flow.left = 0
            if (left or flags) and not self._put(direction, flags, flow.number, now, 0, data[:left]):
                self._cut(flow, flags, now)
                return
            if not self._put(Kind.REQUEST_SKIPPED + direction, 0, flow.number, now, length - left, b""):
                self._cut(flow, 0, now)
                return
        if flags:
            flow.gap = False

    def fault(self, flow: Flow, now: int) -> None:
        """A fault of ours: forward this connection without a copy from now on, and count its exchanges."""
        self._words[Tap.COPY_ERRORS] += 1
        flow.off = True
        if flow.frames is not None:
            self._walk.forget(flow.frames)
        self._note(Kind.LOST, flow.number, now)

    def uncopied(self, flow: Flow, direction: int, data: bytes) -> None:
        """Count what passes on a connection without a copy."""
        if flow.frames is not None:
            flow.direction = direction
            self._words[Tap.DROPPED_FAULT] += count(flow.frames, direction, data)
        elif direction != flow.direction:
            flow.direction = direction
            if direction == REQUEST:
                if not flow.begun and data.startswith(PREFACE[:3]):
                    flow.begun = True
                    flow.frames = Frames()
                    self.uncopied(flow, direction, data)
                elif begins_request(data):
                    flow.begun = True
                    self._words[Tap.DROPPED_FAULT] += 1

    def flush(self, now: int) -> None:
        """Write down what had to wait for room in the ring; called now and then."""
        notes, put = self._notes, self._put
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

    def _begin(self, flow: Flow, limit: int, now: int) -> int:
        """An exchange begins, for which *limit* was drawn: the flags of its first record."""
        if flow.generation != self._generation:
            flow.generation = self._generation
            flow.gap = True
        if self._notes:  # they tell of what came before, so they must be read before
            self.flush(now)
        flow.turned = flow.seeking = False
        flow.dropping = limit == SHED or bool(self._notes)
        if flow.dropping:
            self._words[Tap.DROPPED_PRESSURE] += 1
            flow.gap = True
            return 0
        flow.head_only = limit == HEADS
        flow.limit = flow.left = limit or self._limit
        return START | (GAP if flow.gap else 0) | (HEADS_ONLY if flow.head_only else 0)

    def _turn(self, flow: Flow) -> None:
        """The client goes on after bytes from the server, without beginning another exchange."""
        if flow.turned:
            flow.limit >>= 1
        flow.turned = True
        flow.left = 0 if flow.head_only else flow.limit

    def _first(self, flow: Flow, data: bytes, now: int) -> bool:
        """The client's first bytes on a connection: whether they were copied, as frames."""
        early, flow.early = flow.early, b""
        if early is None or not data.startswith(PREFACE[:3]):
            if early and not self._put(Kind.ANSWER_SKIPPED, 0, flow.number, now, len(early), b""):
                self._cut(flow, 0, now)
            return False
        flow.frames = frames = self._walk.begin()
        if self._notes:
            self.flush(now)
            if self._notes:  # OPEN may be among them, and nothing may be read before it
                self._walk.lose(frames)
        if early:
            self._frames(flow, frames, ANSWER, early, now)
        # The preface in a record of its own, for who attaches behind it: what follows begins with a frame.
        self._frames(flow, frames, REQUEST, data[: len(PREFACE)], now)
        if len(data) > len(PREFACE):
            self._frames(flow, frames, REQUEST, data[len(PREFACE) :], now)
        return True

    def _frames(self, flow: Flow, frames: Frames, direction: int, data: bytes, now: int) -> None:
        """*data* of a connection that is HTTP/2."""
        if flow.generation != self._generation:
            flow.generation = self._generation
            self._walk.lose(frames)
        if not self._walk.data(frames, flow.number, direction, data, now):
            self.fault(flow, now)
        flow.direction = frames.spoke

    def _resume(self, now: int) -> bool:
        """Whether what was lost is told, so that a connection of frames may be copied again."""
        if self._notes:
            self.flush(now)
        return not self._notes

    def _cut(self, flow: Flow, flags: int, now: int) -> None:
        """The ring is full in the middle of an exchange."""
        flow.dropping = flow.gap = True
        if flags & START:  # nothing of it was put, so it was not counted as begun either
            self._words[Tap.DROPPED_PRESSURE] += 1
        else:
            self._note(Kind.LOST, flow.number, now)

    def _note(self, kind: int, number: int, now: int) -> None:
        if self._notes or not self._put(kind, 0, number, now, 0, b""):
            self._notes.append((kind, number))
            if len(self._notes) > NOTES_LIMIT:
                self.reset(now)
