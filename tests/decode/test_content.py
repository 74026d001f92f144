"""Content codings: taken off up to a limit, and never beyond."""

from __future__ import annotations

import time
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.schema import Limits
from sidecar.decode.bodies import ANY
from sidecar.decode.content import inflate, read_json
from sidecar.decode.outcome import DecodeError
from tests.decode.build import gzipped


def bare(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def reason(body: bytes, coding: bytes, limit: int) -> str:
    with pytest.raises(DecodeError) as caught:
        inflate(body, coding, limit)
    return caught.value.reason


@given(st.binary(max_size=300))
def test_every_coding_comes_off(data: bytes) -> None:
    limit = len(data)
    assert inflate(gzipped(data), b"gzip", limit) == data
    assert inflate(gzipped(data), b" X-GZIP", limit) == data
    assert inflate(zlib.compress(data), b"Deflate", limit) == data
    assert inflate(bare(data), b"deflate", limit) == data
    assert inflate(data, b"identity", limit) == data


def test_a_body_of_several_members_is_one_body() -> None:
    assert inflate(gzipped(b"one ") + gzipped(b"") + gzipped(b"two"), b"gzip", 7) == b"one two"
    assert reason(gzipped(b"one ") + gzipped(b"two"), b"gzip", 6) == "too_large"
    assert reason(gzipped(b"") * 17, b"gzip", 6) == "bad_encoding"


def test_an_empty_body_is_empty_in_every_coding() -> None:
    assert inflate(b"", b"gzip", 0) == b""


@pytest.mark.parametrize("coding", [b"br", b"gzip, gzip", b"zstd", b"x"])
def test_other_codings_are_refused(coding: bytes) -> None:
    assert reason(gzipped(b"data"), coding, 100) == "bad_encoding"


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
def test_corrupt_and_cut_streams_are_refused(coding: bytes) -> None:
    good = gzipped(b"some data" * 10) if coding == b"gzip" else zlib.compress(b"some data" * 10)
    assert reason(good[:-1], coding, 1000) == "bad_encoding"
    assert reason(good[:5], coding, 1000) == "bad_encoding"
    assert reason(b"\xff" + good, coding, 1000) == "bad_encoding"
    assert reason(b"x", coding, 1000) == "bad_encoding"
    if coding == b"gzip":
        assert reason(good + b"behind", coding, 1000) == "bad_encoding"


def test_a_bomb_costs_its_limit_and_no_more() -> None:
    bomb = gzipped(bytes(50_000_000))
    tracemalloc.start()
    try:
        begun = time.monotonic()
        assert reason(bomb, b"gzip", 1_000_000) == "too_large"
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
        assert time.monotonic() - begun < 5
    finally:
        tracemalloc.stop()


def test_a_byte_order_mark_is_passed_over_once() -> None:
    mark = b"\xef\xbb\xbf"
    assert read_json(ANY, mark + b'{"a": "x"}', Limits()) == {"a": "x"}
    assert str(read_json(ANY, mark + b"[NaN]", Limits())) == "[nan]"
    for text in (mark, mark + mark + b"[]", b"[" + mark + b"]"):
        with pytest.raises(DecodeError) as caught:
            read_json(ANY, text, Limits())
        assert caught.value.reason == "bad_json"
