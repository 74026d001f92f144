"""Watched: what a middleware is made with, and a request with its answer as they pass it.

Promises: a body above the limit, or any while the recorder has no room, is not kept; an exchange is recorded
once, and a fault of ours there is counted and never raised.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from sidecar.client.capture import BODY_BYTES, Capture
from sidecar.client.recorder import Recorder, Seen

Application = TypeVar("Application")


class Middleware(Generic[Application]):
    """What both are made with; as `sidecar.client.asgi` says."""

    def __init__(
        self,
        app: Application,
        recorder: Recorder,
        paths: Iterable[str] | None = None,
        limit: int = BODY_BYTES,
    ) -> None:
        self._app = app
        self._recorder = recorder
        self._paths = None if paths is None else tuple(paths)
        self._limit = limit

    def _takes(self, path: str) -> bool:
        """Whether requests for *path* are recorded."""
        return self._paths is None or path.startswith(self._paths)


class Watched:
    """One request and its answer."""

    def __init__(self, recorder: Recorder, path: str, headers: Mapping[str, str], limit: int) -> None:
        self._recorder = recorder
        self._seen = Seen("POST", path, headers)
        self._began = time.perf_counter()
        # Without room nothing is kept; the recorder counts the exchange as dropped in the end.
        limit = limit if recorder.room else 0
        self._request = Capture(limit)
        self._response = Capture(limit)
        self._status = 0
        self._asked = False
        """The application has read all of the request."""
        self._answered = False
        """All of the answer has passed."""
        self._broken = False
        """The client was gone before that."""
        self._recorded = False

    def failed(self) -> None:
        """The application raised: before an answer begins the server makes it a 500."""
        if not self._status and not self._broken:
            self._status = 500
            self._answered = True

    def end(self) -> None:
        """Record it, once."""
        if self._recorded:
            return
        self._recorded = True
        try:
            seen = self._seen
            seen.seconds = seen.seconds or time.perf_counter() - self._began
            seen.request_body, seen.response_body = self._request.body, self._response.body
            seen.request_complete = self._request.complete and self._asked
            seen.response_complete = self._response.complete
            seen.status = self._status if self._answered and not self._broken else 0
            self._recorder.record_exchange(seen)
        except Exception:
            self._recorder.lost()
