"""Events: every mode of the HTTP binding says the same, and what is wrong is told without the content."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from cloudevents.core.bindings.http import to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from sidecar.ingest.event import BATCH, MOST_EVENTS, STRUCTURED, Event, EventError, parse, unit
from tests.ingest.loggers import kserve, lower, seldon

ATTRIBUTES = {
    "specversion": "1.0",
    "id": "7/request",
    "source": 'urn:böse %20 "quelle"',
    "type": "io.modelmeter.inference.request",
    "datacontenttype": "application/json",
    "requestid": "7",
    "path": "/v2/models/m/infer",
    "modelname": "mödel",
    "modelversion": "3",
}
BODY = b'{"inputs": [1.50, "x"]}'


def one(headers: dict[str, str], body: bytes) -> Event:
    events, others = parse(headers, body)
    assert others == 0
    [event] = events
    return event


def structured(**changed: Any) -> bytes:
    document = {**ATTRIBUTES, **changed}
    return json.dumps({name: value for name, value in document.items() if value is not None}).encode()


def test_all_modes_of_the_sdk_say_the_same() -> None:
    event = CloudEvent(attributes=dict(ATTRIBUTES), data={"inputs": [1.5, "x"]})
    binary, wrapped = to_binary(event, JSONFormat()), to_structured(event, JSONFormat())
    encoded = to_structured(
        CloudEvent(attributes={**ATTRIBUTES, "datacontenttype": "application/octet-stream"}, data=b"\0\xff"),
        JSONFormat(),
    )
    assert b"data_base64" in encoded.body
    found = [
        one(lower(binary.headers), binary.body),
        one(lower(wrapped.headers), wrapped.body),
        one({"content-type": BATCH}, b"[" + wrapped.body + b"]"),
    ]
    for event_found in found:
        assert json.loads(event_found.body) == {"inputs": [1.5, "x"]}
        event_found.body = b""
    assert found == [found[0]] * 3
    assert found[0].time is not None  # the SDK's own
    found[0].time = None
    assert found[0] == Event(
        unit(ATTRIBUTES["source"], "", "", "", "", "", "7"), "request", b"", b"application/json",
        path=b"/v2/models/m/infer", model="mödel", version="3",
    )  # fmt: skip
    assert one(lower(encoded.headers), encoded.body).body == b"\0\xff"


@pytest.mark.parametrize(
    ("changed", "body"),
    [
        ({"data_base64": base64.b64encode(BODY).decode()}, BODY),
        ({"data": 1.50}, b"1.5"),
        ({"data": "text", "datacontenttype": "text/csv"}, b"text"),
        ({"data": "text"}, b'"text"'),
        ({"data": "text", "datacontenttype": "application/problem+json; charset=utf-8"}, b'"text"'),
        ({"data": {"a": 1}, "datacontenttype": "text/csv"}, b'{"a": 1}'),
        ({"data": None}, b""),
        ({}, b""),
    ],
)
def test_data_is_what_the_json_format_says(changed: dict[str, Any], body: bytes) -> None:
    assert one({"content-type": f"{STRUCTURED}; charset=utf-8"}, structured(**changed)).body == body


def test_json_data_keep_their_very_bytes() -> None:
    text = structured()[:-1] + b', "data": ' + BODY + b"}"
    assert one({"content-type": STRUCTURED}, text).body == BODY


def test_a_batch_keeps_its_order_and_counts_what_is_no_inference() -> None:
    feedback = structured(type="io.seldon.serving.feedback")
    answer = structured(type="io.modelmeter.inference.response", id="x", status=503)
    events, others = parse({"content-type": BATCH}, b"[" + b",".join([feedback, structured(), answer]) + b"]")
    assert [(event.half, event.status) for event in events] == [("request", 200), ("response", 503)]
    assert events[0].unit == events[1].unit
    assert others == 1


def test_halves_of_kserve_are_one_unit_and_differ_by_id_service_and_component() -> None:
    halves = [one(lower(kserve(half, "7")), b"{}") for half in ("request", "response")]
    assert halves[0].unit == halves[1].unit
    assert (halves[0].model, halves[0].version, halves[0].path) == ("sklearn-iris", "", b"")
    assert halves[1].time is not None
    assert halves[0].time is not None
    assert halves[1].time - halves[0].time == 0.5
    others = [
        one(lower(headers), b"{}")
        for headers in (
            kserve("request", "8"),
            kserve("request", "7", **{"Ce-Component": "transformer"}),
            kserve("request", "7", **{"Ce-Endpoint": "canary"}),
            kserve("request", "7", **{"Ce-Namespace": "other"}),
            kserve("request", "7", **{"Ce-Inferenceservicename": "other"}),
        )
    ]
    assert len({event.unit for event in [halves[0], *others]}) == 6
    assert [(event.model, event.version) for event in others[1:3]] == [
        ("sklearn-iris-transformer", ""),
        ("sklearn-iris", "canary"),
    ]


def test_halves_of_seldon_are_one_unit_for_each_node_of_a_graph() -> None:
    halves = [one(lower(seldon(half, "puid")), b"{}") for half in ("request", "response")]
    node = one(lower(seldon("request", "puid", **{"Ce-Modelid": "second"})), b"{}")
    assert halves[0].unit == halves[1].unit != node.unit
    assert (halves[0].model, node.model) == ("classifier", "second")


def test_kserves_metadata_tell_the_length_of_json_of_the_request_alone() -> None:
    metadata = {"Ce-Metadata": '{"Inference-Header-Content-Length":["12"]}'}
    lengths = [
        one(lower(kserve(half, "7", **metadata)), b"{}").json_length for half in ("request", "response")
    ]
    assert lengths == [b"12", b""]


def test_a_gzipped_body_is_known_by_its_first_bytes() -> None:
    assert one(lower(kserve("response", "7")), b"\x1f\x8b\x08rest").coding == b"gzip"


SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, b"", 415),
        ({"content-type": "application/json"}, b"{}", 415),
        ({"content-type": "application/cloudevents+avro"}, b"", 415),
        ({"content-type": STRUCTURED}, b"", 400),
        ({"content-type": STRUCTURED}, SECRET.encode(), 400),
        ({"content-type": STRUCTURED}, b"[]", 400),
        ({"content-type": BATCH}, b"{}", 400),
        ({"content-type": BATCH}, b"[1]", 400),
        ({"content-type": STRUCTURED}, structured(specversion="0.3"), 400),
        ({"content-type": STRUCTURED}, structured(specversion=None), 400),
        ({"content-type": STRUCTURED}, structured(id=None), 400),
        ({"content-type": STRUCTURED}, structured(source=""), 400),
        ({"content-type": STRUCTURED}, structured(type=None), 400),
        ({"content-type": STRUCTURED}, structured(path={SECRET: 1}), 400),
        ({"content-type": STRUCTURED}, structured(path=[SECRET]), 400),
        ({"content-type": STRUCTURED}, structured(path=1.5), 400),
        ({"content-type": STRUCTURED}, structured(data_base64=f"{SECRET}!"), 400),
        ({"content-type": STRUCTURED}, structured(data_base64=7), 400),
        ({"content-type": STRUCTURED}, structured(data=1, data_base64="AA=="), 400),
        ({"content-type": STRUCTURED}, structured()[:-1] + b', "data": ' + b"[" * 1_000_000 + b"}", 400),
        ({"content-type": BATCH}, b"[" + b"{}," * MOST_EVENTS + b"{}]", 413),
        ({**lower(kserve("request", "7")), "ce-specversion": "2.0"}, b"", 400),
        ({**lower(kserve("request", "7")), "ce-id": ""}, b"", 400),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_one_sentence_without_the_content(
    headers: dict[str, str], body: bytes, status: int
) -> None:
    with pytest.raises(EventError) as caught:
        parse(headers, body)
    assert caught.value.status == status
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=200), st.sampled_from([BATCH, STRUCTURED, "text/plain"]))
def test_any_bytes_are_events_or_an_error(body: bytes, media_type: str) -> None:
    try:
        parse({"content-type": media_type}, body)
        parse({"content-type": media_type, "ce-specversion": "1.0"}, body)
    except EventError:
        pass


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from([*ATTRIBUTES, "data", "data_base64", "time", "status", "metadata", "cut"]), JSON
    )
)
def test_any_attributes_are_an_event_or_an_error(changed: dict[str, Any]) -> None:
    try:
        events, _ = parse({"content-type": STRUCTURED}, msgspec.json.encode({**ATTRIBUTES, **changed}))
    except EventError:
        return
    for event in events:
        assert event.status == 0 or 100 <= event.status <= 599
