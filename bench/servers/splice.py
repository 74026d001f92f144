"""The tap alone, forwarding and copying nothing: the ceiling of what recording can reach.

``python -m bench.servers.splice LISTEN UPSTREAM``: the product's tap with a copier that does nothing.
"""

from __future__ import annotations

import os
import sys

import uvloop

from sidecar import tap
from sidecar.copier import Copier, Flow
from sidecar.launch import Address, listen
from sidecar.plan import ListenerPlan, TapPlan
from sidecar.words import PAGE, create


class Deaf(Copier):
    """A copier that lets everything pass."""

    def data(self, flow: Flow, direction: int, data: bytes, now: int) -> None:
        """Nothing."""


def main(arguments: list[str]) -> None:
    """Forward until SIGTERM."""
    port, upstream = map(int, arguments)
    address = Address("127.0.0.1", port)
    channel = create("modelmeter-bench", PAGE + 65_536)
    listener = ListenerPlan(
        "http", str(address), listen("--listen", address), "127.0.0.1", upstream, channel, 4096
    )
    tap.Copier = Deaf  # type: ignore[attr-defined]
    lifeline, _ = os.pipe()  # never closed: SIGTERM ends us
    uvloop.run(tap.run(TapPlan((listener,), 1.0, 0), lifeline))


if __name__ == "__main__":
    main(sys.argv[1:])
