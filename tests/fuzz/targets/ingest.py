"""CloudEvents: events or a refusal; and where an event without a path belongs."""

from __future__ import annotations

from exporter.schema import Limits
from sidecar.ingest.dialect import locate
from sidecar.ingest.event import EventError, parse

_TYPES = (
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "application/json",
    "application/octet-stream",
)
_ATTRIBUTES = {
    "ce-specversion": "1.0", "ce-type": "org.kubeflow.serving.inference.request", "ce-id": "7", "ce-source": "s",
    "ce-inferenceservicename": "iris",
}  # fmt: skip
WORDS = [
    b'"specversion":"1.0"', b'"type":"a.inference.request"', b'"id":"1"', b'"source":"s"', b'"data":', b'"data_base64":"e30="',
    b'"metadata":"{}"', b'"status":"200"', b'{"instances":[[1]]}', b'{"inputs":[{"name":"x","datatype":"FP32"}]}', b'"time":"2026-01-01T00:00:00Z"',
    b"\x1f\x8b\x08", b'"cut":"true"', b"\\", b'"', b'\\"', b"{", b"}", b'"\\ud800"', b'"modelname":"m"', b'"path":"/v1/models/m:predict"',
]  # fmt: skip


def seeds() -> list[bytes]:
    one = b'{"specversion":"1.0","type":"a.inference.request","id":"1","source":"s","data":{"instances":[[1,2]]}}'
    return [
        b"\x00" + one,
        b"\x01[" + one + b"," + one.replace(b'"data":{"instances":[[1,2]]}', b'"data_base64":"e30="') + b"]",
        b'\x02{"instances": [[1, 2]]}',
        b'\x03{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}}]}\x00\x00\x80\x3f',
        b'\x02{"dataframe_split":{"columns":["a"],"data":[[1]]}}',
    ]


def target(data: bytes) -> None:
    if not data:
        return
    headers = {"content-type": _TYPES[data[0] % 4]} | (_ATTRIBUTES if data[0] & 2 else {})
    try:
        found, others = parse(headers, data[1:])
    except EventError:
        return
    assert others >= 0
    for event in found:
        assert event.unit
        locate(event, Limits())
        assert not event.json_length.isdigit() or int(event.json_length) >= 0
