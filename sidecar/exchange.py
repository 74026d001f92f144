"""Exchange: one request and its answer as they were seen on the wire.

Promises: sizes and times are exact even where a body was cut; bodies are what the wire carried after
the transfer coding (chunks) and before the content coding (gzip). Refuses: any meaning. What is a model,
a row or a failure is `sidecar.decode`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

KEPT_HEADERS: frozenset[bytes] = frozenset(
    {b"content-type", b"content-encoding", b"inference-header-content-length"}
)
"""The header fields that some decoder reads; others are validated and forgotten, which bounds memory."""


class Exchange(msgspec.Struct, gc=False):
    """One request and its answer.

    Times are nanoseconds of one monotonic clock, taken from the records of the tap. A Struct and not a
    dataclass because it is made once per exchange on the recorder's busiest path (0.15 µs against 0.6 µs).

    >>> Exchange("http", b"POST", b"/v2/models/m/infer", status=200).status
    200
    """

    protocol: str
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
    """True when the connection ended before the answer did: a failure that the client saw as well."""
