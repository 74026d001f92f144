"""ASGI: a middleware that records what passes.

Promises: every message goes on as it is and when it is, in both directions, before we look at it; exceptions
pass unchanged; scopes other than HTTP, and requests other than POST, are not touched at all; an exception of
ours never reaches the application. What the answer was is told by what the application sent, so a streamed
answer is recorded at its end, and one that the client did not wait for as closed.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import quote

from sidecar.client.capture import BODY_BYTES, Capture
from sidecar.client.recorder import KEPT, Recorder, Seen

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class RecorderMiddleware:
    """*app*, with what passes told to *recorder*.

    *paths* are beginnings of the paths that are recorded; None for all. Bodies above *limit* bytes are not
    kept: such an exchange is counted and timed, its rows are not recorded.
    """

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

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection or request."""
        watched = self._watch(scope)
        if watched is None:
            await self._app(scope, receive, send)
            return

        async def receiving() -> Message:
            message = await receive()
            watched.received(message)
            return message

        async def sending(message: Message) -> None:
            await send(message)
            watched.sent(message)

        try:
            await self._app(scope, receiving, sending)
        except Exception:
            watched.failed()
            raise
        finally:
            watched.end()

    def _watch(self, scope: MutableMapping[str, Any]) -> _Watched | None:
        try:
            if scope["type"] != "http" or scope["method"] != "POST":
                return None
            if self._paths is not None and not scope["path"].startswith(self._paths):
                return None
            return _Watched(self._recorder, scope, self._limit)
        except Exception:  # ours, or a server that is none
            self._recorder.lost()
            return None


class _Watched:
    """One request and its answer."""

    def __init__(self, recorder: Recorder, scope: MutableMapping[str, Any], limit: int) -> None:
        self._recorder = recorder
        path = scope.get("raw_path")
        text = path.decode("latin-1") if path else quote(scope["path"])
        query = scope.get("query_string")
        if query:
            text += "?" + query.decode("latin-1")
        self._seen = Seen("POST", text.partition("#")[0], _kept(scope["headers"]))
        self._began = time.perf_counter()
        # Without room nothing is kept; the recorder counts the exchange as dropped in the end.
        self._request = Capture(limit if recorder.room else 0)
        self._response = Capture(limit if recorder.room else 0)
        self._asked = self._answered = False
        self._status = 0
        self._broken = False

    def received(self, message: Message) -> None:
        """The application has got *message*."""
        try:
            if message["type"] == "http.request":
                self._request.add(message.get("body", b""))
                self._asked = self._asked or not message.get("more_body", False)
            elif message["type"] == "http.disconnect" and not self._answered:
                self._broken = True
        except Exception:
            self._request.cut()

    def sent(self, message: Message) -> None:
        """The server has taken *message*."""
        try:
            kind = message["type"]
            if kind == "http.response.start":
                self._status = int(message["status"])
                self._seen.response_headers = _kept(message.get("headers", ()))
            elif kind == "http.response.body":
                self._response.add(message.get("body", b""))
                if not message.get("more_body", False):
                    self._answered = True
                    self._seen.seconds = time.perf_counter() - self._began
            elif kind in ("http.response.pathsend", "http.response.zerocopysend"):
                self._response.cut()  # the server reads the file
                self._answered = not message.get("more_body", False)
        except Exception:
            self._response.cut()

    def failed(self) -> None:
        """The application raised: before an answer begins the server makes it a 500."""
        if not self._status and not self._broken:
            self._status = 500
            self._answered = True

    def end(self) -> None:
        """Record it."""
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


def _kept(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Those of `KEPT`, repeated ones joined."""
    found: dict[str, str] = {}
    for name, value in headers:
        key = bytes(name).decode("latin-1").lower()
        if key in KEPT:
            text = bytes(value).decode("latin-1")
            found[key] = f"{found[key]}, {text}" if key in found else text
    return found
