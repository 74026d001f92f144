"""Hostile bytes that are too large for mutations: bombs, floods and lies, each with its outcome and its memory.

Peak memory stays under 100 times the bytes received and 1 MiB, or, where a stated limit is what bounds it, under
it: `limits.inflated_bytes`, with its copy. Nothing is timed, but a case that is not linear would not end.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from exporter.schema import Configuration, Limits
from sidecar.decode import Failed, Outcome, Undecodable, decode
from sidecar.decode.routes import make_routes
from sidecar.exchange import Exchange
from sidecar.framing import PREFACE
from sidecar.wire.body import Held
from sidecar.wire.http1 import Http1Connection
from sidecar.wire.http2 import Http2Connection
from tests.decode.build import exchange, mixed, tensor

MIB = 1 << 20
LIMITS = Limits()
ROUTES = make_routes(Configuration())
V2, V1, CHAT, GENERATE = (
    b"/v2/models/m/infer",
    b"/v1/models/m:predict",
    b"/v1/chat/completions",
    b"/v2/models/m/generate_stream",
)
GZIP, DEFLATE = {b"content-encoding": b"gzip"}, {b"content-encoding": b"deflate"}
STREAM = {b"content-type": b"text/event-stream"}
INFLATED = 3 * LIMITS.inflated_bytes
"""The content, its copy that the limit cuts, and what zlib holds."""


def peak(work: Callable[[], Any]) -> tuple[Any, int]:
    """What *work* returns, and the most that it held at once, bytes."""
    tracemalloc.start()
    try:
        return work(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def bomb(size: int, wbits: int = 31) -> bytes:
    """*size* zeros, compressed as far as they go."""
    compressor = zlib.compressobj(9, wbits=wbits)
    return b"".join([*(compressor.compress(bytes(MIB)) for _ in range(size // MIB)), compressor.flush()])


BILLION = bomb(1 << 30)
"""1 MB that is 1 GB."""
ANSWER = b'{"model_name":"m","outputs":[{"name":"y","shape":[1],"datatype":"FP32","data":[1]}]}'


def lying(**declared: Any) -> bytes:
    return json.dumps({"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", **declared}]}).encode()


def case(name: str, request: Exchange, reason: str, *, stated: int = 0) -> Any:
    return pytest.param(request, reason, stated, id=name)


LONG = 262_144
DECODED = [
    case("gzip bomb", exchange(BILLION, ANSWER, target=V2, request_headers=GZIP), "too_large", stated=INFLATED),
    case("deflate bomb", exchange(bomb(1 << 30, 15), ANSWER, target=V2, request_headers=DEFLATE), "too_large", stated=INFLATED),
    case("gzip bomb of an answer", exchange(b"{}", BILLION, target=V1, response_headers=GZIP), "too_large", stated=INFLATED),
    case("gzip bomb of a stream", exchange(b"{}", BILLION, target=CHAT, response_headers=GZIP | STREAM), "too_large", stated=INFLATED),
    case("bomb in a bomb", exchange(gzip.compress(BILLION), ANSWER, target=V2, request_headers=GZIP), "bad_json", stated=INFLATED),
    case("many members", exchange(gzip.compress(b"{}") * 10_000, ANSWER, target=V2, request_headers=GZIP), "bad_encoding"),
    case("a bomb after members", exchange(gzip.compress(b"{}") + BILLION, ANSWER, target=V2, request_headers=GZIP), "too_large", stated=INFLATED),
    *(case(f"a million brackets to {target!r}", exchange(b"[" * MIB, ANSWER, target=target), "bad_json") for target in (V2, V1, CHAT, GENERATE)),
    *(
        case(f"{LONG} bytes of {text!r} to {target!r}", exchange((text * LONG)[:LONG], ANSWER, target=target), "bad_json")
        for text in (b'{"a":', b"[{", b"[[],")
        for target in (V2, V1, CHAT, GENERATE)
    ),
    case("nested instances", exchange(b'{"instances":' + b"[" * (MIB // 2) + b"]" * (MIB // 2) + b"}", b'{"predictions":[1]}', target=V1), "bad_json"),
    case("brackets in a stream", exchange(b"{}", b"data: " + b"[" * MIB + b"\n\n", target=CHAT, response_headers=STREAM), "bad_json"),
    case("an event of lines", exchange(b"{}", b"data:\n" * 300_000 + b"\n", target=CHAT, response_headers=STREAM), "bad_json"),
    case("a shape of 2^31", exchange(lying(shape=[1 << 31], data=[1]), ANSWER, target=V2), "bad_tensor"),
    case("a shape of 2^31 squared", exchange(lying(shape=[1 << 31, 1 << 31], data=[]), ANSWER, target=V2), "bad_tensor"),
    case("a shape below zero", exchange(lying(shape=[-1], data=[1]), ANSWER, target=V2), "bad_json"),
    case("a shape of 10,000 dimensions", exchange(lying(shape=[1] * 10_000, data=[1]), ANSWER, target=V2), "bad_json"),
    case("2^31 binary bytes", exchange(lying(parameters={"binary_data_size": 1 << 31}), ANSWER, target=V2), "bad_tensor"),
    case("text of 2^31 bytes", exchange(mixed("inputs", [(tensor("x", "BYTES", [1]), b"\x00\x00\x00\x80")])[0], ANSWER, target=V2,
         request_headers={b"inference-header-content-length": b"%d" % mixed("inputs", [(tensor("x", "BYTES", [1]), b"\x00\x00\x00\x80")])[1]}), "bad_tensor"),
    case("a JSON length of 2^31", exchange(b"{}", ANSWER, target=V2, request_headers={b"inference-header-content-length": b"2147483648"}), "bad_header"),
    case("rows that share no key", exchange(json.dumps({"instances": [{str(n): 1} for n in range(20_000)]}).encode(), b'{"predictions":[1]}', target=V1), "bad_tensor"),
    case("responses that share no key", exchange(b"{}", b"".join(b'data: {"%d":1}\n\n' % n for n in range(20_000)), target=GENERATE, response_headers=STREAM), "bad_tensor"),
    case("a number of a million digits", exchange(b'{"instances":[' + b"9" * MIB + b"]}", b'{"predictions":[1]}', target=V1), "bad_json"),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "reason", "stated"), DECODED)
def test_hostile_bodies_are_told_and_cost_what_they_may(sent: Exchange, reason: str, stated: int) -> None:
    outcome: Outcome
    outcome, most = peak(lambda: decode(sent, LIMITS, ROUTES))
    assert isinstance(outcome, Undecodable | Failed)
    assert outcome.reason == reason
    assert most < max(100 * (len(sent.request_body) + len(sent.response_body)) + MIB, stated)
    if stated:
        assert most < stated + MIB


HEADER_LIMIT, BODY_LIMIT = 65_536, 262_144


def fed(connection: Http1Connection | Http2Connection, *sent: tuple[int, bytes]) -> Callable[[], list[Any]]:
    """Feeds *sent* in pieces as large as a tap reads them."""

    def work() -> list[Any]:
        done = []
        for direction, data in sent:
            for start in range(0, len(data), 65_536):
                done += connection.receive(direction, data[start : start + 65_536], 1)
        return done

    return work


POST = b"POST /v2/models/m/infer HTTP/1.1\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
HTTP1 = [
    pytest.param(CHUNKED + b"1;" + b"x" * MIB + b"\r\n", {"bad_request": 1}, 0, id="a chunk extension of 1 MiB"),
    pytest.param(CHUNKED + b"1;a=b\r\nx\r\n" * 200_000 + b"0\r\n\r\n", {}, 1, id="a flood of chunk extensions"),
    pytest.param(CHUNKED + b"0\r\n" + b"a: b\r\n" * 200_000 + b"\r\n", {"bad_request": 1}, 0, id="a flood of trailers"),
    pytest.param(CHUNKED + b"7fffffffffffffff\r\n" + b"x" * MIB, {}, 1, id="a chunk of 2^63 bytes"),
    pytest.param(POST + b"".join(b"h%d: x\r\n" % n for n in range(100_000)) + b"\r\n", {"head_too_long": 1}, 0, id="100,000 headers"),
    pytest.param(POST + b"a:b\r\n" * 13_000 + b"\r\n", None, None, id="headers up to the limit"),
    pytest.param(POST + b"a: " + b"x" * MIB, {"head_too_long": 1}, 0, id="a header of 1 MiB"),
    pytest.param(b"POST /" + b"x" * MIB, {}, 0, id="a target of 1 MiB"),
    pytest.param(POST + b"Content-Length: 99999999999999999999999\r\n\r\n", {"bad_request": 1}, 0, id="a length of 10^23"),
    pytest.param(POST + b"Content-Length: 2147483648\r\n\r\n" + b"x" * MIB, {}, 1, id="a length of 2^31"),
    pytest.param(b"GET / HTTP/1.1\r\n\r\n" * 50_000, None, None, id="50,000 requests at once"),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "losses", "returned"), HTTP1)
def test_hostile_http1_is_told_and_costs_what_it_may(sent: bytes, losses: Any, returned: int | None) -> None:
    connection = Http1Connection(HEADER_LIMIT, BODY_LIMIT, Held(16 * MIB))

    def work() -> int:
        done = fed(connection, (0, sent), (1, OK))()
        return len(done) + len(connection.close(2))

    count, most = peak(work)
    assert connection.begun == connection.finished + connection.lost
    assert most < min(100 * len(sent) + MIB, 16 * MIB + 4 * HEADER_LIMIT)
    if losses is not None:
        assert (connection.losses, count) == (losses, returned)


def frames(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame of RFC 9113."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


GET = b"\x82\x86\x84"
STORED = b"\x40\x01a" + b"\x7f\x80\x1f" + b"v" * 4095
"""A field of 4,096 bytes, put into the table."""
HTTP2 = [
    pytest.param(frames(1, 1, 1, GET) + frames(9, 0, 1, b"x" * 16_000) * 100, id="CONTINUATION out of place"),
    pytest.param(frames(1, 1, 1, GET) + frames(1, 1, 3, b"")[:9], id="a header block without an end"),
    pytest.param(frames(1, 1, 1, b"")[:3] + b"\x01\x01\x00\x00\x00\x01" + frames(9, 0, 1, b"") * 100_000, id="a flood of empty CONTINUATION"),
    pytest.param(frames(1, 1, 1, GET) + b"".join(frames(9, 0, 1, b"\x00\x01a\x01b" * 3000) for _ in range(200)), id="a flood of CONTINUATION"),
    pytest.param(frames(1, 5, 1, GET + STORED) + b"".join(frames(1, 5, 2 * n + 1, GET + b"\xbe" * 16_000) for n in range(1, 60)), id="an HPACK bomb"),
    pytest.param(b"".join(frames(1, 5, 2 * n + 1, GET + b"\x3f\xe1\xff\x03" * 4) for n in range(1000)), id="table sizes"),
    pytest.param(frames(1, 5, 1, GET + b"\x40\x7f\xff\xff\xff\xff\x0f"), id="a name of 2^31 bytes"),
    pytest.param(frames(1, 5, 1, GET + b"\xff" * 16_000), id="an index without an end"),
    pytest.param(b"".join(frames(1, 4, 2 * n + 1, GET) for n in range(50_000)), id="50,000 streams at once"),
    pytest.param(b"".join(frames(1, 4, 2 * n + 1, GET) + frames(3, 0, 2 * n + 1, bytes(4)) for n in range(50_000)), id="rapid resets"),
    pytest.param(frames(4, 0, 0, b"\x00\x01\x00\x00\x10\x00" * 2000) * 20, id="a flood of SETTINGS"),
    pytest.param(b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + b"x" * MIB, id="a frame of 16 MiB"),
    pytest.param(b"\xff\xff\xff\x01\x04\x00\x00\x00\x01" + b"\x00" * MIB, id="a header frame of 16 MiB"),
    pytest.param(frames(0, 0, 1, b"") * 100_000, id="a flood of empty DATA"),
    pytest.param(frames(1, 4, 1, GET) + frames(0, 8, 1, b"\xff" + bytes(255)) * 4000, id="padding"),
    pytest.param(frames(6, 0, 0, bytes(8)) * 50_000, id="a flood of PING"),
]  # fmt: skip


@pytest.mark.parametrize("sent", HTTP2)
def test_hostile_http2_costs_what_it_may(sent: bytes) -> None:
    held = Held(16 * MIB)
    connection = Http2Connection(HEADER_LIMIT, BODY_LIMIT, held)
    work = fed(connection, (0, PREFACE + sent), (1, frames(4, 0, 0)))
    done, most = peak(lambda: work() + list(connection.close(2)))
    assert connection.begun == connection.finished + connection.lost
    assert connection.finished == len(done)
    assert held.bytes == 0
    assert most < min(100 * len(sent) + MIB, 64 * MIB)


def test_quotes_that_never_close_are_passed_once() -> None:
    program = "from sidecar.ingest.dialect import json_length as f; b = b'{\"' + b'\\\\\"' * 200_000; assert f(b) == len(b)"
    limited = "import resource; resource.setrlimit(resource.RLIMIT_CPU, (3, 3)); "  # linear, it takes 10 ms
    subprocess.run([sys.executable, "-c", limited + program], check=True)
