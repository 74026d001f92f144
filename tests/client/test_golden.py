"""One table through every door gives the same tensors, so the same rows and profiles."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest

from exporter.rows import Rows
from exporter.schema import Configuration
from sidecar.client import Recorder, RecorderMiddleware, WsgiRecorderMiddleware
from sidecar.decode import Decoded, decode, make_routes
from sidecar.decode.batch import Batcher
from sidecar.exchange import Exchange
from sidecar.ingest import Ingest
from sidecar.words import DOOR_BYTES
from tests.client.server import Sink, sinking
from tests.ingest.loggers import call, environ, kserve, post
from tests.memory import shared_memory

CONFIGURATION = Configuration()
LIMITS = CONFIGURATION.limits
ROUTES = make_routes(CONFIGURATION)
INPUTS: dict[str, list[Any]] = {
    "distance": [1400.0, 300.5, float("nan")],
    "stops": [0, 2, 1],
    "carrier": ["UA", "AA", "ü"],
}
OUTPUTS = {"delay": [12.5, 3.0, -1.0]}
PATH = "/v2/models/flights/versions/3/infer"
KINDS = {"distance": "FP64", "stops": "INT64", "carrier": "BYTES", "delay": "FP64"}


def tensors(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [
        {"name": name, "shape": [3], "datatype": KINDS[name], "data": values}
        for name, values in columns.items()
    ]


REQUEST = json.dumps({"inputs": tensors(INPUTS)}).encode()
RESPONSE = json.dumps({"model_name": "flights", "model_version": "3", "outputs": tensors(OUTPUTS)}).encode()


def door() -> Ingest:
    ingest = Ingest(shared_memory(DOOR_BYTES), LIMITS, ROUTES)
    ingest.attach(first=True)
    return ingest


def rows_of(exchange: Exchange, routes: Any = ROUTES) -> dict[str, str]:
    """The rows that *exchange* becomes, as plain values."""
    outcome = decode(exchange, LIMITS, routes)
    assert isinstance(outcome, Decoded), outcome
    batcher = Batcher(CONFIGURATION, lambda *arguments: frozenset())
    batcher.add(outcome, 0.0)
    found: list[Rows] = list(batcher.flush())
    assert {(rows.model, rows.version, rows.count) for rows in found} == {("flights", "3", 3)}
    # As text, in which NaN equals NaN.
    return {
        f"{rows.role} {name}": repr(
            (values.dtype.name, values.tolist()) if isinstance(values, np.ndarray) else list(values)
        )
        for rows in found
        for name, values in rows.columns.items()
    }


def forwarded(sink: Sink, ingest: Ingest) -> Exchange:
    """What a recorder sent to *sink*, put through the door."""
    for batch, headers in zip(sink.batches, sink.headers, strict=True):
        assert post(ingest.app, json.dumps(batch).encode(), headers) == 200
    [exchange] = ingest.drain()
    return exchange


OVER_HTTP = Exchange(
    "http", b"POST", PATH.encode(), {b"content-type": b"application/json"}, REQUEST, 200, {}, RESPONSE
)  # fmt: skip


def by_logger() -> tuple[Exchange, Ingest]:
    ingest = door()
    changed = {"Ce-Inferenceservicename": "flights"}
    for half, body in (("request", REQUEST), ("response", RESPONSE)):
        post(ingest.app, body, kserve(half, "7", **changed))
    [exchange] = ingest.drain()
    return exchange, ingest


def by_recorder() -> tuple[Exchange, Ingest]:
    ingest = door()
    with sinking() as sink:
        recorder = Recorder(sink.url, model="flights", version="3")
        recorder.record({name: np.array(values) for name, values in INPUTS.items()}, OUTPUTS)
        recorder.close(20)
    return forwarded(sink, ingest), ingest


def by_wsgi() -> tuple[Exchange, Ingest]:
    def app(env: Any, start_response: Any) -> list[bytes]:
        env["wsgi.input"].read(int(env["CONTENT_LENGTH"]))
        start_response("200 OK", [("Content-Type", "application/json")])
        return [RESPONSE]

    ingest = door()
    with sinking() as sink:
        recorder = Recorder(sink.url)
        call(
            WsgiRecorderMiddleware(app, recorder),
            environ(REQUEST, {"Content-Type": "application/json"}, path=PATH),
        )
        recorder.close(20)
    return forwarded(sink, ingest), ingest


def by_asgi() -> tuple[Exchange, Ingest]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": RESPONSE})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": REQUEST}

    async def send(message: Any) -> None:
        pass

    ingest = door()
    with sinking() as sink:
        recorder = Recorder(sink.url)
        scope = {"type": "http", "method": "POST", "path": PATH, "headers": []}
        asyncio.run(RecorderMiddleware(app, recorder)(scope, receive, send))
        recorder.close(20)
    return forwarded(sink, ingest), ingest


@pytest.mark.parametrize("way", [by_logger, by_recorder, by_wsgi, by_asgi])
def test_one_table_gives_the_same_rows_through_every_door(way: Any) -> None:
    exchange, ingest = way()
    assert exchange.protocol == "ingest"
    assert exchange.status == 200
    found = rows_of(exchange, ingest.routes)
    assert found == rows_of(OVER_HTTP)
    assert found.keys() == {"feature distance", "feature stops", "feature carrier", "prediction delay"}
