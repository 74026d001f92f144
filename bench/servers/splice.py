"""The tap alone, forwarding and copying nothing: the ceiling of what recording can reach.

``python -m bench.servers.splice LISTEN UPSTREAM``: the product's tap with a copier that does nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import uvloop

from bench.processes import Process, free_port, wait_for
from sidecar import tap
from sidecar.copier import Copier, Flow
from sidecar.launch import Address, listen
from sidecar.plan import ListenerPlan, Plan, TapPlan
from sidecar.words import PAGE, create


class Deaf(Copier):
    """A copier that lets everything pass."""

    def data(self, flow: Flow, direction: int, data: bytes | memoryview, now: int) -> None:
        """Nothing."""


def start(directory: Path, upstream: int) -> tuple[Process, int]:
    """It before *upstream*, in a process of its own, and its port."""
    port = free_port()
    command = [sys.executable, "-m", "bench.servers.splice", str(port), str(upstream)]
    process = Process("modelmeter, tap alone", command, directory)
    wait_for(port, process)
    return process, port


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
    board = create("modelmeter-bench-board", PAGE)
    # Of a plan the tap reads no more than this.
    plan = SimpleNamespace(taps=(TapPlan((listener,), 1.0, 0),), lifeline=lifeline, board=board)
    uvloop.run(tap.run(cast(Plan, plan), 0))


if __name__ == "__main__":
    main(sys.argv[1:])
