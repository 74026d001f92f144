"""`decode` over gRPC: unary calls of every known method, of any two bodies."""

from __future__ import annotations

import struct

from exporter.schema import Limits
from sidecar.decode import decode
from sidecar.decode.calls import CALLS
from sidecar.exchange import Exchange
from sidecar.wire.http2 import Http2Connection
from tests.fuzz.outcomes import check
from tests.wire import captures

LIMITS = Limits(inflated_bytes=1 << 20)
METHODS = (*sorted(CALLS), b"/grpc.health.v1.Health/Check")
_HEAD = struct.Struct("<BBHI")
WORDS = [
    b"\x00\x00\x00\x00", b"\x0a", b"\x12", b"\x2a\x05", b"\x3a\x04\x00\x00\x80\x3f", b"FP32", b"BYTES", b"INT8", b"\xff\xff\xff\xff\x0f",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x1a\x02\x01\x02", b"binary_data_size", b"shared_memory_region", b"\x32\x00", b"\x08\x01",
]  # fmt: skip


def exchanges() -> list[Exchange]:
    """The unary calls of the captures."""
    found: list[Exchange] = []
    for name in captures.GRPC_NAMES:
        connection = Http2Connection(65536, 1 << 20)
        for now, (direction, data) in enumerate(captures.steps(name), 1):
            found += [each for each in connection.receive(direction, data, now) if isinstance(each, Exchange)]
    return found


def seeds() -> list[bytes]:
    made = []
    for exchange in exchanges():
        if exchange.target in METHODS and len(exchange.request_body) + len(exchange.response_body) < 6000:
            head = _HEAD.pack(METHODS.index(exchange.target), 0, 0, len(exchange.request_body))
            made.append(head + exchange.request_body + exchange.response_body)
    return made


def target(data: bytes) -> None:
    if len(data) < _HEAD.size:
        return
    method, flags, _, length = _HEAD.unpack_from(data)
    rest = data[_HEAD.size :]
    headers = {b"content-type": b"application/grpc"}
    if flags & 1:
        headers[b"grpc-encoding"] = b"gzip"
    exchange = Exchange(
        "grpc", b"POST", METHODS[method % len(METHODS)], headers, rest[:length], 200, headers, rest[length:],
        started=1, answered=2, ended=3, trailers={b"grpc-status": b"0" if flags < 128 else b"3"},
    )  # fmt: skip
    check(decode(exchange, LIMITS))
