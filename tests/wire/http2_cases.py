"""One table of HTTP/2 conversations and what is to be seen in them, however they are cut."""

from __future__ import annotations

from dataclasses import dataclass, field

from sidecar.framing import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HAS_PRIORITY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)
from sidecar.wire import LossReason, State
from tests.wire.conversation import CLIENT, SERVER, Step
from tests.wire.http2_talk import Seen, call, frame, headers, plain, request, status

C, S = CLIENT, SERVER
END = END_HEADERS | END_STREAM


@dataclass(frozen=True)
class Case:
    """A conversation behind the preface; `state` and `reason` are those before the connection is closed."""

    name: str
    frames: list[Step]
    expected: list[Seen]
    state: State = "ok"
    reason: str | None = None
    losses: dict[LossReason, int] = field(default_factory=dict)
    preface: bytes = PREFACE + frame(SETTINGS, 0, 0, bytes.fromhex("0003 00000064"))

    @property
    def steps(self) -> list[Step]:
        return [(C, self.preface), (S, frame(SETTINGS, 0, 0)), (S, frame(SETTINGS, ACK, 0)), *self.frames]


def post(number: int, body: bytes = b"ask", target: bytes = b"/a") -> bytes:
    return headers(number, request(target)) + frame(DATA, END_STREAM, number, body)


def ok(number: int, body: bytes = b"ok") -> bytes:
    return headers(number, status()) + frame(DATA, END_STREAM, number, body)


SEEN = Seen(b"/a", 200, b"ask", b"ok")
GRPC = [(b":status", b"200"), (b"content-type", b"application/grpc")]
TRAILERS = [(b"grpc-status", b"0"), (b"grpc-message", b"")]
HALF = len(plain(request())) // 2


def broken(name: str, direction: int, data: bytes, reason: LossReason = "bad_request", lost: int = 0) -> Case:
    """One stream is open when *data* comes and ends the connection for its peers."""
    if direction == S and reason == "bad_request":
        reason = "bad_answer"
    losses: dict[LossReason, int] = {reason: 1 + lost}
    return Case(name, [(C, headers(1, request())), (direction, data)], [], "broken", reason, losses)


CASES = [
    Case("a call and its answer", [(C, post(1)), (S, ok(1))], [SEEN]),
    Case(
        "a request without a body",
        [(C, headers(1, request(), END)), (S, ok(1))],
        [Seen(b"/a", 200, b"", b"ok")],
    ),
    Case(
        "a unary call of gRPC",
        [
            (C, headers(1, call()) + frame(DATA, END_STREAM, 1, b"\0\0\0\0\3abc")),
            (S, headers(1, GRPC) + frame(DATA, 0, 1, b"\0\0\0\0\1d") + headers(1, TRAILERS, END)),
        ],
        [Seen(b"/s/Call", 200, b"\0\0\0\0\3abc", b"\0\0\0\0\1d", ((b"grpc-status", b"0"),), protocol="grpc")],
    ),
    Case(
        "trailers only",
        [
            (C, headers(1, call()) + frame(DATA, END_STREAM, 1, b"\0\0\0\0\0")),
            (S, headers(1, [*GRPC, (b"grpc-status", b"3")], END)),
        ],
        [
            Seen(
                b"/s/Call",
                200,
                b"\0\0\0\0\0",
                b"",
                ((b"content-type", b"application/grpc"), (b"grpc-status", b"3")),
                protocol="grpc",
            ),
        ],
    ),
    Case(
        "padding, with and without content, and priorities",
        [
            (
                C,
                frame(
                    HEADERS,
                    END_HEADERS | PADDED | HAS_PRIORITY,
                    1,
                    b"\3" + b"prio!" + plain(request()) + b"xyz",
                ),
            ),
            (C, frame(DATA, PADDED, 1, b"\4" + b"as" + b"\0" * 4) + frame(DATA, PADDED, 1, b"\2\0\0")),
            (C, frame(DATA, PADDED, 1, b"\0k") + frame(DATA, PADDED | END_STREAM, 1, b"\0")),
            (S, frame(HEADERS, END_HEADERS | PADDED, 1, b"\1" + plain(status()) + b"x")),
            (S, frame(DATA, PADDED | END_STREAM, 1, b"\3ok123")),
        ],
        [SEEN],
    ),
    Case(
        "header blocks in many frames, both ways",
        [
            (C, frame(HEADERS, END_STREAM, 1, plain(request())[:HALF])),
            (C, frame(CONTINUATION, 0, 1) + frame(CONTINUATION, 0, 1, plain(request())[HALF : HALF + 1])),
            (C, frame(CONTINUATION, END_HEADERS, 1, plain(request())[HALF + 1 :])),
            (S, frame(HEADERS, PADDED, 1, b"\1" + plain(status())[:5] + b"x")),
            (S, frame(CONTINUATION, END_HEADERS, 1, plain(status())[5:]) + frame(DATA, END_STREAM, 1, b"ok")),
        ],
        [Seen(b"/a", 200, b"", b"ok")],
    ),
    Case(
        "streams side by side, answered out of order",
        [
            (C, headers(1, request(b"/1")) + headers(3, request(b"/3")) + frame(DATA, 0, 1, b"1")),
            (
                C,
                headers(5, request(b"/5"), END)
                + frame(DATA, END_STREAM, 3, b"3")
                + frame(DATA, END_STREAM, 1, b"1"),
            ),
            (S, headers(5, status(b"500"), END) + headers(1, status(b"201")) + headers(3, status(b"203"))),
            (
                S,
                frame(DATA, 0, 1, b"o")
                + frame(DATA, END_STREAM, 3, b"three")
                + frame(DATA, END_STREAM, 1, b"ne"),
            ),
        ],
        [Seen(b"/5", 500), Seen(b"/3", 203, b"3", b"three"), Seen(b"/1", 201, b"11", b"one")],
    ),
    Case(
        "interim answers",
        [
            (C, post(1)),
            (S, headers(1, status(b"100")) + headers(1, status(b"103", (b"link", b"</x>"))) + ok(1)),
        ],
        [SEEN],
    ),
    Case(
        "trailers both ways",
        [
            (C, headers(1, request()) + frame(DATA, 0, 1, b"ask") + headers(1, [(b"x-sum", b"1")], END)),
            (S, headers(1, status()) + frame(DATA, 0, 1, b"ok") + headers(1, [(b"x-sum", b"2")], END)),
        ],
        [SEEN],
    ),
    Case(
        "an answer before the end of its request",
        [
            (C, headers(1, request())),
            (S, ok(1)),
            (C, frame(DATA, 0, 1, b"as") + frame(DATA, END_STREAM, 1, b"k")),
        ],
        [SEEN],
    ),
    Case(
        "an early answer, and a reset instead of the rest of the request",
        [
            (C, headers(1, request()) + frame(DATA, 0, 1, b"as")),
            (S, ok(1) + frame(RST_STREAM, 0, 1, b"\0\0\0\0")),
        ],
        [Seen(b"/a", 200, b"as", b"ok", request_complete=False)],
    ),
    Case(
        "resets by either side, and what was on its way",
        [
            (C, post(1) + frame(RST_STREAM, 0, 1, b"\0\0\0\x08")),
            (S, ok(1)),
            (C, headers(3, request())),
            (S, headers(3, status()) + frame(RST_STREAM, 0, 3, b"\0\0\0\2")),
            (C, frame(DATA, END_STREAM, 3, b"late")),
            (C, post(5)),
            (S, ok(5)),
        ],
        [
            Seen(b"/a", 0, b"ask", answer_complete=False, closed=True),
            Seen(b"/a", 200, request_complete=False, answer_complete=False, closed=True),
            SEEN,
        ],
    ),
    Case(
        "a server that goes away finishes what it has taken",
        [
            (C, post(1) + post(3, target=b"/3")),
            (S, frame(GOAWAY, 0, 0, b"\0\0\0\1" + b"\0\0\0\0" + b"why") + ok(1)),
        ],
        [Seen(b"/3", 0, b"ask", answer_complete=False, closed=True), SEEN],
    ),
    Case(
        "a client that goes away",
        [(C, post(1) + frame(GOAWAY, 0, 0, bytes(8))), (S, ok(1))],
        [SEEN],
    ),
    Case(
        "pushed answers are passed over, but not their fields",
        [
            (C, post(1)),
            # :path /pushed goes into the table, and the answer's :status 299 behind it.
            (S, frame(PUSH_PROMISE, 0, 1, b"\0\0\0\2" + b"\x82\x44\x07/pu")),
            (S, frame(CONTINUATION, END_HEADERS, 1, b"shed")),
            (S, frame(HEADERS, END_HEADERS, 2, b"\x48\x03299") + frame(DATA, END_STREAM, 2, b"pushed")),
            (S, frame(HEADERS, END_HEADERS, 1, b"\xbe") + frame(DATA, END_STREAM, 1, b"ok")),
        ],
        [Seen(b"/a", 299, b"ask", b"ok")],
    ),
    Case(
        "frames of the connection, and of types that nobody knows",
        [
            (C, frame(PING, 0, 0, bytes(8)) + frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1") + post(1)),
            (S, frame(PING, ACK, 0, bytes(8)) + frame(0xB, 0x5, 9, b"x" * 2000) + frame(0xFF, 0, 0)),
            (
                C,
                frame(PRIORITY, 0, 7, bytes(5))
                + frame(PRIORITY, 0, 7, b"?")
                + frame(WINDOW_UPDATE, 0, 1, bytes(4)),
            ),
            (S, ok(1)),
        ],
        [SEEN],
    ),
    Case(
        "the bit before a stream's number means nothing",
        [(C, post(1 | 1 << 31)), (S, ok(1 | 1 << 31))],
        [SEEN],
    ),
    Case(
        "a HEAD and an OPTIONS of everything",
        [
            (C, headers(1, request(method=b"HEAD"), END) + headers(3, request(b"*", b"OPTIONS"), END)),
            (S, headers(1, status(b"200", (b"content-length", b"9")), END) + headers(3, status(b"204"), END)),
        ],
        [Seen(b"/a", 200, method=b"HEAD"), Seen(b"*", 204, method=b"OPTIONS")],
    ),
    Case(
        "a CONNECT",
        [
            (C, headers(1, [(b":method", b"CONNECT"), (b":authority", b"m:1")])),
            (S, headers(1, status()) + frame(DATA, 0, 1, b"hi")),
            (C, frame(DATA, END_STREAM, 1, b"ho")),
            (S, frame(DATA, END_STREAM, 1)),
        ],
        [Seen(b"m:1", 200, b"ho", b"hi", method=b"CONNECT")],
    ),
    Case(
        "an answer without a status",
        [(C, post(1)), (S, headers(1, [(b"a", b"b")], END))],
        [Seen(b"/a", 0, b"ask", closed=True)],
    ),
    Case(
        "an answer without a head",
        [(C, post(1)), (S, frame(DATA, END_STREAM, 1, b"ok"))],
        [Seen(b"/a", 0, b"ask", b"ok", closed=True)],
    ),
    Case(
        "a request without a method",
        [(C, headers(1, [(b"a", b"b")], END)), (S, headers(1, status(b"400"), END))],
        [Seen(b"", 400, method=b"")],
    ),
    Case(
        "streams that the client may not begin, or has begun before",
        [(C, headers(2, request(), END) + post(3) + headers(1, request(), END)), (S, ok(2) + ok(3) + ok(1))],
        [SEEN],
    ),
    Case(
        "the connection ends",
        [(C, post(1)), (S, headers(1, status()) + frame(DATA, 0, 1, b"o"))],
        [Seen(b"/a", 200, b"ask", b"o", answer_complete=False, closed=True)],
    ),
    Case(
        "the connection ends inside a header block",
        [(C, frame(HEADERS, 0, 1, plain(request())))],
        [],
        losses={"closed": 1},
    ),
    Case("not the preface", [], [], "broken", "bad_request", preface=b"PRI * HTTP/2.0\r\n\r\nXX"),
    Case("HTTP/1", [], [], "broken", "bad_request", preface=b"POST / HTTP/1.1\r\n\r\n"),
    broken("DATA on the connection", C, frame(DATA, 0, 0, b"x")),
    broken("DATA on the connection from the server", S, frame(DATA, 0, 0, b"x")),
    broken("padding longer than the payload", C, frame(DATA, PADDED, 1, b"\3ab")),
    broken("padding without a length", C, frame(DATA, PADDED, 1)),
    broken("padding longer than a header block", C, frame(HEADERS, END_HEADERS | PADDED, 3, b"\2a"), lost=1),
    broken("HEADERS on the connection", C, frame(HEADERS, END_HEADERS, 0, plain(request()))),
    broken("a priority that is not there", C, frame(HEADERS, END_HEADERS | HAS_PRIORITY, 3, b"abcd"), lost=1),
    broken("a SETTINGS of 5 bytes", C, frame(SETTINGS, 0, 0, b"12345")),
    broken("a SETTINGS of a stream", S, frame(SETTINGS, 0, 1)),
    broken("an acknowledgement with settings", S, frame(SETTINGS, ACK, 0, b"123456")),
    broken("a RST_STREAM of 5 bytes", S, frame(RST_STREAM, 0, 1, b"12345")),
    broken("a RST_STREAM of the connection", S, frame(RST_STREAM, 0, 0, b"1234")),
    broken("a PING of 7 bytes", S, frame(PING, 0, 0, b"1234567")),
    broken("a GOAWAY of 7 bytes", S, frame(GOAWAY, 0, 0, b"1234567")),
    broken("a WINDOW_UPDATE of 3 bytes", C, frame(WINDOW_UPDATE, 0, 1, b"123")),
    broken("a client that pushes", C, frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2\x82")),
    broken("a promise of nothing", S, frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0")),
    broken("a CONTINUATION of nothing", C, frame(CONTINUATION, END_HEADERS, 1, plain(request()))),
    broken("a CONTINUATION of another stream", C, frame(HEADERS, 0, 3) + frame(CONTINUATION, 0, 5), lost=1),
    broken("DATA inside of a header block", C, frame(HEADERS, 0, 3) + frame(DATA, 0, 1, b"x"), lost=1),
    broken(
        "HEADERS inside of a header block", C, frame(HEADERS, 0, 3) + frame(HEADERS, END_HEADERS, 5), lost=2
    ),
    broken("the same HEADERS inside of a header block", C, frame(HEADERS, 0, 3) * 2, lost=1),
    broken("an index beyond the table", C, frame(HEADERS, END_HEADERS, 3, b"\xbe"), lost=1),
    broken("index 0", S, frame(HEADERS, END_HEADERS, 1, b"\x80")),
    broken("a string that overruns its block", S, frame(HEADERS, END_HEADERS, 1, b"\0\1a\x7f")),
    broken("an integer without an end", S, frame(HEADERS, END_HEADERS, 1, b"\xff" * 9)),
    broken("a table larger than was allowed", C, frame(HEADERS, END_HEADERS, 3, b"\x3f\xe2\x1f"), lost=1),
    broken(
        "a field cut in two", C, frame(HEADERS, 0, 3, b"\0") + frame(CONTINUATION, END_HEADERS, 3), lost=1
    ),
    broken(
        "a header block too long",
        C,
        frame(HEADERS, END_HEADERS, 3, b"\x82" * 70_000),
        "head_too_long",
        lost=1,
    ),
    broken(
        "a header block too long by its end",
        C,
        frame(HEADERS, 0, 3, b"x" * 40_000) + frame(CONTINUATION, 0, 3, b"x" * 40_000),
        "head_too_long",
        lost=1,
    ),
    broken("fields too long", S, frame(HEADERS, END_HEADERS, 1, b"\x82" * 2000), "head_too_long"),
    broken("a SETTINGS too long", S, frame(SETTINGS, 0, 0, b"123456" * 20_000), "head_too_long"),
]
