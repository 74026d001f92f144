"""Content of a body: content codings taken off, JSON read.

Promises: inflating stops at the limit, so that a bomb costs its limit and no more; JSON is read in time and
memory proportional to its text, however it is nested, and its text is bounded by `JSON_FLOOR`.
"""

from __future__ import annotations

import json
import zlib
from typing import TypeVar

import msgspec

from exporter.schema import Limits
from sidecar.decode.outcome import DecodeError
from sidecar.exchange import Exchange

JSON_FLOOR = 2_097_152
"""Bytes of JSON that are read of one body, or `limits.body_bytes` where that is more. The values can take 24
times their text (``{},``), 50 MB here, where raw tensors take once their size; so what may be inflated for
tensors, 16 MiB by default, must not be for JSON. Ten thousand rows of 20 numbers are about 1.6 MB."""

_MOST_MEMBERS = 16
# RFC 1952 allows a gzip body of many members; each pass copies what is left, so their number is bounded.

_BOM = b"\xef\xbb\xbf"

T = TypeVar("T")


def request_content(exchange: Exchange, limits: Limits) -> bytes:
    """The request's body with its content coding taken off; raises DecodeError, also when it was cut."""
    if not exchange.request_body_complete:
        raise DecodeError("truncated", "the request's body was cut")
    coding = exchange.request_headers.get(b"content-encoding")
    return (
        exchange.request_body
        if coding is None
        else inflate(exchange.request_body, coding, limits.inflated_bytes)
    )


def response_content(exchange: Exchange, limits: Limits) -> bytes:
    """The answer's body with its content coding taken off; raises DecodeError, also when it was cut."""
    if not exchange.response_body_complete:
        raise DecodeError("truncated", "the answer's body was cut")
    coding = exchange.response_headers.get(b"content-encoding")
    return (
        exchange.response_body
        if coding is None
        else inflate(exchange.response_body, coding, limits.inflated_bytes)
    )


def inflate(body: bytes, coding: bytes, limit: int) -> bytes:
    """*body* with *coding* taken off, at most *limit* bytes; raises DecodeError.

    >>> inflate(zlib.compress(b"{}"), b"deflate", 100)
    b'{}'
    """
    name = coding.strip().lower()
    if name in (b"identity", b"") or not body:
        return body
    try:
        if name in (b"gzip", b"x-gzip"):
            return _inflate_members(body, limit)
        if name == b"deflate":
            # RFC 9110 section 8.4.1.2: deflate is the zlib format, "some non-conformant implementations
            # send the "deflate" compressed data without the zlib wrapper". A wrapper's first nibble is 8
            # (RFC 1950); of bare data it would be a stored block with a padding that nobody writes.
            wrapped = body[0] & 15 == 8
            content, _ = _inflate_one(body, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS, limit)
            return content
    except zlib.error as error:
        raise DecodeError("bad_encoding", f"{name.decode('latin-1')}: {error}") from None
    raise DecodeError("bad_encoding", f"expected gzip or deflate, got {coding!r}")


def _inflate_one(body: bytes, wbits: int, limit: int) -> tuple[bytes, bytes]:
    """One compressed stream, and what follows it."""
    inflater = zlib.decompressobj(wbits)
    content = inflater.decompress(body, limit + 1)  # 0 would mean no limit
    if len(content) > limit:
        raise DecodeError("too_large", f"inflated body: expected at most {limit} bytes")
    if not inflater.eof:
        raise DecodeError("bad_encoding", "the compressed stream ends early")
    return content, inflater.unused_data


def _inflate_members(body: bytes, limit: int) -> bytes:
    content, rest = _inflate_one(body, zlib.MAX_WBITS | 16, limit)
    members = 1
    while rest:
        if members == _MOST_MEMBERS:
            raise DecodeError("bad_encoding", f"gzip: expected at most {_MOST_MEMBERS} members")
        more, rest = _inflate_one(rest, zlib.MAX_WBITS | 16, limit - len(content))
        content += more
        members += 1
    return content


def read_json(decoder: msgspec.json.Decoder[T], text: bytes, limits: Limits) -> T:
    """*text* as the decoder's structure; raises DecodeError.

    Of repeated keys the last one counts, as in Python, JavaScript and Go. The tokens NaN, Infinity and
    -Infinity, which are not JSON but what Python's own writer sends, are read as what they say; so is
    a number beyond float64 (1e400), as infinity. A byte order mark is passed over, as Python's reader does.
    """
    if len(text) > JSON_FLOOR and len(text) > limits.body_bytes:
        raise DecodeError("too_large", f"JSON: expected at most {JSON_FLOOR} bytes, got {len(text)}")
    try:
        return decoder.decode(text)
    except ValueError as error:  # msgspec.DecodeError, and UnicodeDecodeError of its strings
        if text.startswith(_BOM):
            return read_json(decoder, text.replace(_BOM, b" ", 1), limits)
        if b"NaN" in text or b"Infinity" in text or "out of range" in str(error):
            return _read_lenient_json(decoder, text)
        raise DecodeError("bad_json", str(error)) from None
    except RecursionError:
        raise DecodeError("bad_json", "nested too deeply") from None


def _read_lenient_json(decoder: msgspec.json.Decoder[T], text: bytes) -> T:
    try:
        value = json.loads(text.decode("utf-8"))
        if b"\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # refuses halves of surrogate pairs
        return msgspec.convert(value, decoder.type)
    except (ValueError, RecursionError) as error:  # of msgspec, json, and int's limit of 4,300 digits
        raise DecodeError("bad_json", str(error)) from None
