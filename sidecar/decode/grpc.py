"""gRPC: messages out of bodies, compression taken off, protobuf read; and a peep into what can not be read.

Promises: a message costs at most `limits.inflated_bytes` inflated; one of more than `UNCOUNTED` bytes is not
handed to protobuf before its fields were counted, since two bytes on the wire (an empty field) become 40 in
memory, and an integer of one byte becomes 8.

Source: grpc/grpc ``doc/PROTOCOL-HTTP2.md`` (Length-Prefixed-Message, Message-Encoding) and
``doc/compression.md``; protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TypeVar

from google.protobuf.message import DecodeError as ProtobufError
from google.protobuf.message import Message as Protobuf

from exporter.schema import Limits
from sidecar.decode.content import inflate
from sidecar.decode.outcome import DecodeError
from sidecar.exchange import Exchange

UNCOUNTED = 2_097_152
"""Bytes of a message up to which its fields are not counted before it is read; and the most bytes that are
read of values that must be converted, since of those one may be 25 in memory. Raw ones are not limited so."""

MOST_FIELDS = 16_384
"""Fields of a longer message: 4,096 tensors, which is as many as are looked at, take two each and one."""

_PREFIX = 5
_prefix = struct.Struct(">BI").unpack_from
# 0 or 1 for compressed, and the length.

_PEEP_BYTES = 4_096
_PEEP_FIELDS = 64
# What is looked at for a model's name; field 1 comes first in what every library writes.

P = TypeVar("P", bound=Protobuf)


def request_message(exchange: Exchange, limits: Limits) -> bytes:
    """The only message of the request, inflated; raises DecodeError, also when it was cut."""
    if not exchange.request_body_complete:
        raise DecodeError("truncated", "the request's body was cut")
    return only_message(exchange.request_body, exchange.request_headers, limits)


def response_message(exchange: Exchange, limits: Limits) -> bytes:
    """The only message of the answer, inflated; raises DecodeError, also when it was cut."""
    if not exchange.response_body_complete:
        raise DecodeError("truncated", "the answer's body was cut")
    return only_message(exchange.response_body, exchange.response_headers, limits)


def only_message(body: bytes, headers: Mapping[bytes, bytes], limits: Limits) -> bytes:
    """The message of a body that is one, inflated; raises DecodeError.

    >>> only_message(bytes([0, 0, 0, 0, 2]) + b"hi", {}, Limits())
    b'hi'
    """
    if len(body) < _PREFIX:
        raise DecodeError("bad_message", f"expected one message, got {len(body)} bytes")
    flag, length = _prefix(body)
    if length != len(body) - _PREFIX or flag > 1:
        raise DecodeError(
            "bad_message", f"flag {flag} and length {length} before {len(body) - _PREFIX} bytes"
        )
    message = body[_PREFIX:]
    return inflated(message, headers, limits) if flag else message


def inflated(message: bytes, headers: Mapping[bytes, bytes], limits: Limits) -> bytes:
    """A message that is flagged as compressed, inflated; raises DecodeError.

    *headers* are those that came before it. gRPC's deflate is the zlib format. An empty message is flagged
    by some writers and compressed by none.
    """
    coding = headers.get(b"grpc-encoding", b"").strip().lower()
    if coding not in (b"gzip", b"deflate"):
        raise DecodeError("bad_encoding", f"grpc-encoding: expected gzip or deflate, got {coding!r}")
    return inflate(message, coding, limits.inflated_bytes)


def parse(kind: type[P], message: bytes) -> P:
    """*message* as protobuf's *kind*; raises DecodeError."""
    if len(message) > UNCOUNTED and sum(1 for _ in islice(fields(message), MOST_FIELDS)) == MOST_FIELDS:
        raise DecodeError("too_large", f"expected fewer than {MOST_FIELDS} fields")
    try:
        return kind.FromString(message)
    except ProtobufError as error:
        raise DecodeError("bad_message", str(error)) from None


def check_converted(message: bytes, raw: frozenset[int]) -> None:
    """Raise DecodeError if fields other than *raw*, which are used as they are, are too much to convert."""
    if len(message) <= UNCOUNTED:
        return
    total = 0
    count = 0
    for number, value in islice(fields(message), MOST_FIELDS):
        count += 1
        if number not in raw:
            total += len(value) if isinstance(value, bytes) else 1
    if total > UNCOUNTED or count == MOST_FIELDS:
        raise DecodeError("too_large", f"expected at most {UNCOUNTED} bytes of values to convert")


# Without protobuf, which reads a message whole or not at all


def peep(exchange: Exchange) -> bytes:
    """As much of the beginning of the request's message as there is, or little if it is compressed.

    >>> peep(Exchange("grpc", b"POST", b"/package.Service/Method", {}, bytes([0, 0, 0, 0, 9]) + b"begin"))
    b'begin'
    """
    body = exchange.request_body
    if len(body) <= _PREFIX or body[0] > 1:
        return b""
    if not body[0]:
        return body[_PREFIX:]
    coding = exchange.request_headers.get(b"grpc-encoding", b"").strip().lower()
    bits = {b"gzip": zlib.MAX_WBITS | 16, b"deflate": zlib.MAX_WBITS}.get(coding)
    if bits is None:
        return b""
    try:
        return zlib.decompressobj(bits).decompress(body[_PREFIX:], _PEEP_BYTES)
    except zlib.error:
        return b""


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of the fields at the beginning of *message*, as far as they can be read.

    Values are bytes, or the number of a varint; of fixed-size fields the bytes.

    >>> list(fields(bytes([0x0A, 1, 0x6D, 0x10, 0x96, 0x01, 0x22, 9])))
    [(1, b'm'), (2, 150)]
    """
    position = 0
    end = len(message)
    while position < end:
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == 0:
            number, position = _varint(message, position)
            if position <= end:
                yield tag >> 3, number
            continue
        if kind == 2:
            length, position = _varint(message, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            return
        if position + length > end:
            return
        yield tag >> 3, message[position : position + length]
        position += length


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """The varint at *position* and what comes behind it; where there is none, behind the message's end."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    return 0, len(message) + 1


def first_fields(message: bytes) -> dict[int, int | bytes]:
    """The first few `fields` by number; of repeated ones the last."""
    return dict(islice(fields(message), _PEEP_FIELDS))


def text(value: int | bytes | None) -> str:
    """A field's bytes as text; bytes that are not UTF-8 read ``\\xff``. Empty for what is no bytes."""
    return value[:_PEEP_BYTES].decode("utf-8", "backslashreplace") if isinstance(value, bytes) else ""
