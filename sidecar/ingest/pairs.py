"""Pairs: the two halves of an exchange come in one by one, in any order, and leave together.

The unit of the books is the exchange, told by what its two events have in common. Promises: every unit is
counted once as seen, when its first half comes in, and settled once, however its halves come: late, twice,
never, refused first and sent again; what waits is bounded in count, bytes and age; what is counted outlives
the process, and so do the units themselves, so that the answer to a request that a killed recorder took with
it is not taken for another exchange.

==============================  ==========================================================================
what comes                      what becomes of the unit
==============================  ==========================================================================
both halves                     handed to the recorder
one half, for `Bounds.seconds`  ``dropped{reason="unpaired"}``; sooner, when its room is needed
a half that is refused          503; ``dropped{reason="pressure"}`` unless it is sent again in time
a half once more, or late       nothing: counted as an event only
==============================  ==========================================================================
"""

from __future__ import annotations

import mmap
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from exporter.views import LawView
from sidecar.books import Books
from sidecar.exchange import Exchange
from sidecar.ingest.event import Event
from sidecar.words import DOOR_UNITS, PAGE, Door, Tap, words

ENTRY_BYTES = 512
"""What a half costs beside its body."""

EVENT_RESULTS = ("accepted", "duplicate", "other", "refused", "malformed", "too_large")
"""What became of events: taken; a half that was there already, or whose unit was settled; not of an inference
(feedback, say); answered 503; not readable; larger than is read. The last two count requests of HTTP."""

_SECOND = 1_000_000_000
_LONGEST_SECONDS = 86_400.0


@dataclass(frozen=True)
class Bounds:
    """What may wait: half of it for the other half, half of it for the recorder."""

    entries: int = 10_000
    """In each."""
    bytes: int = 64 << 20
    """In both together."""
    seconds: float = 120.0


class _Unit:
    """An exchange of which something is missing."""

    __slots__ = ("arrived", "refused", "request", "response", "size")

    def __init__(self, arrived: int) -> None:
        self.arrived = arrived
        self.request: Event | None = None
        self.response: Event | None = None
        self.size = ENTRY_BYTES
        self.refused = False


class Pairs:
    """Takes events from the threads of the listener, gives exchanges to the recorder's loop."""

    def __init__(
        self,
        memory: mmap.mmap,
        bounds: Bounds = Bounds(),
        monotonic: Callable[[], int] = time.monotonic_ns,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._words = words(memory)
        self._ring = memoryview(memory)[PAGE : PAGE + 8 * DOOR_UNITS].cast("Q")
        self._bounds = bounds
        self._monotonic = monotonic
        self._wall = wall
        self._lock = threading.Lock()
        """Held for microseconds; parsing is done before, decoding after."""
        self.books = Books(self._words, "ingest")
        self._counted: set[int] = set()
        """Units in the ring, 6 MB."""
        self._open: OrderedDict[int, _Unit] = OrderedDict()
        """By unit, the oldest first."""
        self._open_bytes = 0
        self._ready: deque[tuple[_Unit, int]] = deque()
        self._ready_bytes = 0

    def attach(self, first: bool) -> int:
        """Settle what a recorder before us left, and know its units; returns how many it had not settled."""
        with self._lock:
            if first:
                return 0
            begun = self._words[Tap.COPIED]
            last = range(max(0, begun - len(self._ring)), begun)
            self._counted = {self._ring[number % len(self._ring)] for number in last}
            lost = self.books.begun() - self.books.settled()
            self.books.dropped("recorder_restart", lost)
            return lost

    # In, from any thread

    def accept(self, events: Iterable[Event]) -> bool:
        """Take all of *events*, or none when the recorder has too much to do already."""
        events = list(events)
        with self._lock:
            now = self._monotonic()
            self._expire(now)
            # What is taken alone may be above the bounds: a request is never refused for ever.
            if self._ready and not self._fits(events):
                self._refuse(events, now)
                return False
            for event in events:
                self._put(event, now)
            return True

    def count(self, result: str, count: int = 1) -> None:
        """Count *count* events as one of `EVENT_RESULTS`."""
        with self._lock:
            self._words[Door.EVENTS + EVENT_RESULTS.index(result)] += count

    def _fits(self, events: list[Event]) -> bool:
        """Whether the exchanges that *events* complete have room in the queue."""
        entries, size = len(self._ready), self._ready_bytes
        found: dict[int, tuple[set[str], int]] = {}
        for event in events:
            halves, weight = found.get(event.unit) or self._known(event.unit)
            if event.half not in halves:
                halves, weight = {*halves, event.half}, weight + ENTRY_BYTES + len(event.body)
                if len(halves) == 2:
                    entries += 1
                    size += weight
            found[event.unit] = halves, weight
        return entries <= self._bounds.entries and size <= self._bounds.bytes // 2

    def _known(self, number: int) -> tuple[set[str], int]:
        """The halves that unit *number* needs no more, and its size so far."""
        unit = self._open.get(number)
        if unit is not None:
            return {half for half in ("request", "response") if _half(unit, half) is not None}, unit.size
        return ({"request", "response"} if number in self._counted else set()), ENTRY_BYTES

    def _put(self, event: Event, now: int) -> None:
        unit = self._open.get(event.unit)
        if unit is None:
            if event.unit in self._counted:
                self._count_one("duplicate")
                return
            unit = self._begin(event.unit, now)
        if _half(unit, event.half) is not None:
            self._count_one("duplicate")
            return
        self._count_one("accepted")
        size = ENTRY_BYTES + len(event.body)
        unit.size += size
        self._open_bytes += size
        if event.half == "request":
            unit.request = event
        else:
            unit.response = event
        if unit.request is not None and unit.response is not None:
            del self._open[event.unit]
            self._open_bytes -= unit.size
            self._ready.append((unit, now))
            self._ready_bytes += unit.size
            return
        while self._open_bytes > self._bounds.bytes // 2 and len(self._open) > 1:
            self._give_up()

    def _refuse(self, events: list[Event], now: int) -> None:
        """Remember the units: nobody knows yet whether their sender will try again."""
        for event in events:
            self._count_one("refused")
            unit = self._open.get(event.unit)
            if unit is None and event.unit not in self._counted:
                unit = self._begin(event.unit, now)
            if unit is not None:
                unit.refused = True

    def _begin(self, number: int, now: int) -> _Unit:
        """Count a unit as seen: its number first, then the word that makes both valid at once."""
        while len(self._open) >= self._bounds.entries:
            self._give_up()
        begun = self._words[Tap.COPIED]
        at = begun % len(self._ring)
        if begun >= len(self._ring):
            self._counted.discard(self._ring[at])
        self._ring[at] = number
        self._counted.add(number)
        self._words[Tap.COPIED] = begun + 1
        unit = self._open[number] = _Unit(now)
        self._open_bytes += unit.size
        return unit

    def _give_up(self) -> None:
        """Settle the unit that has waited longest."""
        _, unit = self._open.popitem(last=False)
        self._open_bytes -= unit.size
        self.books.dropped("pressure" if unit.refused else "unpaired")

    def _count_one(self, result: str) -> None:
        self._words[Door.EVENTS + EVENT_RESULTS.index(result)] += 1

    # Out, from the recorder's loop

    def drain(self, limit: int) -> list[Exchange]:
        """Up to *limit* exchanges that are whole; the caller settles each in `books`."""
        with self._lock:
            taken = [self._ready.popleft() for _ in range(min(limit, len(self._ready)))]
            self._ready_bytes -= sum(unit.size for unit, _ in taken)
            now, wall = self._monotonic(), self._wall()
        return [self._exchange(unit, completed, now, wall) for unit, completed in taken]

    def expire(self) -> None:
        """Give up on what has waited for longer than `Bounds.seconds`."""
        with self._lock:
            self._expire(self._monotonic())

    def _expire(self, now: int) -> None:
        oldest = now - int(self._bounds.seconds * _SECOND)
        while self._open and next(iter(self._open.values())).arrived < oldest:
            self._give_up()

    def _exchange(self, unit: _Unit, completed: int, now: int, wall: float) -> Exchange:
        request, response = unit.request, unit.response
        assert request is not None
        assert response is not None
        started = self._moment(request, unit.arrived, now, wall)
        ended = completed
        if request.time is not None and response.time is not None:
            # One clock, the logger's: the difference is right however that clock is set, unless it was set
            # meanwhile. One answer after 100 years would be the sum of all durations for ever.
            taken = max(0.0, response.time - request.time)
            if taken <= _LONGEST_SECONDS:
                ended = started + int(taken * 1e9)
        return Exchange(
            "ingest",
            request.method,
            request.path,
            _headers(request),
            request.body,
            response.status,
            _headers(response),
            response.body,
            started=started,
            answered=ended,
            ended=ended,
            request_bytes=len(request.body),
            response_bytes=len(response.body),
            request_body_complete=request.complete,
            response_body_complete=response.complete,
            closed=response.status == 0,
        )

    def _moment(self, event: Event, arrived: int, now: int, wall: float) -> int:
        """When *event* happened, on our monotonic clock.

        A logger's clock is believed when the event is up to `Bounds.seconds` old by it.
        """
        if event.time is None:
            return arrived
        age = wall - event.time
        return now - int(age * 1e9) if 0 <= age <= self._bounds.seconds else arrived

    # What stands in the books

    def view(self) -> LawView:
        """The law as it stands; "in flight" are requests whose answer has not come in."""
        with self._lock:
            waiting = sum(unit.request is not None for unit in self._open.values())
        return self.books.view(waiting)

    def events(self) -> dict[str, int]:
        """Events by `EVENT_RESULTS`."""
        return {result: self._words[Door.EVENTS + number] for number, result in enumerate(EVENT_RESULTS)}

    @property
    def waiting(self) -> int:
        """Bytes that wait."""
        return self._open_bytes + self._ready_bytes


def _half(unit: _Unit, half: str) -> Event | None:
    return unit.request if half == "request" else unit.response


def _headers(event: Event) -> dict[bytes, bytes]:
    fields = (
        (b"content-type", event.content_type),
        (b"content-encoding", event.coding),
        (b"inference-header-content-length", event.json_length),
    )
    return {name: value for name, value in fields if value}
