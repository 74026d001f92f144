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

from sidecar.client.recorder import KEPT, Recorder
from sidecar.client.watched import Middleware, Watched

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class RecorderMiddleware(Middleware[Application]):
    """*app*, with what passes told to *recorder*.

    *paths* are beginnings of the paths that are recorded; None for all. Bodies above *limit* bytes are not
    kept: such an exchange is counted and timed, its rows are not recorded.
    """

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
            if scope["type"] != "http" or scope["method"] != "POST" or not self._takes(scope["path"]):
                return None
            return _Watched(self._recorder, scope, self._limit)
        except Exception:  # ours, or a server that is none
            self._recorder.lost()
            return None


class _Watched(Watched):
    """One request and its answer."""

    def __init__(self, recorder: Recorder, scope: MutableMapping[str, Any], limit: int) -> None:
        path = scope.get("raw_path")
        text = path.decode("latin-1") if path else quote(scope["path"])
        query = scope.get("query_string")
        if query:
            text += "?" + query.decode("latin-1")
        super().__init__(recorder, text.partition("#")[0], _kept(scope["headers"]), limit)

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


def _kept(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Those of `KEPT`, repeated ones joined."""
    found: dict[str, str] = {}
    for name, value in headers:
        key = bytes(name).decode("latin-1").lower()
        if key in KEPT:
            text = bytes(value).decode("latin-1")
            found[key] = f"{found[key]}, {text}" if key in found else text
    return found
