"""KServe's payload logger as a bound: latency and memory when the consumer is slow, ours beside it.

``python -m bench.kserve_logger [--json FILE] [--quick]``. KServe's agent (v0.15.2, Go package
``github.com/kserve/kserve/cmd/agent``) forwards requests and sends each body as a CloudEvent to a sink. The
same constant rate goes through it before a sink that answers at once, and one that answers after ten seconds;
and through ours with its recorder running, and stopped. Optional: where `AGENT` is missing it is left out.

The agent listens on all interfaces, so everything here runs in a network of its own that has loopback only
(``unshare --net``, which takes root).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvloop

from bench import load
from bench.clients import PATIENCE, Paced, figures, http_requests
from bench.processes import BenchError, Process, free_port, memory, send, wait_for
from bench.servers import nginx
from bench.servers.sidecar import Sidecar, small_model, write_configuration
from bench.tables import Table
from bench.tools import CACHE

AGENT = CACHE / "kserve" / "agent"
RATE = 2_000.0
CONNECTIONS = 32
SLOW_SECONDS = 10.0
INSIDE = "MODELMETER_BENCH_NETWORK"

HEADER = ("", "p50 µs", "p99 µs", "p99.9 µs", "sent", "failed", "MiB before", "MiB after", "grew by")


async def sink(port: int, seconds: float) -> None:
    """Answer every event after *seconds*."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
                await reader.readexactly(int(length))
                await asyncio.sleep(seconds)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with await asyncio.start_server(serve, "127.0.0.1", port) as server:
        await server.serve_forever()


def start_agent(directory: Path, upstream: int, slow: float, stack: ExitStack) -> tuple[int, list[int]]:
    """KServe's agent before *upstream*, whose sink answers after *slow* seconds: its port and pid."""
    port, events = free_port(), free_port()
    command = [sys.executable, "-m", "bench.kserve_logger", "--sink", str(events), "--slow", str(slow)]
    sinking = stack.enter_context(Process(f"sink {slow}", command, directory))
    wait_for(events, sinking)
    command = [
        *(str(AGENT), f"--port={port}", f"--component-port={upstream}"),
        *(f"--log-url=http://127.0.0.1:{events}", "--log-mode=all", "--inference-service=bench"),
    ]
    quiet = {"SERVING_READINESS_PROBE": "", "SERVING_LOGGING_LEVEL": "error"}
    agent = Process(f"agent {slow}", command, directory, quiet)
    stack.callback(agent.end, 0.2)  # asked to end it sleeps for 30 s
    wait_for(port, agent)
    return port, [agent.pid]


def measure(name: str, port: int, pids: list[int], seconds: float) -> dict[str, Any]:
    """The constant rate at *port*, and the private memory of *pids* before and after."""
    what = Paced(name, http_requests(load.small_bodies()), CONNECTIONS, RATE)
    before = sum(memory(pid).uss for pid in pids)
    latencies, failed = uvloop.run(what.send(port, seconds))
    after = sum(memory(pid).uss for pid in pids)
    if not latencies:
        raise BenchError(f"{name}: not one answer within {PATIENCE:.0f} s")
    found = figures(latencies, seconds)
    times = {"p50_us": found.p50, "p99_us": found.p99, "p999_us": found.p999}
    return {
        "name": name,
        **times,
        "answered": len(latencies),
        "failed": failed,
        "before": before,
        "after": after,
    }


def run(seconds: float, agent: bool) -> list[dict[str, Any]]:
    """All of it; with KServe's *agent* or without."""
    found = []
    with tempfile.TemporaryDirectory(prefix="modelmeter-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        server, upstream = nginx.start(directory, load.ANSWER)
        stack.enter_context(server)
        measure("", upstream, [], 1.0)
        found.append(measure("nginx, direct", upstream, [], seconds))
        if agent:
            for title, slow in (("sink answers at once", 0.0), ("sink answers after 10 s", SLOW_SECONDS)):
                with ExitStack() as one:
                    port, pids = start_agent(directory, upstream, slow, one)
                    found.append(measure(f"KServe's agent, {title}", port, pids, seconds))
        file = write_configuration(directory, "logger", {"models": [small_model(directory)]})
        for title, stopped in (("recorder running", False), ("recorder stopped", True)):
            sidecar = Sidecar(f"sidecar {title}", directory, upstream, file)
            stack.callback(sidecar.end)
            measure("", sidecar.port, [], 1.0)
            if stopped:
                send([sidecar.pids["recorder"]], signal.SIGSTOP)
            found.append(measure(f"modelmeter, {title}", sidecar.port, list(sidecar.pids.values()), seconds))
            sidecar.end()
    return found


def table(found: list[dict[str, Any]], seconds: float, agent: bool) -> Table:
    """For people."""
    lines = [
        (
            one["name"],
            *(f"{one[key]:,.0f}" for key in ("p50_us", "p99_us", "p999_us")),
            f"{one['answered'] + one['failed']:,}",
            f"{one['failed']:,}",
            *((f"{one['before']:,.0f}", f"{one['after']:,.0f}") if one["before"] else ("", "")),
            f"{one['after'] - one['before']:+,.0f}" if one["before"] else "",
        )
        for one in found
    ]
    note = "Private memory of all processes." + ("" if agent else " KServe's agent is not here.")
    return Table(f"{RATE:,.0f} requests/s for {seconds:.0f} s, and a slow consumer", HEADER, lines, note)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--quick", action="store_true", help="four seconds each")
    parser.add_argument("--sink", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--slow", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.sink:
        uvloop.run(sink(arguments.sink, arguments.slow))
    inside = INSIDE in os.environ
    if (
        AGENT.exists()
        and not inside
        and subprocess.run(["unshare", "--net", "true"], check=False).returncode == 0
    ):
        inner = [sys.executable, "-m", "bench.kserve_logger", *sys.argv[1:]]
        command = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *inner]
        sys.exit(subprocess.run(command, env={**os.environ, INSIDE: "1"}, check=False).returncode)
    seconds = 4.0 if arguments.quick else 20.0
    found = run(seconds, inside)
    print(table(found, seconds, inside).text())
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
