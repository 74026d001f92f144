"""The tap: forwards bytes both ways between clients and the model server, and copies them.

Promises of each connection what `sidecar.half` does, so that nothing of the copying can delay, change or fail
the forwarding; and that no time-out of ours ends one (whose other end is gone without a word, the system's
keepalive does, which servers ask for too). A server that cannot be reached resets the client's connection,
which is what the client would have met without us.

Runs as a process of its own: ``python -m sidecar.tap NUMBER DESCRIPTOR``, of an inherited `sidecar.plan`.
"""

from __future__ import annotations

import asyncio
import resource
import select
import signal
import socket
import sys
from time import monotonic_ns

import uvloop

from sidecar.copier import Copier
from sidecar.drain import Phase
from sidecar.listener import Listener
from sidecar.log import log
from sidecar.plan import Plan
from sidecar.ring import RingWriter
from sidecar.tls import CHECK_SECONDS, Contexts
from sidecar.words import Board, Tap, attach, words

NOTES_SECONDS = 0.05
"""How often notes that wait for room in the ring are tried again."""

BUSY_SECONDS = 0.25
"""How often busy connections are counted while the sidecar drains: 10,000 take 30 ms."""

CLOSING_LOOKS = 10_000
"""Turns of the loop in which those who wait at a door that closes are let in."""


class _Door:
    """One listening socket and what accepts on it."""

    def __init__(self, descriptor: int, server: asyncio.Server) -> None:
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._server = server

    async def close(self) -> None:
        """Take in who waits already, then close: a connection that stands is not to be reset."""
        for _ in range(CLOSING_LOOKS):
            if not self._poll.poll(0):
                break
            await asyncio.sleep(0)
        self._server.close()


async def run(plan: Plan, number: int) -> None:
    """Forward as tap *number* until SIGTERM, or until the supervisor is gone (it holds the other end of the
    lifeline)."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_unexpected)
    own, board = plan.taps[number], words(attach(plan.board))
    protocols = sorted({listener.protocol for listener in own.listeners})
    tls = Contexts(own.tls, protocols) if own.tls is not None else None
    upstream_tls = Contexts(own.upstream_tls, protocols) if own.upstream_tls is not None else None
    doors, copiers, listeners = [], [], []
    for listener in own.listeners:
        memory = attach(listener.channel)
        page = words(memory)
        copier = Copier(
            RingWriter(memory), page, own.sampling, own.body_limit, own.large_sampling, own.large_limit
        )
        if page[Tap.HEAD]:  # a tap before us died, and its connections with it
            page[Tap.CONNECTIONS_CLOSED] = page[Tap.CONNECTIONS_OPENED]
            copier.reset(monotonic_ns())
        copiers.append(copier)
        accepting = Listener(
            loop,
            copier,
            page,
            listener,
            tls,
            upstream_tls,
            allowed_names=own.tls.client_allowed_sans if own.tls is not None else (),
            server_name=own.upstream_tls.server_name if own.upstream_tls is not None else None,
        )
        listeners.append((accepting, page))
        listening = socket.socket(fileno=listener.descriptor)
        server = await loop.create_server(accepting.accept, sock=listening, backlog=listener.backlog)
        doors.append(_Door(listener.descriptor, server))
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # The terminal's Ctrl-C reaches the whole group; the supervisor decides when forwarding ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    loop.add_reader(plan.lifeline, stop.set)
    next_check = next_look = 0.0
    while not stop.is_set():
        now = monotonic_ns()
        for _, page in listeners:
            page[Tap.BEAT] = now
        for copier in copiers:
            copier.flush(now)
        if now * 1e-9 >= next_check:
            next_check = now * 1e-9 + CHECK_SECONDS
            for contexts in (tls, upstream_tls):
                if contexts is not None:
                    contexts.check()
        phase = board[Board.DRAINING]
        if phase and now * 1e-9 >= next_look:
            next_look = now * 1e-9 + BUSY_SECONDS
            for accepting, page in listeners:
                page[Tap.BUSY] = accepting.busy()
        if phase == Phase.CLOSING:
            while doors:
                await doors.pop().close()
        try:
            await asyncio.wait_for(stop.wait(), NOTES_SECONDS)
        except TimeoutError:
            continue
    for door in doors:
        await door.close()


def _unexpected(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """A fault where no other hand catches it: told without what passed, and the forwarding goes on."""
    log("error", "a fault in the tap", kind=type(context.get("exception")).__name__)


def main(arguments: list[str]) -> None:
    """``python -m sidecar.tap NUMBER DESCRIPTOR``: run tap NUMBER of the plan behind DESCRIPTOR."""
    number, descriptor = map(int, arguments)
    plan = Plan.read(descriptor)
    # Each client costs two descriptors, and the soft limit is 1,024 on most systems.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(run(plan, number))


if __name__ == "__main__":
    main(sys.argv[1:])
