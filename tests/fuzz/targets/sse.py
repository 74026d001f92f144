"""`sse.events`: no more comes out than went in, and only the last event can be without its end."""

from __future__ import annotations

from sidecar.decode.sse import events

WORDS = [
    b"data: ",
    b"data:",
    b"event: e",
    b"error: {}",
    b":",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\xef\xbb\xbf",
    b"[DONE]",
]


def seeds() -> list[bytes]:
    return [
        b': ping\n\ndata: {"choices":[]}\r\n\r\nevent: e\rdata: 1\rdata:2\r\rdata: [DONE]\n\n',
        b'\xef\xbb\xbfdata: {"model_name":"m","text_output":"a"}\n\ndata: {"error":"e"}\n\n',
    ]


def target(data: bytes) -> None:
    found = list(events(data))
    assert sum(len(event.data) + len(event.name) for event in found) <= len(data)
    assert all(event.ended for event in found[:-1])
    assert [event for event in events(data + b"\n\n") if event.ended][: len(found)] == [
        event._replace(ended=True) for event in found
    ]
