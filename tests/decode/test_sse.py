"""Server-sent events: the standard's own examples, every line ending, and whatever else may come."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.schema import Limits
from sidecar.decode.outcome import DecodeError
from sidecar.decode.sse import Event, event_stream, events, streamed
from tests.decode.build import exchange, gzipped

STREAM = {b"content-type": b"Text/Event-Stream; charset=utf-8"}


def data(text: bytes) -> list[bytes]:
    return [event.data for event in events(text) if event.ended]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The examples of section 9.2.6.
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [b"YHOO\n+2\n10"]),
        (b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n",
         [b"first event", b"second event"]),
        (b"data\n\ndata\ndata\n\ndata:", [b"", b"\n"]),
        (b"data:test\n\ndata: test\n\n", [b"test", b"test"]),
        # Lines.
        (b"data: a\r\n\r\ndata: b\r\rdata: c\n\r\n", [b"a", b"b", b"c"]),
        (b"data: a\rdata: b\r\ndata: c\n\n", [b"a\nb\nc"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"\n\xef\xbb\xbfdata: a\n\n", []),
        (b"data: a\x0b\x0c\x1c\x85b\n\n", [b"a\x0b\x0c\x1c\x85b"]),
        # Fields.
        (b"retry: 10\nid: 7\nDATA: a\ndata : a\n data: a\n:data: a\n\n", []),
        (b"event: e\n\ndata: a\n\n", [b"a"]),
        (b"data: a:b: c\n\n", [b"a:b: c"]),
        (b"", []),
        (b"\n\n\n", []),
    ],
)  # fmt: skip
def test_a_stream_is_read_as_the_standard_says(text: bytes, expected: list[bytes]) -> None:
    assert data(text) == expected


def test_a_name_belongs_to_one_event_alone() -> None:
    assert list(events(b"event: a\nevent:b\ndata: 1\n\ndata: 2\n\nevent: c\n\ndata: 3\n\n")) == [
        Event(b"b", b"1"), Event(b"", b"2"), Event(b"", b"3")
    ]  # fmt: skip


def test_an_event_without_its_blank_line_is_marked() -> None:
    assert list(events(b"data: 1\n\ndata: [DONE]")) == [Event(b"", b"1"), Event(b"", b"[DONE]", False)]


def test_llama_cpp_sends_failures_in_a_field_of_their_own() -> None:
    assert list(events(b'error: {"code":500}\n\ndata: [DONE]\n\n')) == [
        Event(b"error", b'{"code":500}'), Event(b"", b"[DONE]")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [(b"text/event-stream", True), (b" Text/Event-Stream ;charset=utf-8", True), (b"application/json", False), (b"", False)],
)  # fmt: skip
def test_the_content_type_tells_a_stream(content_type: bytes, expected: bool) -> None:
    assert streamed(exchange(response_headers={b"content-type": content_type})) is expected


def test_a_compressed_stream_is_inflated_first() -> None:
    headers = {**STREAM, b"content-encoding": b"gzip"}
    found = event_stream(exchange(b"", gzipped(b"data: 1\n\n"), response_headers=headers), Limits())
    assert list(found) == [Event(b"", b"1")]


@pytest.mark.parametrize(
    ("answer", "complete", "reason"),
    [(b"data: 1\n\n", False, "truncated"), (b"data: 1\n\n" * 300_000, True, "too_large")],
)
def test_what_is_cut_or_too_large_is_not_read(answer: bytes, complete: bool, reason: str) -> None:
    cut = exchange(b"", answer, response_headers=STREAM, response_body_complete=complete)
    with pytest.raises(DecodeError) as raised:
        event_stream(cut, Limits())
    assert raised.value.reason == reason


lines = st.lists(
    st.sampled_from([b"data", b"data: x", b"data:", b"event: e", b": c", b"", b"", b"\xff\x00", b"error: e"]), max_size=12
)  # fmt: skip
endings = st.sampled_from([b"\n", b"\r", b"\r\n"])


@settings(max_examples=300, deadline=None)
@given(lines, endings)
def test_line_endings_make_no_difference(written: list[bytes], ending: bytes) -> None:
    assert list(events(ending.join(written))) == list(events(b"\n".join(written)))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.binary(max_size=20).filter(lambda part: not set(part) & set(b"\r\n")), max_size=8),
    st.integers(0, 300),
)
def test_what_stands_before_a_cut_is_read_all_the_same(sent: list[bytes], at: int) -> None:
    text = b"".join(b"data: " + part + b"\n\n" for part in sent)
    assert data(text) == sent
    found = list(events(text[:at]))
    whole = [event.data for event in found if event.ended]
    assert whole == sent[: len(whole)]
    assert len(found) - len(whole) <= 1


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text("datevnr: \r\n", max_size=200).map(str.encode)))
def test_garbage_gives_no_more_than_it_holds(text: bytes) -> None:
    found = list(events(text))
    assert sum(len(event.data) + len(event.name) for event in found) <= len(text)
    assert all(event.ended for event in found[:-1])
