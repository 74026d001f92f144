"""Soak: every dialect at once for hours, through one sidecar; memory and books every minute.

``python -m bench.soak [--seconds 3600] [--rate 200] [--json FILE] [--kill-every 0]``: a constant rate of
requests over HTTP/1.1 and gRPC to a scripted server, among them failures, chunks, gzip, large bodies,
connections that are cut and connections that are new each time. At the end: the slope of each process'
private memory over the second half of the time, in KiB an hour, and the law. Exit status 1 when a request
failed that was not told to, or the books do not agree with what was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import grpc
import numpy as np

from bench.dialects import DIALECTS, SERVICE, Dialect, grpc_request
from bench.processes import Process, free_port, memory, send, wait_for
from bench.servers.sidecar import Sidecar, write_configuration

MINUTE = 60.0


@dataclass
class Sent:
    """What the clients did."""

    requests: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    """Failures that were not told to happen."""


def head(dialect: Dialect, body: bytes, draw: random.Random) -> bytes:
    """The head of a request, of one kind or another."""
    fields = [f"Content-Type: {dialect.content_type}", "Host: soak"]
    if draw.random() < 0.5:
        fields.append(f"traceparent: 00-{draw.getrandbits(128):032x}-{draw.getrandbits(64):016x}-01")
    for name, share in (("x-fail: 1", 0.02), ("x-chunked: 1", 0.2), ("Accept-Encoding: gzip", 0.3)):
        if draw.random() < share:
            fields.append(name)
    lines = [f"POST {dialect.path} HTTP/1.1", *fields, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode()


async def read_answer(reader: asyncio.StreamReader) -> int:
    """The status of the next answer, whose body is read and thrown away."""
    status = int((await reader.readline()).split()[1])
    length, chunked = 0, False
    while (line := await reader.readline()).strip():
        name, _, value = line.lower().partition(b":")
        if name == b"content-length":
            length = int(value)
        chunked |= name == b"transfer-encoding"
    if chunked:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    else:
        await reader.readexactly(length)
    return status


async def http_client(port: int, draw: random.Random, rate: float, until: float, sent: Sent) -> None:
    """One connection after the other, a request every 1/rate seconds."""
    usual = [dialect for dialect in DIALECTS if dialect.name != "large body"]
    large = next(dialect for dialect in DIALECTS if dialect.name == "large body")
    while time.monotonic() < until:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(draw.choice([1, 20, 500])):
            if time.monotonic() > until:
                break
            dialect = large if draw.random() < 0.01 else draw.choice(usual)
            body = dialect.body(draw)
            request = head(dialect, body, draw)
            sent.requests["http"] += 1
            writer.write(request + body)
            if draw.random() < 0.002:  # a client that goes away before its answer
                await asyncio.sleep(0.05)
                break
            status = await read_answer(reader)
            if status != (500 if b"x-fail" in request else 200):
                sent.failures[f"{dialect.name}: status {status}"] += 1
            await asyncio.sleep(draw.expovariate(rate))
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def grpc_client(port: int, draw: random.Random, rate: float, until: float, sent: Sent) -> None:
    """Unary calls and streams on one channel after the other."""
    while time.monotonic() < until:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            unary = channel.unary_unary(f"/{SERVICE}/ModelInfer")
            stream = channel.stream_stream(f"/{SERVICE}/ModelStreamInfer")
            for _ in range(draw.choice([20, 500])):
                if time.monotonic() > until:
                    break
                sent.requests["grpc"] += 1
                if draw.random() < 0.1:
                    asked = [grpc_request(draw) for _ in range(draw.randint(1, 20))]
                    answers = [answer async for answer in stream(iter(asked))]
                    if len(answers) != len(asked):
                        sent.failures["stream: answers missing"] += 1
                else:
                    await unary(grpc_request(draw))
                await asyncio.sleep(draw.expovariate(rate))


async def load(http: int, grpc_port: int, seconds: float, rate: float, seed: int) -> Sent:
    """Send about *rate* requests a second for *seconds*."""
    sent = Sent()
    until = time.monotonic() + seconds
    clients = 8
    each = rate / (clients + 2)
    jobs = [http_client(http, random.Random(seed + i), each, until, sent) for i in range(clients)]
    jobs += [grpc_client(grpc_port, random.Random(seed + 100 + i), each, until, sent) for i in range(2)]
    for outcome in await asyncio.gather(*jobs, return_exceptions=True):
        if isinstance(outcome, BaseException):
            sent.failures[repr(outcome)[:200]] += 1
    return sent


def slope(points: list[tuple[float, float]]) -> float:
    """KiB an hour, from (seconds, MiB) of the second half of the points.

    >>> round(slope([(0, 50), (1800, 10), (3600, 11)]))
    2048
    """
    half = points[len(points) // 2 :] if len(points) > 3 else points[1:]
    if len(half) < 2:
        return 0.0
    seconds, mebibytes = np.array(half).T
    return float(np.polyfit(seconds, mebibytes, 1)[0] * 3600 * 1024)


async def watch(sidecar: Sidecar, began: float, points: list[dict[str, Any]], kill_every: float) -> None:
    """Note memory and books every minute, and scrape as Prometheus would."""
    killed = time.monotonic()
    while True:
        await asyncio.sleep(min(MINUTE, 15.0))
        text, _, seconds = await asyncio.to_thread(sidecar.scrape, compressed=True)
        series = sum(1 for line in text.splitlines() if line and not line.startswith("#"))
        if kill_every and time.monotonic() - killed > kill_every:
            send([sidecar.pids["recorder"]], 9)
            killed = time.monotonic()
            await asyncio.sleep(3.0)
            sidecar.pids = await asyncio.to_thread(sidecar.find_pids)
        found = {role: asdict(memory(pid)) for role, pid in sidecar.pids.items()}
        points.append(
            {"seconds": time.monotonic() - began, "memory": found, "series": series, "scrape": seconds}
        )
        told = ", ".join(f"{role} {values['uss']:.1f}" for role, values in found.items())
        print(f"{points[-1]['seconds']:7.0f} s  private MiB: {told}; {series} series", file=sys.stderr)


async def soak(directory: Path, seconds: float, rate: float, seed: int, kill_every: float) -> dict[str, Any]:
    """Run it all; returns what was found."""
    http, grpc_port = free_port(), free_port()
    command = [sys.executable, "-m", "bench.servers.scripted", str(http), str(grpc_port)]
    with Process("scripted server", command, directory) as server:
        wait_for(http, server)
        wait_for(grpc_port, server)
        listening = free_port()
        file = write_configuration(
            directory, "soak", {"models": [{"name": "flights", "path": "/invocations"}]}
        )
        flags = ["--listen", f"grpc=127.0.0.1:{listening}", "--upstream", f"grpc=127.0.0.1:{grpc_port}"]
        sidecar = Sidecar("sidecar", directory, http, file, flags)
        try:
            before = sidecar.books()
            points: list[dict[str, Any]] = []
            watching = asyncio.create_task(watch(sidecar, time.monotonic(), points, kill_every))
            sent = await load(sidecar.port, listening, seconds, rate, seed)
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            await asyncio.sleep(1.0)
            books = (await asyncio.to_thread(sidecar.books)).since(before)
        finally:
            sidecar.end()
    slopes = {
        role: slope([(point["seconds"], point["memory"][role]["uss"]) for point in points])
        for role in ("supervisor", "tap", "recorder")
        if points
    }
    return {
        "seconds": seconds,
        "requests": dict(sent.requests),
        "failures": dict(sent.failures),
        "books": asdict(books),
        "slopes_kib_per_hour": slopes,
        "points": points,
    }


@click.command()
@click.option("--seconds", default=3600.0, show_default=True)
@click.option("--rate", default=200.0, show_default=True, help="Requests a second, about.")
@click.option("--seed", default=1, show_default=True)
@click.option("--kill-every", default=0.0, help="Kill the recorder every so many seconds.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Where to put what was found.")
def main(seconds: float, rate: float, seed: int, kill_every: float, file: Path | None) -> None:
    """Load one sidecar with every dialect for a long time."""
    with tempfile.TemporaryDirectory(prefix="modelmeter-soak-") as directory:
        found = asyncio.run(soak(Path(directory), seconds, rate, seed, kill_every))
    if file:
        file.write_text(json.dumps(found, indent=1) + "\n")
    click.echo(json.dumps({key: value for key, value in found.items() if key != "points"}, indent=1))
    agree = found["books"]["seen"] == sum(found["requests"].values()) and not found["books"]["unsettled"]
    sys.exit(0 if agree and not found["failures"] else 1)


if __name__ == "__main__":
    main()
