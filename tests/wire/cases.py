"""One table of HTTP/1.x conversations and what is to be seen in them, however they are cut."""

from __future__ import annotations

from dataclasses import dataclass, field

from sidecar.wire import LossReason, State
from tests.wire.conversation import CLIENT, SERVER, Seen, Step

C, S = CLIENT, SERVER


@dataclass(frozen=True)
class Case:
    """A conversation; `state` and `reason` are those before the connection is closed."""

    name: str
    steps: list[Step]
    expected: list[Seen]
    state: State = "ok"
    reason: str | None = None
    losses: dict[LossReason, int] = field(default_factory=dict)
    shows_cuts: bool = True
    """False when a truncated conversation can not be told from a whole one (bodies until close)."""


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET /a HTTP/1.1\r\nHost: m\r\n\r\n"
SEEN_GET = Seen(b"GET", b"/a", 200, b"", b"ok")
HEADLESS = b"HTTP/1.1 200 OK\r\n\r\n"


def post(body: bytes, *fields: bytes, target: bytes = b"/p") -> bytes:
    """A POST of known length."""
    head = [b"POST " + target + b" HTTP/1.1", b"Host: m", *fields, b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*head, b"", body])


CASES = [
    Case("a GET and its answer", [(C, GET), (S, OK)], [SEEN_GET]),
    Case(
        "a POST with bodies both ways",
        [(C, post(b"request")), (S, OK)],
        [Seen(b"POST", b"/p", 200, b"request", b"ok")],
    ),
    Case("a POST of length 0", [(C, post(b"")), (S, OK)], [Seen(b"POST", b"/p", 200, b"", b"ok")]),
    Case(
        "an answer of length 0",
        [(C, GET), (S, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), (C, GET), (S, OK)],
        [Seen(b"GET", b"/a", 200), SEEN_GET],
    ),
    Case(
        "chunks both ways, with extensions and trailers",
        [
            (C, b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            (C, b"3\r\nabc\r\n0A;name=value;q=\"\x80;\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\nEmpty:\r\n\r\n"),
            (S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n2\r\nok\r\n000\r\n\r\n"),
            (C, GET),
            (S, OK),
        ],
        [Seen(b"POST", b"/c", 200, b"abc0123456789", b"ok"), SEEN_GET],
    ),
    Case(
        "chunks that hold line ends and what looks like a last chunk",
        [
            (C, b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            (C, b"9\r\n\r\n0\r\n\r\n\r\n\r\n1\r\n\r\r\n0\r\n\r\n"),
            (S, OK),
        ],
        [Seen(b"POST", b"/c", 200, b"\r\n0\r\n\r\n\r\n\r", b"ok")],
    ),
    Case(
        "a transfer coding overrides a length",
        [
            (C, b"POST /c HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
            (S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n1\r\nb\r\n0\r\n\r\n"),
            (C, GET),
            (S, OK),
        ],
        [Seen(b"POST", b"/c", 200, b"a", b"b"), SEEN_GET],
    ),
    Case(
        "100-continue and early hints before the answer",
        [
            (C, b"POST /e HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"),
            (S, b"HTTP/1.1 100 Continue\r\n\r\n"),
            (C, b"body"),
            (S, b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + OK),
        ],
        [Seen(b"POST", b"/e", 200, b"body", b"ok")],
    ),
    Case(
        "HEAD, 204 and 304 have no body whatever they announce",
        [
            (C, b"HEAD /h HTTP/1.1\r\n\r\n"),
            (S, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
            (C, b"HEAD /h HTTP/1.1\r\n\r\n"),
            (S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            (C, b"HEAD /h HTTP/1.1\r\n\r\n"),
            (S, HEADLESS),
            (C, b"DELETE /d HTTP/1.1\r\n\r\n"),
            (S, b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"),
            (C, GET),
            (S, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
            (C, GET),
            (S, OK),
        ],
        [
            Seen(b"HEAD", b"/h", 200),
            Seen(b"HEAD", b"/h", 200),
            Seen(b"HEAD", b"/h", 200),
            Seen(b"DELETE", b"/d", 204),
            Seen(b"GET", b"/a", 304),
            SEEN_GET,
        ],
    ),
    Case(
        "pipelined requests are answered in order",
        [
            (C, GET + post(b"two") + b"HEAD /h HTTP/1.1\r\n\r\n"),
            (S, OK + b"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx"),
            (C, post(b"four", target=b"/4")),
            (S, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" + OK),
        ],
        [
            SEEN_GET,
            Seen(b"POST", b"/p", 404, b"two", b"x"),
            Seen(b"HEAD", b"/h", 200),
            Seen(b"POST", b"/4", 200, b"four", b"ok"),
        ],
    ),
    Case(
        "an answer of unknown length ends with the connection",
        [(C, b"GET /old HTTP/1.0\r\n\r\n"), (S, b"HTTP/1.0 200 OK\r\n\r\nuntil "), (S, b"the end")],
        [Seen(b"GET", b"/old", 200, b"", b"until the end")],
        shows_cuts=False,
    ),
    Case(
        "a last transfer coding that is not chunked ends with the connection",
        [(C, GET), (S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nzip")],
        [Seen(b"GET", b"/a", 200, b"", b"zip")],
        shows_cuts=False,
    ),
    Case(
        "HTTP/1.0 with keep-alive",
        [(C, b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), (S, OK), (C, GET), (S, OK)],
        [SEEN_GET, SEEN_GET],
    ),
    Case(
        "an upgrade makes a tunnel",
        [
            (C, b"GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
            (S, b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi"),
            (C, b"\x81\x82" + GET),
            (S, OK),
        ],
        [Seen(b"GET", b"/ws", 101)],
        "tunnel",
        "upgrade",
    ),
    Case(
        "an upgrade that was only offered leaves HTTP, and its request a body",
        [
            (C, post(b"body", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk")),
            (S, OK),
            (C, GET),
            (S, OK),
        ],
        [Seen(b"POST", b"/p", 200, b"body", b"ok"), SEEN_GET],
    ),
    Case(
        "an upgrade before the whole request was sent",
        [(C, post(b"body", b"Connection: Upgrade", b"Upgrade: x")[:-2]), (S, b"HTTP/1.1 101 Switching Protocols\r\n\r\n")],
        [Seen(b"POST", b"/p", 101, b"bo", request_complete=False)],
        "tunnel",
        "upgrade",
    ),
    Case(
        "requests behind an upgrade are never answered",
        [(C, b"GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n" + GET + GET[:9]),
         (S, b"HTTP/1.1 101 Switching Protocols\r\n\r\n")],
        [Seen(b"GET", b"/ws", 101)],
        "tunnel",
        "upgrade",
        {"pipelined": 2},
    ),
    Case(
        "CONNECT makes a tunnel, also for what was sent before its answer",
        [
            (C, b"CONNECT m:443 HTTP/1.1\r\n\r\n\x16\x03\x01"),
            (C, b"more"),
            (S, b"HTTP/1.1 200 Connection established\r\n\r\n\x16\x03\x03"),
            (C, GET),
        ],
        [Seen(b"CONNECT", b"m:443", 200)],
        "tunnel",
        "upgrade",
    ),
    Case(
        "a refused CONNECT leaves HTTP",
        [(C, b"CONNECT m:443 HTTP/1.1\r\n\r\n"), (S, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"), (C, GET), (S, OK)],
        [Seen(b"CONNECT", b"m:443", 403, b"", b"no"), SEEN_GET],
    ),
    Case(
        "a refused CONNECT with bytes behind it is broken",
        [(C, b"CONNECT m:443 HTTP/1.1\r\n\r\n\x16\x03\x01"), (S, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"), (C, GET)],
        [Seen(b"CONNECT", b"m:443", 403, b"", b"no")],
        "broken",
        "bad_request",
    ),
    Case("TLS is a tunnel", [(C, b"\x16\x03\x01\x02\x00\x01"), (S, b"\x16\x03\x03")], [], "tunnel", "tls"),
    Case(
        "HTTP/2 is a tunnel",
        [(C, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"), (S, b"\x00\x00\x00\x04")],
        [],
        "tunnel",
        "http2",
    ),
    Case("a binary protocol is a tunnel", [(C, b"\x00\x01\x02\x03"), (S, OK)], [], "tunnel", "not_http"),
    Case("a text protocol is a tunnel", [(C, b"EHLO me\r\n\r\n"), (S, b"250 ok\r\n")], [], "tunnel", "not_http"),
    Case("a server that speaks first is a tunnel", [(S, b"SSH-2.0-x\r\n"), (C, b"SSH-2.0-y\r\n")], [], "tunnel", "not_http"),
    Case(
        "a server that answers half a foreign word is a tunnel",
        [(C, b"SSH-2.0-y\r\n"), (S, b"SSH-2.0-x\r\n")],
        [],
        "tunnel",
        "not_http",
    ),
    Case(
        "a long text without an empty line is a tunnel",
        [(C, b"QUIT " * 14_000)],
        [],
        "tunnel",
        "not_http",
    ),
    Case(
        "a head that is HTTP and malformed is broken",
        [(C, b"GET /a HTTP/1.1\r\nno colon\r\n\r\n"), (S, OK)],
        [],
        "broken",
        "bad_request",
        {"bad_request": 1},
    ),
    Case(
        "two different lengths are broken",
        [(C, b"POST /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")],
        [],
        "broken",
        "bad_request",
        {"bad_request": 1},
    ),
    Case(
        "a request of which chunked is not the last coding is broken",
        [(C, b"POST /a HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n")],
        [],
        "broken",
        "bad_request",
        {"bad_request": 1},
    ),
    Case(
        "what is not HTTP after an exchange is broken",
        [(C, GET), (S, OK), (C, b"{}"), (S, OK)],
        [SEEN_GET],
        "broken",
        "bad_request",
        {"bad_request": 1},
    ),
    Case(
        "a broken request takes what is open with it",
        [(C, GET + GET + b"lower /case HTTP/1.1\r\n\r\n"), (S, OK)],
        [],
        "broken",
        "bad_request",
        {"bad_request": 3},
    ),
    Case(
        "a broken answer is counted",
        [(C, GET), (S, b"HTTP/1.1 nonsense\r\n\r\n"), (C, GET), (S, OK)],
        [],
        "broken",
        "bad_answer",
        {"bad_answer": 1},
    ),
    Case(
        "an answer below status 100 is broken",
        [(C, GET), (S, b"HTTP/1.1 000 None\r\n\r\n")],
        [],
        "broken",
        "bad_answer",
        {"bad_answer": 1},
    ),
    Case(
        "a broken chunk size is counted",
        [(C, b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n"), (S, OK)],
        [],
        "broken",
        "bad_request",
        {"bad_request": 1},
    ),
    Case(
        "chunk data that is longer than its size is broken",
        [(C, GET), (S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n")],
        [],
        "broken",
        "bad_answer",
        {"bad_answer": 1},
    ),
    Case(
        "a chunk line that a bare CR ends is broken",
        [(C, GET), (S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\rab\r\n0\r\n\r\n")],
        [],
        "broken",
        "bad_answer",
        {"bad_answer": 1},
    ),
    Case(
        "a trailer that is no field is broken",
        [(C, GET), (S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n")],
        [],
        "broken",
        "bad_answer",
        {"bad_answer": 1},
    ),
    Case(
        "a chunk line longer than 16 KiB is broken",
        [(C, GET), (S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 16_384 + b"\r\na\r\n0\r\n\r\n")],
        [],
        "broken",
        "bad_answer",
        {"bad_answer": 1},
    ),
    Case(
        "a head above the limit is broken",
        [(C, b"GET /a HTTP/1.1\r\nX: " + b"x" * 65_536 + b"\r\n\r\n"), (S, OK)],
        [],
        "broken",
        "head_too_long",
        {"head_too_long": 1},
    ),
    Case(
        "an answer's head above the limit is broken",
        [(C, GET + GET), (S, b"HTTP/1.1 200 OK\r\nX: " + b"x" * 65_536 + b"\r\n\r\n")],
        [],
        "broken",
        "head_too_long",
        {"head_too_long": 2},
    ),
    Case(
        "more pipelined requests than are followed are broken",
        [(C, GET * 101), (S, OK * 101)],
        [],
        "broken",
        "pipelined",
        {"pipelined": 101},
    ),
    Case(
        "an answer that nobody asked for is broken",
        [(C, GET), (S, OK + OK), (C, GET)],
        [SEEN_GET],
        "broken",
        "unexpected_answer",
    ),
    Case(
        "an answer to half a head is broken",
        [(C, GET[:20]), (S, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")],
        [],
        "broken",
        "unexpected_answer",
        {"unexpected_answer": 1},
    ),
    Case(
        "an early answer waits for the rest of its request",
        [
            (C, post(b"long body")[:-4]),
            (S, b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"),
            (C, b"body" + GET),
            (S, OK),
        ],
        [Seen(b"POST", b"/p", 413, b"long body"), SEEN_GET],
        shows_cuts=False,
    ),
    Case(
        "an answer is not early because a later request is half sent",
        [(C, GET + post(b"later")[:-3]), (S, OK), (C, b"ter"), (S, OK)],
        [SEEN_GET, Seen(b"POST", b"/p", 200, b"later", b"ok")],
    ),
    Case(
        "an early answer after which the connection closes",
        [(C, post(b"long body")[:-4]), (S, b"HTTP/1.1 413 Too Large\r\nContent-Length: 1\r\n\r\nx")],
        [Seen(b"POST", b"/p", 413, b"long ", b"x", request_complete=False)],
        shows_cuts=False,
    ),
    Case(
        "a request without an answer is returned as closed",
        [(C, post(b"a") + post(b"b"))],
        [
            Seen(b"POST", b"/p", 0, b"a", b"", response_complete=False, closed=True),
            Seen(b"POST", b"/p", 0, b"b", b"", response_complete=False, closed=True),
        ],
    ),
    Case(
        "half a request is returned as closed",
        [(C, post(b"half a body")[:-7])],
        [Seen(b"POST", b"/p", 0, b"half", b"", False, False, True)],
    ),
    Case(
        "half an answer is returned as closed",
        [(C, GET), (S, b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf an ")],
        [Seen(b"GET", b"/a", 200, b"", b"half an ", response_complete=False, closed=True)],
    ),
    Case(
        "half an answer's head is returned as closed",
        [(C, GET), (S, b"HTTP/1.1 200 OK\r\nContent-")],
        [Seen(b"GET", b"/a", 0, response_complete=False, closed=True)],
    ),
    Case("half a request's head is lost", [(C, GET + GET[:-2]), (S, OK)], [SEEN_GET], losses={"closed": 1}),
    Case(
        "empty lines between requests are passed over",
        [(C, b"\r\n\r\n" + GET), (S, OK), (C, b"\r\n" + GET + b"\r\n"), (S, OK)],
        [SEEN_GET, SEEN_GET],
    ),
    Case(
        "targets in every form",
        [
            (C, b"OPTIONS * HTTP/1.1\r\n\r\n"),
            (S, OK),
            (C, b"GET http://m:1/a%2Fb?c=d HTTP/1.1\r\n\r\n"),
            (S, OK),
        ],
        [Seen(b"OPTIONS", b"*", 200, b"", b"ok"), Seen(b"GET", b"http://m:1/a%2Fb?c=d", 200, b"", b"ok")],
    ),
    Case("nothing at all", [], []),
]  # fmt: skip
