"""The ASGI middleware: messages pass as they are and when they are, and what passed is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sidecar.client import Recorder, RecorderMiddleware
from sidecar.client.recorder import Seen

Message = dict[str, Any]


class Heard(Recorder):
    """Keeps what a middleware tells it; *full*: has no room."""

    def __init__(self, full: bool = False) -> None:
        super().__init__("http://127.0.0.1:9")
        self.seen: list[Seen] = []
        self.faults = 0
        self.full = full

    @property
    def room(self) -> bool:
        return not self.full

    def record_exchange(self, seen: Seen) -> None:
        self.seen.append(seen)

    def lost(self) -> None:
        self.faults += 1


def scope(**changed: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "method": "POST",
        "path": "/v2/models/a b/infer",
        "raw_path": b"/v2/models/a%20b/infer",
        "query_string": b"x=1",
        "headers": [(b"Content-Type", b"application/json"), (b"authorization", b"secret"), (b"content-encoding", b"gzip")],
        **changed,
    }  # fmt: skip


REQUEST = [
    {"type": "http.request", "body": b'{"a":', "more_body": True},
    {"type": "http.request", "body": b" 1}", "more_body": False},
]
ANSWER = [
    {"type": "http.response.start", "status": 201, "headers": [(b"content-type", b"application/json"), (b"set-cookie", b"secret")]},
    {"type": "http.response.body", "body": b"[2,", "more_body": True},
    {"type": "http.response.body", "body": b" 3]"},
]  # fmt: skip


class Server:
    """An ASGI server that plays *incoming* and keeps what it is sent; *refuse*: sending raises after so many."""

    def __init__(self, incoming: list[Message], refuse: int | None = None) -> None:
        self.incoming = [dict(message) for message in incoming]
        self.sent: list[Message] = []
        self.refuse = refuse

    async def receive(self) -> Message:
        return self.incoming.pop(0) if self.incoming else {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.refuse is not None and len(self.sent) >= self.refuse:
            raise OSError("the client has gone")
        self.sent.append(message)

    def run(self, app: Any, made: dict[str, Any] | None = None) -> None:
        asyncio.run(app(scope() if made is None else made, self.receive, self.send))


async def answering(
    made: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    """Reads all of the request, then answers."""
    while (await receive()).get("more_body"):
        pass
    for message in ANSWER:
        await send(message)


def test_what_passes_is_recorded_and_is_the_very_same_messages() -> None:
    recorder, server = Heard(), Server(REQUEST)
    server.run(RecorderMiddleware(answering, recorder))
    assert [id(message) for message in server.sent] == [id(message) for message in ANSWER]
    [seen] = recorder.seen
    assert (seen.method, seen.path) == ("POST", "/v2/models/a%20b/infer?x=1")
    assert seen.request_headers == {"content-type": "application/json", "content-encoding": "gzip"}
    assert (seen.request_body, seen.request_complete) == (b'{"a": 1}', True)
    assert (seen.status, seen.response_headers) == (201, {"content-type": "application/json"})
    assert (seen.response_body, seen.response_complete) == (b"[2, 3]", True)
    assert seen.seconds > 0


def test_a_streamed_answer_is_passed_on_before_the_next_part_is_made() -> None:
    server = Server(REQUEST)
    counts = []

    async def streaming(made: Any, receive: Any, send: Any) -> None:
        for message in ANSWER:
            await send(message)
            counts.append(len(server.sent))

    server.run(RecorderMiddleware(streaming, Heard()))
    assert counts == [1, 2, 3]


@pytest.mark.parametrize(
    "made",
    [
        scope(method="GET"),
        scope(path="/health"),
        {"type": "lifespan"},
        {"type": "websocket", "path": "/v2", "headers": []},
    ],
)
def test_other_scopes_and_paths_get_the_servers_own_channels(made: dict[str, Any]) -> None:
    recorder, server = Heard(), Server(REQUEST)
    given = []

    async def app(*arguments: Any) -> None:
        given.append(arguments)

    server.run(RecorderMiddleware(app, recorder, paths=["/v2", "/v1"]), made)
    assert given == [(made, server.receive, server.send)]
    assert recorder.seen == []


def test_an_exception_of_the_application_passes_unchanged_and_counts_as_the_500_it_becomes() -> None:
    recorder, fault = Heard(), KeyError("the application's own")

    async def failing(*arguments: Any) -> None:
        raise fault

    with pytest.raises(KeyError) as caught:
        Server(REQUEST).run(RecorderMiddleware(failing, recorder))
    assert caught.value is fault
    assert [seen.status for seen in recorder.seen] == [500]


def test_an_answer_that_breaks_off_is_a_closed_connection() -> None:
    recorder = Heard()

    async def breaking(made: Any, receive: Any, send: Any) -> None:
        await send(ANSWER[0])
        await send(ANSWER[1])
        raise RuntimeError

    with pytest.raises(RuntimeError):
        Server(REQUEST).run(RecorderMiddleware(breaking, recorder))
    assert [seen.status for seen in recorder.seen] == [0]


def test_a_client_that_goes_is_a_closed_connection_however_the_server_tells() -> None:
    recorder = Heard()
    with pytest.raises(OSError, match="gone"):
        Server(REQUEST, refuse=1).run(RecorderMiddleware(answering, recorder))

    async def listening(made: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        await answering(made, receive, send)  # the server takes it and throws it away

    Server(REQUEST).run(RecorderMiddleware(listening, recorder))

    async def cancelled(made: Any, receive: Any, send: Any) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        Server(REQUEST).run(RecorderMiddleware(cancelled, recorder))
    assert [seen.status for seen in recorder.seen] == [0, 0, 0]


def test_a_disconnect_after_the_answer_is_the_ordinary_end() -> None:
    recorder = Heard()

    async def patient(made: Any, receive: Any, send: Any) -> None:
        await answering(made, receive, send)
        assert (await receive())["type"] == "http.disconnect"

    Server(REQUEST).run(RecorderMiddleware(patient, recorder))
    assert [seen.status for seen in recorder.seen] == [201]


def test_bodies_above_the_limit_or_without_room_pass_and_are_not_kept() -> None:
    for recorder, limit in ((Heard(), 5), (Heard(full=True), 1000)):
        server = Server(REQUEST)
        server.run(RecorderMiddleware(answering, recorder, limit=limit))
        assert server.sent == ANSWER
        [seen] = recorder.seen
        assert (seen.request_body, seen.request_complete) == (b"", False)
        assert (seen.response_body, seen.response_complete) == (b"", False)
        assert seen.status == 201


def test_a_request_that_the_application_does_not_read_is_not_whole() -> None:
    recorder = Heard()

    async def uninterested(made: Any, receive: Any, send: Any) -> None:
        for message in ANSWER:
            await send(message)

    Server(REQUEST).run(RecorderMiddleware(uninterested, recorder))
    assert [(seen.request_complete, seen.status) for seen in recorder.seen] == [(False, 201)]


def test_a_file_that_the_server_sends_itself_is_not_kept() -> None:
    recorder = Heard()

    async def sending(made: Any, receive: Any, send: Any) -> None:
        await receive()
        await receive()
        await send(ANSWER[0])
        await send({"type": "http.response.pathsend", "path": "/tmp/file"})

    Server(REQUEST).run(RecorderMiddleware(sending, recorder))
    assert [(seen.response_complete, seen.status) for seen in recorder.seen] == [(False, 201)]


def test_a_fault_of_ours_never_reaches_the_application() -> None:
    class Faulty(Heard):
        def record_exchange(self, seen: Seen) -> None:
            raise RuntimeError("ours")

    recorder, server = Faulty(), Server([{"type": "http.request", "body": 7}, {}])  # type: ignore[dict-item]
    server.run(RecorderMiddleware(answering, recorder))
    assert server.sent == ANSWER
    assert recorder.faults == 1
    server = Server(REQUEST)
    server.run(RecorderMiddleware(answering, recorder), {"type": "http"})
    assert server.sent == ANSWER
    assert recorder.faults == 2
