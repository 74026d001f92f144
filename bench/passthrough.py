"""Pass-through: what stands between client and model server costs, ours beside HAProxy and Envoy.

All are measured in the same run, in turns (A B C, C B A, …), and told as the median of the per-round
ratios to HAProxy in http mode: absolute rates of a shared machine drift by ±30 % between minutes. At
last a constant rate, at which percentiles mean something (`bench.constant`).

A throughput counts as "recorded" only with its books: the shares of exchanges recorded and dropped come
from the sidecar's own /metrics, and the run fails when the conservation law does not hold.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from bench import constant, load
from bench.clients import Paced, http_requests
from bench.processes import BenchError, Process, park
from bench.servers import envoy, haproxy, nginx, splice
from bench.servers.sidecar import Sidecar, small_model, write_configuration
from bench.tables import Report, Table
from bench.turns import HEADER, Subject, ours, rounds, row

REFERENCE = "HAProxy http"

HEADLINES = ("small, 1 connection", "small, 32 connections")
"""Loads that a short run measures as often as the others together."""

WHOLE_BODIES = {"body_bytes": 1 << 20, "ring_bytes": 1 << 25}
"""Limits with which an image of 600 kB is recorded whole."""


def others(
    directory: Path, upstream: int, stack: ExitStack, skipped: list[str], *, h2: bool = False
) -> list[Subject]:
    """HAProxy, Envoy and the tap alone before *upstream*, parked; what cannot be had is told in *skipped*."""
    subjects: list[Subject] = []

    def keep(process: Process, port: int, role: str) -> None:
        stack.enter_context(process)
        park([process.pid])
        subjects.append(Subject(process.name, port, {role: process.pid}))

    keep(*haproxy.start(directory, upstream, "h2" if h2 else "http"), "proxy")
    keep(*haproxy.start(directory, upstream, "tcp"), "proxy")
    try:
        keep(*envoy.start(directory, upstream, h2=h2), "proxy")
    except BenchError as error:
        skipped.append(f"Envoy: {error}")
    keep(*splice.start(directory, upstream), "tap")
    return subjects


def run(*, quick: bool, say: Callable[[str], None]) -> Report:
    """Measure it all: about fourteen minutes, *quick* about two and a half."""
    count, seconds = (2, 1.0) if quick else (5, 2.0)
    skipped: list[str] = []
    tables, data = [], {}
    with tempfile.TemporaryDirectory(prefix="modelmeter-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        server, upstream = nginx.start(directory, load.ANSWER)
        stack.enter_context(server)
        direct = Subject("nginx, direct", upstream, {})
        proxies = others(directory, upstream, stack, skipped)
        models = [small_model(directory)]

        def sidecar(name: str, settings: dict[str, object], *flags: str) -> Sidecar:
            file = write_configuration(directory, name, {"models": models, **settings})
            started = Sidecar(f"sidecar {name}", directory, upstream, file, flags)
            stack.callback(started.end)
            park(list(started.pids.values()))
            return started

        usual = sidecar("usual", {})
        tenth = sidecar("tenth", {"sampling": 0.1})
        whole = sidecar("whole", {"limits": WHOLE_BODIES})
        whole_eager = sidecar("whole-nice-0", {"limits": WHOLE_BODIES}, "--recorder-nice", "0")
        recording = ours("modelmeter, all recorded", usual)
        eager = ours("… recorder at nice 0", sidecar("nice-0", {}, "--recorder-nice", "0"))
        sampled = ours("… 1 in 10 sampled", tenth)
        stopped = ours("… recorder stopped", usual, recorder_stopped=True)
        small = [direct, *proxies, recording, eager, sampled, stopped]
        large = [
            direct,
            *proxies,
            ours("modelmeter, bodies copied whole", whole),
            ours("… recorder at nice 0", whole_eager),
            ours("… first 256 KiB copied (default)", usual),
            ours("… 1 in 10 sampled, cut too", tenth),
        ]
        usually = [subject for subject in small if subject is not stopped and subject is not sampled]
        paced = [subject for subject in small if subject is not stopped]
        script, trace = load.small(directory), load.small(directory, traced=True)
        image = load.binary(directory, "image", load.image_bodies())
        batch = load.binary(directory, "batch", load.batch_bodies())
        for key, subjects, what in (
            ("small, 1 connection", small, load.Load(script, 1, "20 features, 1 connection")),
            ("small, 32 connections", small, load.Load(script, 32, "20 features, 32 connections")),
            ("small, 512 connections", usually, load.Load(script, 512, "20 features, 512 connections")),
            ("traced", usually, load.Load(trace, 32, "20 features and a trace id, 32 connections")),
            (
                "batch, 8 connections",
                usually,
                load.Load(batch, 8, "1,000 rows × 20 features in binary (80 kB), 8 connections"),
            ),
            ("image, 8 connections", large, load.Load(image, 8, "600 kB bodies, 8 connections")),
        ):
            # In a short run twice only what is asked for first.
            rounds(subjects, what, count if key in HEADLINES or not quick else 1, seconds, say)
            reference = next(subject for subject in subjects if subject.name == REFERENCE)
            rows = [row(subject, reference) for subject in subjects]
            data[key] = [figures for figures, _ in rows]
            tables.append(Table(f"{what.title} ({REFERENCE} = 1)", HEADER, [line for _, line in rows]))
        requests = http_requests(load.small_bodies())
        for name in constant.NAMES:
            if any(subject.name == name for subject in proxies):
                rate = min(constant.half(data["small, 32 connections"], name), constant.FASTEST)
                title = f"20 features, 32 connections, {rate:,.0f} requests/s: half of what {name} can"
                found, table = constant.table(
                    paced, Paced(title, requests, 32, rate), 1 if quick else count, seconds, say
                )
                data[f"constant, half of {name}"] = found
                tables.append(table)
    return Report("passthrough", tables, {"loads": data, "skipped": skipped})
