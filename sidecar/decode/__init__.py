"""Decode: an exchange in, what it says about a model out. An unknown dialect is an answer, not an error.

Over HTTP, a dialect is a row of a table (`make_routes`): a path, the content types it takes, and a function
of (`Exchange`, `Place`, `Limits`). Whether a request was an inference, and how it ended, is told here, once
for all dialects; a dialect only reads bodies of successful inferences. Over gRPC the same is told by
`sidecar.decode.calls`, and by `sidecar.decode.stream` for the messages of a stream that is under way.
"""

from __future__ import annotations

import re

from exporter.schema import Configuration, Limits
from sidecar.decode.calls import decode_call, decode_call_heads
from sidecar.decode.ending import failure_of
from sidecar.decode.outcome import (
    IGNORED_REASONS,
    UNDECODABLE_REASONS,
    UNOBSERVABLE_REASONS,
    Decoded,
    DecodeError,
    Failed,
    Ignored,
    IgnoredReason,
    Outcome,
    Undecodable,
    UndecodableReason,
    Unobservable,
    UnobservableReason,
)
from sidecar.decode.route import Dialect, Name, Place, Route, Routes
from sidecar.decode.routes import make_routes
from sidecar.decode.stream import Inference, decode_message, finish, is_stream
from sidecar.decode.tensor import Tensor
from sidecar.exchange import Exchange

__all__ = [
    "IGNORED_REASONS", "ROUTES", "UNDECODABLE_REASONS", "UNOBSERVABLE_REASONS", "Decoded", "Dialect",
    "Failed", "Ignored", "IgnoredReason", "Inference", "Name", "Outcome", "Place", "Route", "Routes",
    "Tensor", "Undecodable", "UndecodableReason", "Unobservable", "UnobservableReason", "decode",
    "decode_heads", "decode_message", "failure_of", "finish", "is_stream", "make_routes",
]  # fmt: skip

ROUTES = make_routes(Configuration())
"""The table without a configuration."""

_INFERENCE_METHODS = frozenset({b"POST", b"PUT"})

_NOT_INFERENCE = re.compile(
    rb"(?:^|/)(?:v2/(?:repository|logging|trace|systemsharedmemory|cudasharedmemory|health)(?:/|\Z)"
    rb"|v2/models/[^/]+(?:/versions/[^/]+)?/(?:trace|ready|stats|load|unload)(?:/|\Z)"
    rb"|(?:metrics|health|healthz|livez|readyz|ping)\Z)"
)
"""POSTs that manage a server: repository, log level, tracing, shared memory; and probes that use POST."""


def decode(exchange: Exchange, limits: Limits, routes: Routes = ROUTES) -> Outcome:
    """What *exchange* says about a model. Never raises. (Of a stream its messages do, and `finish`.)

    >>> decode(Exchange("http", b"GET", b"/v2/health/ready", status=200), Limits())
    Ignored(reason='not_inference')
    >>> decode(Exchange("http", b"POST", b"/v2/models/m/infer", status=503), Limits())
    Failed(model='m', version='', reason='server_error')
    """
    if not exchange.headers_known:
        return Unobservable("", "", "header_state_lost")
    if exchange.protocol == "grpc":
        return decode_call(exchange, limits)
    if exchange.method not in _INFERENCE_METHODS:
        return Ignored("not_inference")
    place = routes.find(exchange.target, exchange.request_headers.get(b"content-type", b""))
    if place is None:
        path = exchange.target.partition(b"?")[0]
        return Ignored("unknown_dialect" if _NOT_INFERENCE.search(path) is None else "not_inference")
    failure = failure_of(exchange)
    if failure is not None:
        return Failed(*_named(exchange, place, limits), failure)
    if not 200 <= exchange.status < 300:
        return Ignored("not_inference")  # a redirect or a change of protocol: nothing was inferred here
    try:
        return place.dialect(exchange, place, limits)
    except DecodeError as fault:
        return Undecodable(*_named(exchange, place, limits), fault.reason)
    except MemoryError:  # the recorder runs under a limit of its own
        return Undecodable(place.model, place.version, "too_large")


def decode_heads(exchange: Exchange, limits: Limits, routes: Routes = ROUTES) -> Outcome:
    """What the heads of *exchange* say; of its bodies only the model's name is read. Never raises.

    `Decoded` without tensors is a successful inference here.

    >>> decode_heads(Exchange("http", b"POST", b"/v2/models/m/infer", status=200), Limits()).model
    'm'
    """
    if not exchange.headers_known:
        return Unobservable("", "", "header_state_lost")
    if exchange.protocol == "grpc":
        return decode_call_heads(exchange)
    if exchange.method not in _INFERENCE_METHODS:
        return Ignored("not_inference")
    place = routes.find(exchange.target, exchange.request_headers.get(b"content-type", b""))
    if place is None:
        return decode(exchange, limits, routes)  # which reads no body either
    failure = failure_of(exchange)
    if failure is not None:
        return Failed(*_named(exchange, place, limits), failure)
    if not 200 <= exchange.status < 300:
        return Ignored("not_inference")
    return Decoded(*_named(exchange, place, limits), 0, [], [])


def _named(exchange: Exchange, place: Place, limits: Limits) -> tuple[str, str]:
    """Model and version of what its dialect did not read."""
    if place.model or place.name is None:
        return place.model, place.version
    try:
        return place.name(exchange, limits)
    except (DecodeError, MemoryError):
        return "", ""
