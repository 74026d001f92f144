"""Chaos: what a client sees while the recorder is killed, stopped, starved or short of memory.

``python -m bench.chaos [--quick]``: one constant rate (`bench.clients`, so waiting is in the percentiles),
a sidecar of its own for each situation, one after the other. Wanted in each: no failure at the client, and
books that account for every single request that the client sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import uvloop

from bench import load
from bench.clients import Paced, figures, http_requests
from bench.processes import children, command_line, park, send, unpark
from bench.servers import nginx
from bench.servers.sidecar import Books, Sidecar, small_model, write_configuration
from bench.tables import Report, Table
from bench.turns import percent

RATE = 5_000.0
CONNECTIONS = 32
KILL_SECONDS = 2.0
STOP_SECONDS = 10.0
HEADER = (
    *("recorder", "p50 µs", "p99 µs", "p99.9 µs", "sent", "failed", "recorded", "dropped", "replaced"),
    *("internal errors", "books"),
)

Trouble = Callable[[Sidecar], Awaitable[None]]


def recorder(sidecar: Sidecar) -> list[int]:
    """The pid of the recorder of this moment, if there is one."""
    return [pid for pid in children(sidecar.process.pid) if "sidecar.recorder" in command_line(pid)]


async def running(sidecar: Sidecar) -> None:
    """Nothing."""


async def killed(sidecar: Sidecar) -> None:
    """SIGKILL again and again."""
    while True:
        await asyncio.sleep(KILL_SECONDS)
        send(recorder(sidecar), signal.SIGKILL)


async def stopped(sidecar: Sidecar) -> None:
    """SIGSTOP once, SIGCONT later."""
    await asyncio.sleep(1.0)
    pids = recorder(sidecar)
    park(pids)
    try:
        await asyncio.sleep(STOP_SECONDS)
    finally:
        unpark(pids)


async def starved(sidecar: Sidecar) -> None:
    """It runs for 2 ms of every 200: 100 times too slow."""
    pids = recorder(sidecar)
    try:
        while True:
            park(pids)
            await asyncio.sleep(0.198)
            unpark(pids)
            await asyncio.sleep(0.002)
    finally:
        unpark(pids)


async def cramped(sidecar: Sidecar) -> None:
    """Each recorder gets no more writable memory than it has when it is found, new as it is."""
    known: set[int] = set()
    while True:
        for pid in set(recorder(sidecar)) - known:
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                kilobytes = int(status.partition("VmData:")[2].split()[0])
                # Not RLIMIT_AS: glibc keeps 64 MiB of address space for each thread, and grows into it.
                resource.prlimit(pid, resource.RLIMIT_DATA, (1024 * kilobytes, resource.RLIM_INFINITY))
                known.add(pid)
        await asyncio.sleep(0.2)


TROUBLES: dict[str, Trouble] = {
    "running": running,
    f"killed (-9) every {KILL_SECONDS:.0f} s": killed,
    f"stopped for {STOP_SECONDS:.0f} s": stopped,
    "100 times too slow": starved,
    "short of memory": cramped,
}


async def measure(
    what: Paced, port: int, seconds: float, trouble: Awaitable[None]
) -> tuple[list[float], int]:
    """Latencies and failures at *port* while there is *trouble*."""
    task = asyncio.ensure_future(trouble)
    try:
        return await what.send(port, seconds)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def run(*, quick: bool, say: Callable[[str], None]) -> Report:
    """About two minutes, *quick* one: a stop takes `STOP_SECONDS` in both."""
    data: list[dict[str, Any]] = []
    lines: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory(prefix="modelmeter-chaos-") as name, ExitStack() as stack:
        directory = Path(name)
        server, upstream = nginx.start(directory, load.ANSWER)
        stack.enter_context(server)
        file = write_configuration(directory, "chaos", {"models": [small_model(directory)]})
        what = Paced("chaos", http_requests(load.small_bodies()), CONNECTIONS, RATE)
        usual = 4.0 if quick else 20.0
        uvloop.run(what.send(upstream, 1.0))
        direct, failed = uvloop.run(what.send(upstream, usual))
        note("nginx, direct", direct, failed, usual, None, 0, data, lines)
        for title, trouble in TROUBLES.items():
            say(f"recorder {title}")
            seconds = STOP_SECONDS + 3 if trouble is stopped else usual
            with ExitStack() as one:
                sidecar = Sidecar(f"sidecar {len(lines)}", directory, upstream, file)
                one.callback(sidecar.end)
                if trouble is not cramped:  # it has taken what it needs after a second
                    uvloop.run(what.send(sidecar.port, 1.0))
                before, replaced = sidecar.books(), sidecar.restarts
                latencies, failed = uvloop.run(measure(what, sidecar.port, seconds, trouble(sidecar)))
                books = sidecar.books().since(before)
                replaced = sidecar.restarts - replaced
            note(title, latencies, failed, seconds, books, replaced, data, lines, sidecar.errors)
    title = f"{CONNECTIONS} connections, {RATE:,.0f} requests/s, and a recorder that is …"
    exact = all(one["exact"] for one in data)
    return Report("chaos", [Table(title, HEADER, lines)], {"situations": data, "exact": exact})


def note(
    title: str,
    latencies: list[float],
    failed: int,
    seconds: float,
    books: Books | None,
    replaced: int,
    data: list[dict[str, Any]],
    lines: list[tuple[str, ...]],
    errors: int = 0,
) -> None:
    """Add what was found to *data* and *lines*."""
    found = figures(latencies, seconds)
    sent = found.requests + failed
    exact = not failed and (books is None or (books.seen == sent and books.holds and not books.unsettled))
    data.append(
        {
            "name": title,
            **asdict(found),
            "failed": failed,
            "exact": exact,
            "replaced": replaced,
            "errors": errors,
        }
    )
    times = (f"{found.p50:,.0f}", f"{found.p99:,.0f}", f"{found.p999:,.0f}")
    told: tuple[str, ...] = ("", "", "", "", "")
    if books is not None:
        data[-1]["books"] = asdict(books)
        shares = percent(books.recorded, books.seen), percent(books.dropped, books.seen)
        told = (*shares, str(replaced), str(errors), "exact" if exact else f"seen {books.seen:,}")
    lines.append((title, *times, f"{sent:,}", f"{failed:,}", *told))


@click.command()
@click.option("--quick", is_flag=True, help="Four seconds a situation.")
def main(quick: bool) -> None:
    """Trouble the recorder under a constant rate; exit status 1 when a request failed or books are off."""
    report = run(quick=quick, say=lambda text: click.echo(text, err=True))
    for table in report.tables:
        click.echo(table.text())
    sys.exit(0 if report.data["exact"] else 1)


if __name__ == "__main__":
    main()
