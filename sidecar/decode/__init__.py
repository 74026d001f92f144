"""Decode: an exchange in, what it says about a model out. An unknown dialect is an answer, not an error.

A dialect is a row of `ROUTES`: a path, the content types it takes, and a function of
(`Exchange`, `Place`, `Limits`). Whether a request was an inference, and how it ended, is told here, once for
all dialects; a dialect only reads bodies of successful inferences.
"""

from __future__ import annotations

import re

from exporter.schema import Limits
from sidecar.decode import kserve_v1, kserve_v2
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
from sidecar.decode.route import Dialect, Place, Route, Routes
from sidecar.decode.tensor import Tensor
from sidecar.exchange import Exchange

__all__ = [
    "IGNORED_REASONS", "ROUTES", "UNDECODABLE_REASONS", "UNOBSERVABLE_REASONS", "Decoded", "Dialect",
    "Failed", "Ignored", "IgnoredReason", "Outcome", "Place", "Route", "Routes", "Tensor", "Undecodable",
    "UndecodableReason", "Unobservable", "UnobservableReason", "decode",
]  # fmt: skip

ROUTES = Routes(
    # Content types are not asked for: tritonclient sends none with binary tensors, and curl a wrong one.
    Route(
        re.compile(rb"(?:^|/)v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?/infer\Z"),
        None,
        kserve_v2.decode,
    ),
    Route(
        re.compile(rb"(?:^|/)v1/models/(?P<model>[^/:]+)(?:/versions/(?P<version>[^/:]+))?:predict\Z"),
        None,
        kserve_v1.decode,
    ),
)

_INFERENCE_METHODS = frozenset({b"POST", b"PUT"})

_NOT_INFERENCE = re.compile(
    rb"(?:^|/)(?:v2/(?:repository|logging|trace|systemsharedmemory|cudasharedmemory|health)(?:/|\Z)"
    rb"|v2/models/[^/]+(?:/versions/[^/]+)?/(?:trace|ready|stats|load|unload)(?:/|\Z)"
    rb"|(?:metrics|health|healthz|livez|readyz|ping)\Z)"
)
"""POSTs that manage a server: repository, log level, tracing, shared memory; and probes that use POST."""


def decode(exchange: Exchange, limits: Limits, routes: Routes = ROUTES) -> Outcome:
    """What *exchange* says about a model. Never raises.

    >>> decode(Exchange("http", b"GET", b"/v2/health/ready", status=200), Limits())
    Ignored(reason='not_inference')
    >>> decode(Exchange("http", b"POST", b"/v2/models/m/infer", status=503), Limits())
    Failed(model='m', version='', reason='server_error')
    """
    if exchange.method not in _INFERENCE_METHODS:
        return Ignored("not_inference")
    place = routes.find(exchange.target, exchange.request_headers.get(b"content-type", b""))
    if place is None:
        path = exchange.target.partition(b"?")[0]
        return Ignored("unknown_dialect" if _NOT_INFERENCE.search(path) is None else "not_inference")
    model = place.model
    version = place.version
    status = exchange.status
    if exchange.closed:
        return Failed(model, version, "closed")
    if status >= 400:
        return Failed(model, version, "client_error" if status < 500 else "server_error")
    if not 200 <= status < 300:
        return Ignored("not_inference")  # a redirect or a change of protocol: nothing was inferred here
    try:
        return place.dialect(exchange, place, limits)
    except DecodeError as fault:
        return Undecodable(model, version, fault.reason)
    except MemoryError:  # the recorder runs under a limit of its own
        return Undecodable(model, version, "too_large")
