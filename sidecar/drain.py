"""Drain: how a sidecar leaves the service so that nobody meets a closed door or a cut answer.

A balancer learns late that a replica is leaving: the endpoints of a Kubernetes service reach every node
some seconds after the pod has been asked to end. So readiness goes first, and the door stays open for a
window, whole even when nobody comes; only then are the listening sockets closed and running requests
waited for, and no longer than `finish_seconds`. Connections on which nothing runs do not prolong it.

Pure: time and counts come from the caller (`sidecar.supervisor`), so that a test runs it in no time.
"""

from __future__ import annotations

from enum import IntEnum

QUIET_SECONDS = 0.5
"""Nothing may have been in flight for this long. The recorder tells of its requests every 0.25 s, so one
look may be too early; two are not."""


class Phase(IntEnum):
    """Where the sidecar stands; the supervisor writes it to `Board.DRAINING`, taps and commands read it."""

    SERVING = 0
    ACCEPTING = 1
    """Not ready any more, and still serving whoever comes."""
    DRAINED = 2
    """The window is over and nothing is in flight (or patience is): SIGTERM now ends it at once."""
    CLOSING = 3
    """SIGTERM has come and the window is over: no new connections, running requests finish."""


class Drain:
    """The way from serving to ended.

    >>> drain = Drain(accept_seconds=15, finish_seconds=10)
    >>> drain.begin(100.0), drain.end(100.0)
    (None, None)
    >>> [drain.phase(now, in_flight, 1).name for now, in_flight in ((101, 0), (114, 1), (116, 1), (118, 0))]
    ['ACCEPTING', 'ACCEPTING', 'CLOSING', 'CLOSING']
    >>> drain.phase(118.5, 0, 1).name
    'DRAINED'
    """

    def __init__(self, accept_seconds: float, finish_seconds: float) -> None:
        self._accept_seconds = accept_seconds
        self._finish_seconds = finish_seconds
        self._window_end: float | None = None
        self._patience_end = 0.0
        self._quiet_since: float | None = None
        self.ending = False
        """Whether the process is to end once drained."""

    @property
    def begun(self) -> bool:
        """Whether readiness is off."""
        return self._window_end is not None

    def begin(self, now: float, *, known: bool = True) -> None:
        """Leave the service from *now* on; a second call changes nothing.

        Without a window when nobody can *know* us: never found ready by a probe, and never connected to.
        """
        if self._window_end is None:
            self._window_end = now + (self._accept_seconds if known else 0.0)
            self._patience_end = self._window_end + self._finish_seconds

    def end(self, now: float) -> None:
        """End when drained; requests that run at *now* have their full time."""
        assert self._window_end is not None
        self.ending = True
        self._patience_end = max(self._window_end, now) + self._finish_seconds

    @property
    def patience_end(self) -> float:
        """When running requests are not waited for any more, whatever the counts say."""
        return self._patience_end

    def phase(self, now: float, in_flight: int, connections: int) -> Phase:
        """The phase at *now*, with so many requests in flight on so many open connections."""
        if self._window_end is None:
            return Phase.SERVING
        if in_flight:
            self._quiet_since = None
        elif self._quiet_since is None:
            self._quiet_since = now
        if now < self._window_end:
            return Phase.ACCEPTING
        quiet = self._quiet_since is not None and now - self._quiet_since >= QUIET_SECONDS
        if quiet or connections == 0 or now >= self._patience_end:
            return Phase.DRAINED
        return Phase.CLOSING if self.ending else Phase.ACCEPTING
