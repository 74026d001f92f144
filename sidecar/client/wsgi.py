"""WSGI: a middleware that records what passes.

Promises as `sidecar.client.asgi`: what the application reads and what it answers goes on as it is and when it
is. A list or tuple that an application returns is handed on itself, so that a server still sees its length;
a ``wsgi.file_wrapper`` too, whose content is then not recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any
from urllib.parse import quote

from sidecar.client.recorder import KEPT, Recorder
from sidecar.client.watched import Middleware, Watched

Environ = MutableMapping[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
Application = Callable[[Any, Any], Iterable[bytes]]

_KEYS = {("" if name == "content-type" else "HTTP_") + name.upper().replace("-", "_"): name for name in KEPT}
"""Of `KEPT`, as CGI has them (RFC 3875, section 4.1)."""


class WsgiRecorderMiddleware(Middleware[Application]):
    """*app*, with what passes told to *recorder*; *paths* and *limit* as in `sidecar.client.asgi`."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        watched = self._watch(environ)
        if watched is None:
            return self._app(environ, start_response)
        try:
            answer = self._app(environ, watched.starting(start_response))
        except BaseException:
            watched.failed()
            watched.end()
            raise
        if isinstance(answer, (list, tuple)):
            for part in answer:
                watched.sent(part)
            watched.finished()
            watched.end()
            return answer
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(answer, wrapper):
            watched.uncaptured()
            watched.end()
            return answer
        return _Answer(answer, watched)

    def _watch(self, environ: Environ) -> _Watched | None:
        try:
            path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
            if environ["REQUEST_METHOD"] != "POST" or not self._takes(path):
                return None
            return _Watched(self._recorder, environ, path, self._limit)
        except Exception:
            self._recorder.lost()
            return None


class _Watched(Watched):
    """One request and its answer."""

    def __init__(self, recorder: Recorder, environ: Environ, path: str, limit: int) -> None:
        text = quote(path.encode("latin-1"))
        if environ.get("QUERY_STRING"):
            text += "?" + environ["QUERY_STRING"]
        headers = {name: environ[key] for key, name in _KEYS.items() if environ.get(key)}
        super().__init__(recorder, text, headers, limit)
        length = environ.get("CONTENT_LENGTH")
        self._length = int(length) if length and length.isdigit() else None
        self._read = 0
        self._asked = self._length == 0
        environ["wsgi.input"] = _Input(environ["wsgi.input"], self)

    def received(self, part: bytes, ended: bool) -> None:
        """The application has read *part*; *ended* when a read for more gave less."""
        try:
            self._request.add(part)
            self._read += len(part)
            self._asked = self._asked or (ended if self._length is None else self._read >= self._length)
        except Exception:
            self._request.cut()

    def starting(self, start_response: StartResponse) -> StartResponse:
        """*start_response*, with what it is told noted."""

        def started(status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], object]:
            write = start_response(status, headers, *rest)
            try:
                self._status = int(status[:3])
                self._seen.response_headers = {
                    name.lower(): value for name, value in headers if name.lower() in KEPT
                }
            except Exception:
                self._response.cut()

            def writing(data: bytes) -> object:
                result = write(data)
                self.sent(data)
                return result

            return writing

        return started

    def sent(self, part: bytes) -> None:
        """The application has given *part* of its answer."""
        try:
            self._response.add(part)
        except Exception:
            self._response.cut()

    def finished(self) -> None:
        """The answer is whole."""
        self._answered = True

    def uncaptured(self) -> None:
        """The answer passes where we do not see it."""
        self._response.cut()
        self._answered = True


class _Input:
    """``wsgi.input`` as the application reads it."""

    def __init__(self, stream: Any, watched: _Watched) -> None:
        self._stream = stream
        self._watched = watched

    def read(self, *size: int) -> bytes:
        """As the stream's own."""
        part: bytes = self._stream.read(*size)
        wanted = size[0] if size and size[0] is not None else -1
        self._watched.received(part, wanted < 0 or (wanted > 0 and not part))
        return part

    def readline(self, *size: int) -> bytes:
        """As the stream's own."""
        part: bytes = self._stream.readline(*size)
        self._watched.received(part, not part and (not size or size[0] != 0))
        return part

    def readlines(self, *hint: int) -> list[bytes]:
        """As the stream's own."""
        lines: list[bytes] = self._stream.readlines(*hint)
        self._watched.received(b"".join(lines), not hint or not lines)
        return lines

    def __iter__(self) -> Iterator[bytes]:
        for line in self._stream:
            self._watched.received(line, False)
            yield line
        self._watched.received(b"", True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Answer:
    """An iterable of an application, handed on piece by piece."""

    def __init__(self, answer: Iterable[bytes], watched: _Watched) -> None:
        self._answer = answer
        self._watched = watched
        self._pieces: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            if self._pieces is None:
                self._pieces = iter(self._answer)
            part = next(self._pieces)
        except StopIteration:
            self._watched.finished()
            self._watched.end()
            raise
        except BaseException:
            self._watched.failed()
            self._watched.end()
            raise
        self._watched.sent(part)
        return part

    def close(self) -> None:
        """The server is done: before the end when the client has gone."""
        try:
            close = getattr(self._answer, "close", None)
            if close is not None:
                close()
        finally:
            self._watched.end()
