"""The replay: each flight is one HTTP request, sent when the simulated clock reaches its departure.

Promises: requests keep the flights' order and times as long as the server keeps up, and `late` says how
often it did not; a failed request is counted and never repeated; `stop` returns within seconds.
"""

from __future__ import annotations

import http.client
import queue
import select
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from sidecar.demo.flights import Flight, request_body
from sidecar.demo.process import LOOPBACK
from sidecar.demo.servers import MODEL

CONNECTIONS = 8
"""Kept open; MLServer answers 170 single flights a second however many connections there are."""

TIMEOUT_SECONDS = 10.0

LATE_SECONDS = 900.0
"""Simulated. Three slots of five minutes: then a request counts to a noticeably other time of day."""


@dataclass(frozen=True, slots=True)
class SimulatedClock:
    """The sidecar's clock, read once: both run on this machine's monotonic clock, so they stay together.

    >>> SimulatedClock(now=1000.0, rate=60.0, read_at=5.0).at(7.0)
    1120.0
    """

    now: float
    """Unix seconds, simulated, at *read_at*."""
    rate: float
    read_at: float
    """Monotonic seconds."""

    def at(self, monotonic: float) -> float:
        """Simulated Unix seconds at *monotonic* seconds."""
        return self.now + (monotonic - self.read_at) * self.rate

    def until(self, moment: float) -> float:
        """Real seconds from now to the simulated *moment*; negative when it is past."""
        return (moment - self.at(time.monotonic())) / self.rate


class Replay:
    """Sends *flights* to the loopback *port*; those that depart at *fault_at* or later with the fault.

    Use as a context manager: leaving it stops the threads.
    """

    def __init__(self, flights: Sequence[Flight], port: int, clock: SimulatedClock, fault_at: float) -> None:
        self._flights = flights
        self._port = port
        self._clock = clock
        self._fault_at = fault_at
        self._due: queue.SimpleQueue[Flight | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._dispatch, name="replay", daemon=True),
            *(
                threading.Thread(target=self._send_all, name=f"replay-{i}", daemon=True)
                for i in range(CONNECTIONS)
            ),
        ]
        # Written by the threads, under the lock.
        self.sent = 0
        self.failed = 0
        self.skipped = 0
        """Flights that had departed before the replay began."""
        self.error = ""
        """What the first failed request met."""
        self.late = 0
        """Requests sent more than `LATE_SECONDS` after their flight's departure."""

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def finished(self) -> bool:
        """Whether every flight was sent and answered."""
        return not any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """End early: what is under way is answered or times out."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(TIMEOUT_SECONDS + 1)

    def _dispatch(self) -> None:
        begun = False
        for flight in self._flights:
            seconds = self._clock.until(flight.time)
            # What departed before we began would be sent at a wrong time of day, so it is left out;
            # a minute is what departures are rounded to (17 ms at 3,600 ×).
            if not begun and seconds * self._clock.rate < -60:
                self.skipped += 1
                continue
            begun = True
            if seconds > 0 and self._stopping.wait(seconds):
                break
            self._due.put(flight.in_kilometres() if flight.time >= self._fault_at else flight)
        for _ in range(CONNECTIONS):
            self._due.put(None)

    def _send_all(self) -> None:
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=TIMEOUT_SECONDS)
        while (flight := self._due.get()) is not None and not self._stopping.is_set():
            lag = -self._clock.until(flight.time) * self._clock.rate
            error = _send(connection, flight)
            with self._lock:
                self.sent += 1
                self.late += lag > LATE_SECONDS
                if error:
                    self.failed += 1
                    self.error = self.error or error
        connection.close()


def _send(connection: http.client.HTTPConnection, flight: Flight) -> str:
    """Ask about one flight; what went wrong, or an empty text."""
    if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
        connection.close()  # the server has closed it meanwhile, as MLServer does after 5 idle seconds
    try:
        connection.request(
            "POST",
            f"/v2/models/{MODEL}/infer",
            request_body([flight]),
            {"Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return f"{type(error).__name__}: {error}"
    # Not the body: servers echo what they were sent (MLflow does), and this goes to a terminal.
    return "" if answer.status == 200 else f"status {answer.status}, {len(body)} bytes"
