"""Exchange: one request and its answer as they were seen on the wire; and the messages of a stream.

Promises: sizes and times are exact even where a body was cut; bodies are what the wire carried after
the transfer coding (chunks) and before the content coding (gzip). Refuses: any meaning. What is a model,
a row or a failure is `sidecar.decode`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

KEPT_HEADERS: frozenset[bytes] = frozenset(
    {b"content-type", b"content-encoding", b"inference-header-content-length"}
)
"""The header fields that some decoder reads; others are validated and forgotten, which bounds memory."""

KEPT_GRPC_HEADERS: frozenset[bytes] = KEPT_HEADERS | {b"grpc-status", b"grpc-encoding"}
"""As `KEPT_HEADERS`, over HTTP/2."""


class Exchange(msgspec.Struct, gc=False):
    """One request and its answer.

    Times are nanoseconds of one monotonic clock, taken from the records of the tap. A Struct and not a
    dataclass because it is made once per exchange on the recorder's busiest path (0.15 µs against 0.6 µs).

    >>> Exchange("http", b"POST", b"/v2/models/m/infer", status=200).status
    200
    """

    protocol: str
    """``http``, ``grpc`` (its request's content type begins so), or ``ingest``."""
    method: bytes
    target: bytes
    """The request target as sent: percent-encoded, query included, or in absolute form."""
    request_headers: Mapping[bytes, bytes] = {}
    """Of `KEPT_HEADERS` only; names in lower case; repeated fields joined by a comma. Shared: read only."""
    request_body: bytes = b""
    status: int = 0
    """0 when the connection ended before an answer's head was complete."""
    response_headers: Mapping[bytes, bytes] = {}
    response_body: bytes = b""
    started: int = 0
    """When the first byte of the request was read."""
    answered: int = 0
    """When the first byte of the final answer was read (interim 1xx answers do not count); 0 without one."""
    ended: int = 0
    """When the last byte of the answer was read; of a close, when that was seen."""
    request_bytes: int = 0
    """On the wire: head, body, chunk framing and trailers."""
    response_bytes: int = 0
    """As `request_bytes`; interim answers included."""
    request_body_complete: bool = True
    """False when `request_body` is only the beginning (size limit, bytes not copied, early close)."""
    response_body_complete: bool = True
    closed: bool = False
    """True when the connection (or, over HTTP/2, the stream) ended before the answer did: a failure that the
    client saw as well."""
    trailers: Mapping[bytes, bytes] = {}
    """Of the answer, over HTTP/2; of `KEPT_GRPC_HEADERS`. An answer of trailers only has them in both."""
    headers_known: bool = True
    """False when a header block refers to fields that were sent in bytes which were not copied."""
    heads_only: bool = False
    """Over HTTP/2: not drawn for recording, only its heads were copied."""
    streamed: bool = False
    """Its messages were handed out one by one (`Message`); the bodies here are empty."""
    state: Any = None
    """What a decoder of messages keeps between those of one stream."""


class Message(msgspec.Struct, gc=False):
    """One message of a gRPC stream whose exchange is still open: not an exchange, and in no books.

    >>> Message(Exchange("grpc", b"POST", b"/package.Service/Stream"), 0, b"", 1).complete
    True
    """

    exchange: Exchange
    """The same object until its stream ends, when it is returned itself."""
    direction: int
    """0 from client to server, 1 from server to client."""
    body: bytes
    """Without the five bytes before it; still compressed when `compressed`."""
    time: int
    """Nanoseconds, when its last byte was read."""
    size: int = 0
    """Bytes on the wire, the five before it included."""
    compressed: bool = False
    complete: bool = True
    """False when not all of it was copied; `body` is empty then."""
