"""Wire: bytes of one connection in, exchanges out. No sockets, no clocks, no tasks.

Every reader keeps the small interface `Connection`. What a reader promises:

* No bytes make it raise, and the memory it holds stays under the bound in its module's first lines.
* **Conservation**: ``begun == finished + lost + open_exchanges`` after every call. `begun` counts
  requests whose head was read or was given up half-read, `finished` those that were returned, and
  `losses` says why the others never will be.
* Times come in as arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias, get_args

from sidecar.exchange import Exchange, Message

CLIENT_TO_SERVER = 0
SERVER_TO_CLIENT = 1

State: TypeAlias = Literal["ok", "tunnel", "broken"]
"""``tunnel``: forwarded for good without being read. ``broken``: not read until `resync`."""

TunnelReason: TypeAlias = Literal["tls", "http2", "upgrade", "not_http"]
TUNNEL_REASONS: tuple[TunnelReason, ...] = get_args(TunnelReason)
"""TLS or HTTP/2 from the first byte; after a 101 or a CONNECT; or anything else that is not HTTP/1."""

LossReason: TypeAlias = Literal[
    "closed", "gap", "bad_request", "bad_answer", "unexpected_answer", "head_too_long", "pipelined"
]
LOSS_REASONS: tuple[LossReason, ...] = get_args(LossReason)
"""Why a request that began is never returned, and why a connection is broken.

``closed``: the connection ended inside a request's head (later ends are returned, `Exchange.closed`).
``gap``: bytes are missing where they can not be missed. ``bad_request``, ``bad_answer``: not HTTP/1.
``unexpected_answer``: an answer that no request asked for. ``head_too_long``: above the limit.
``pipelined``: more requests in flight on one connection than are followed.
"""


class Connection(Protocol):
    """What every reader offers the recorder."""

    begun: int
    finished: int
    losses: dict[LossReason, int]
    state: State

    @property
    def lost(self) -> int:
        """The sum of `losses`."""
        ...

    @property
    def open_exchanges(self) -> int:
        """Requests begun and neither returned nor lost."""
        ...

    def receive(self, direction: int, data: bytes | memoryview, now_ns: int) -> Sequence[Exchange | Message]:
        """Read *data*, seen at *now_ns* in *direction*; returns the exchanges that it finished.

        Among them, in order, are the messages of streams that the reader was told to hand out.
        """
        ...

    def skip(self, direction: int, nbytes: int, now_ns: int) -> Sequence[Exchange | Message]:
        """As `receive` for *nbytes* that were forwarded and not copied."""
        ...

    def close(self, now_ns: int) -> Sequence[Exchange | Message]:
        """The connection ended; returns what was still open, ended or `closed`."""
        ...

    def resync(self) -> None:
        """Forget everything half-read (lost as ``gap``); the next bytes from the client begin a request."""
        ...
