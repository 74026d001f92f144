"""The WSGI middleware: input and answer pass as they are, and what passed is recorded."""

from __future__ import annotations

import http.client
import io
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from cheroot.wsgi import Server

from sidecar.client import WsgiRecorderMiddleware
from sidecar.client.recorder import Seen
from tests.client.test_asgi import Heard
from tests.ingest.loggers import call, environ

BODY = b'{"a":\n 1}'
HEADERS = {"Content-Type": "application/json", "Content-Encoding": "gzip", "Authorization": "secret"}
ANSWER = [("Content-Type", "application/json"), ("Set-Cookie", "secret")]
Start = Callable[..., Callable[[bytes], object]]


def made(**changed: Any) -> dict[str, Any]:
    return environ(BODY, HEADERS, path="/v2/models/a b/infer") | {"QUERY_STRING": "x=1", **changed}


def answering(env: dict[str, Any], start_response: Start) -> list[bytes]:
    body = env["wsgi.input"].read(int(env["CONTENT_LENGTH"]))
    start_response("201 Created", ANSWER)
    return [b"got ", body]


def streaming(env: dict[str, Any], start_response: Start) -> Iterator[bytes]:
    body = env["wsgi.input"].read(-1)
    start_response("201 Created", ANSWER)
    yield b"got "
    yield body


class Writing:
    """Uses write() and returns an iterable of its own that must be closed."""

    def __init__(self, env: dict[str, Any], start_response: Start) -> None:
        body = env["wsgi.input"].read(int(env["CONTENT_LENGTH"]))
        write = start_response("201 Created", ANSWER)
        write(b"got ")
        self.parts = [body]
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.parts)

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("app", [answering, streaming])
def test_what_passes_is_recorded(app: Any) -> None:
    recorder = Heard()
    status, headers, body = call(validator(WsgiRecorderMiddleware(validator(app), recorder)), made())
    assert (status, headers, body) == (201, dict(ANSWER), b"got " + BODY)
    [seen] = recorder.seen
    assert (seen.method, seen.path) == ("POST", "/v2/models/a%20b/infer?x=1")
    assert seen.request_headers == {"content-type": "application/json", "content-encoding": "gzip"}
    assert (seen.request_body, seen.request_complete) == (BODY, True)
    assert (seen.status, seen.response_headers) == (201, {"content-type": "application/json"})
    assert (seen.response_body, seen.response_complete) == (b"got " + BODY, True)


def test_through_a_real_server_answers_written_and_returned_are_recorded() -> None:
    recorder = Heard()
    server = Server(("127.0.0.1", 0), WsgiRecorderMiddleware(Writing, recorder), numthreads=1)
    server.prepare()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.bind_addr[1], timeout=10)
        connection.request("POST", "/p?q", BODY, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (201, b"got " + BODY)
        connection.close()
    finally:
        server.stop()
        thread.join(10)
    [seen] = recorder.seen
    assert (seen.path, seen.status) == ("/p?q", 201)
    assert (seen.request_body, seen.request_complete, seen.response_body) == (BODY, True, b"got " + BODY)


def test_a_list_is_handed_on_itself() -> None:
    parts = [b"a", b"b"]

    def app(env: Any, start_response: Start) -> list[bytes]:
        start_response("200 OK", [])
        return parts

    recorder = Heard()
    assert WsgiRecorderMiddleware(app, recorder)(made(), lambda *a: lambda data: None) is parts
    assert recorder.seen[0].response_body == b"ab"


def test_a_servers_file_wrapper_is_handed_on_itself() -> None:
    def app(env: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", [])
        wrapped: Iterable[bytes] = env["wsgi.file_wrapper"](io.BytesIO(b"file"))
        return wrapped

    recorder = Heard()
    answer = WsgiRecorderMiddleware(app, recorder)(
        made(**{"wsgi.file_wrapper": FileWrapper}), lambda *a: lambda data: None
    )
    assert isinstance(answer, FileWrapper)
    assert [(seen.status, seen.response_complete) for seen in recorder.seen] == [(200, False)]


def test_a_streamed_answer_is_passed_on_before_the_next_part_is_made() -> None:
    produced = []

    def app(env: Any, start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", [])
        for part in (b"a", b"b"):
            produced.append(part)
            yield part

    recorder = Heard()
    answer = iter(WsgiRecorderMiddleware(app, recorder)(made(), lambda *a: lambda data: None))
    assert produced == []
    assert (next(answer), produced) == (b"a", [b"a"])
    assert recorder.seen == []
    assert list(answer) == [b"b"]
    assert [seen.response_body for seen in recorder.seen] == [b"ab"]


@pytest.mark.parametrize("changed", [{"REQUEST_METHOD": "GET"}, {"PATH_INFO": "/health"}])
def test_other_methods_and_paths_are_not_touched(changed: dict[str, str]) -> None:
    recorder = Heard()
    given: list[Any] = []

    def app(env: Any, start_response: Any) -> list[bytes]:
        given.append((env["wsgi.input"], start_response))
        return []

    env = made(**changed)
    stream = env["wsgi.input"]
    WsgiRecorderMiddleware(app, recorder, paths=["/v2/"])(env, len)
    assert given == [(stream, len)]
    assert recorder.seen == []


def test_exceptions_pass_unchanged_before_and_within_the_answer() -> None:
    fault = KeyError("the application's own")

    def failing(env: Any, start_response: Start) -> list[bytes]:
        raise fault

    def failing_later(env: Any, start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"a"
        raise fault

    recorder = Heard()
    for app in (failing, failing_later):
        with pytest.raises(KeyError) as caught:
            call(WsgiRecorderMiddleware(app, recorder), made())
        assert caught.value is fault
    assert [seen.status for seen in recorder.seen] == [500, 0]


def test_a_client_that_goes_is_a_closed_connection_and_the_answer_is_closed() -> None:
    recorder = Heard()
    opened: list[Writing] = []

    def app(env: dict[str, Any], start_response: Start) -> Writing:
        opened.append(Writing(env, start_response))
        return opened[0]

    answer = WsgiRecorderMiddleware(app, recorder)(made(), lambda *a: lambda data: None)
    answer.close()  # type: ignore[attr-defined]
    answer.close()  # type: ignore[attr-defined]
    assert opened[0].closed
    assert [seen.status for seen in recorder.seen] == [0]


def test_however_the_input_is_read_it_is_the_same() -> None:
    readings: list[Callable[[Any], bytes]] = [
        lambda stream: b"".join(iter(lambda: stream.read(2), b"")),
        lambda stream: b"".join(iter(stream.readline, b"")),
        lambda stream: b"".join(stream.readlines()),
        lambda stream: b"".join(stream),
        lambda stream: bytes(stream.read()),
    ]
    for reading in readings:
        for length in (str(len(BODY)), ""):
            recorder = Heard()

            def app(
                env: Any, start_response: Start, reading: Callable[[Any], bytes] = reading
            ) -> list[bytes]:
                assert reading(env["wsgi.input"]) == BODY
                start_response("200 OK", [])
                return []

            call(WsgiRecorderMiddleware(app, recorder), made(CONTENT_LENGTH=length))
            assert [(seen.request_body, seen.request_complete) for seen in recorder.seen] == [(BODY, True)]


def test_bodies_above_the_limit_not_read_or_without_room_are_not_kept() -> None:
    def unread(env: Any, start_response: Start) -> list[bytes]:
        start_response("200 OK", [])
        return [b"long enough"]

    for app, recorder, limit in (
        (answering, Heard(), 5),
        (answering, Heard(full=True), 1000),
        (unread, Heard(), 5),
    ):
        call(WsgiRecorderMiddleware(app, recorder, limit=limit), made())
        [seen] = recorder.seen
        assert (seen.request_complete, seen.response_complete, seen.response_body) == (False, False, b"")


def test_a_fault_of_ours_never_reaches_the_application() -> None:
    class Faulty(Heard):
        def record_exchange(self, seen: Seen) -> None:
            raise RuntimeError("ours")

    recorder = Faulty()
    assert call(WsgiRecorderMiddleware(answering, recorder), made())[2] == b"got " + BODY
    assert recorder.faults == 1
    broken = {"wsgi.input": io.BytesIO(BODY), "CONTENT_LENGTH": "1"}
    assert list(WsgiRecorderMiddleware(answering, recorder)(broken, lambda *a: lambda data: None)) == [
        b"got ",
        b"{",
    ]
    assert recorder.faults == 2
