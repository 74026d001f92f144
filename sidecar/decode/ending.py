"""Ending: whether an exchange was answered successfully, from its heads and trailers alone.

Source: grpc/grpc ``doc/statuscodes.md`` (what the codes mean), ``doc/PROTOCOL-HTTP2.md`` (Trailers carry
grpc-status; without it a call has failed, whatever the HTTP status).
"""

from __future__ import annotations

from exporter.traffic import FailureReason
from sidecar.exchange import Exchange

_CLIENT_CODES: frozenset[bytes] = frozenset({b"3", b"5", b"6", b"7", b"9", b"11", b"12", b"16"})
"""The same call would fail again, however the server fares: INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS,
PERMISSION_DENIED, FAILED_PRECONDITION, OUT_OF_RANGE, UNIMPLEMENTED (a method or a kind of model that the
caller may not use so: Triton's answer to a unary call of a decoupled model), UNAUTHENTICATED.

The others are the server's: UNKNOWN, INTERNAL, UNAVAILABLE and DATA_LOSS of course; DEADLINE_EXCEEDED, it was
too slow; RESOURCE_EXHAUSTED and ABORTED, the same call may succeed another time; and no code at all."""

_CANCELLED = b"1"
"""The client has gone away, as where a connection closes."""


def failure_of(exchange: Exchange) -> FailureReason | None:
    """How *exchange* failed, or None when it was answered successfully (or redirected, over HTTP).

    >>> failure_of(Exchange("http", b"POST", b"/v2/models/m/infer", status=503))
    'server_error'
    >>> failure_of(Exchange("grpc", b"POST", b"/s/m", status=200, trailers={b"grpc-status": b"5"}))
    'client_error'
    """
    if exchange.closed:
        return "closed"
    status = exchange.status
    if exchange.protocol != "grpc":
        if status < 400:
            return None
        return "client_error" if status < 500 else "server_error"
    code = exchange.trailers.get(b"grpc-status")
    if status == 200:
        if code == b"0":
            return None
    elif code is None or code == b"0":  # something between client and server has answered, without gRPC
        return "client_error" if 400 <= status < 500 else "server_error"
    if code == _CANCELLED:
        return "closed"
    return "client_error" if code in _CLIENT_CODES else "server_error"
