"""Server-sent events: the body of a streamed answer as events.

Promises: whatever the bytes, no exception; memory of at most 20 times their size (which `event_stream`
bounds), and one pass over them. Lines end with CRLF, LF or CR; byte order mark, comments, unknown fields are
passed over; the lines of `data` of one event are joined by LF; an event without data is none.
Refuses: any meaning of the data.

Where the standard drops an event whose blank line never came, it is given here with `ended` False: servers
send ``data: [DONE]`` as their last bytes, and a body that is known to be whole can be read to its end.

Source: html.spec.whatwg.org section 9.2.6, "Interpreting an event stream"; and, for the field ``error`` which
the standard would ignore, ggml-org/llama.cpp pull request 16109: until then it sent failures so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from exporter.schema import Limits
from sidecar.decode.content import JSON_FLOOR, response_content
from sidecar.decode.outcome import DecodeError
from sidecar.exchange import Exchange

_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event."""

    name: bytes
    """Of the field ``event``; empty for the default; ``error`` too where a field of that name stood."""
    data: bytes
    ended: bool = True
    """False for the last one, when no blank line followed it."""


def streamed(exchange: Exchange) -> bool:
    """Whether the answer says that it is an event stream."""
    content_type = exchange.response_headers.get(b"content-type", b"")
    return content_type.partition(b";")[0].strip().lower() == b"text/event-stream"


def event_stream(exchange: Exchange, limits: Limits) -> Iterator[Event]:
    """The events of the answer; raises DecodeError before the first one: truncated, encoding, too large.

    The bound on a text is that of JSON, as the data of these events are.
    """
    text = response_content(exchange, limits)
    if len(text) > JSON_FLOOR and len(text) > limits.body_bytes:
        raise DecodeError("too_large", f"events: expected at most {JSON_FLOOR} bytes, got {len(text)}")
    return events(text)


def events(text: bytes) -> Iterator[Event]:
    """The events of *text*, in order.

    >>> list(events(b": hello\\n\\nevent: add\\r\\ndata: 1\\rdata:2\\n\\ndata: [DONE]"))
    [Event(name=b'add', data=b'1\\n2', ended=True), Event(name=b'', data=b'[DONE]', ended=False)]
    """
    name = b""
    data: list[bytes] = []
    for line in text.removeprefix(_BOM).splitlines():  # of bytes: at CRLF, LF and CR, and nowhere else
        if not line:
            if data:
                yield Event(name, b"\n".join(data))
                data = []
            name = b""
            continue
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
        elif field == b"error":
            name = b"error"
            data.append(value.removeprefix(b" "))
    if data:
        yield Event(name, b"\n".join(data), ended=False)
