"""Pass-through: what stands between client and model server costs, ours beside HAProxy and Envoy.

All are measured in the same run, in turns (A B C, C B A, …), and told as the median of the per-round
ratios to HAProxy in http mode: absolute rates of a shared machine drift by ±30 % between minutes. While
one is measured, all others are stopped (SIGSTOP), since a recorder that idles still polls.

A throughput counts as "recorded" only with its books: the shares of exchanges recorded and dropped come
from the sidecar's own /metrics, and the run fails when the conservation law does not hold.
"""

from __future__ import annotations

import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench import load
from bench.processes import BenchError, Process, cpu_seconds, free_port, park, send, unpark, wait_for
from bench.servers import envoy, haproxy, nginx
from bench.servers.sidecar import Books, Sidecar, small_model, write_configuration
from bench.tables import Report, Table

REFERENCE = "HAProxy http"

WAKE_SECONDS = 0.1
"""From SIGCONT until a load begins."""

REST_SECONDS = 0.4
"""From the end of a load until CPU time is read: the recorder flushes every 0.25 s."""

WHOLE_BODIES = {"body_bytes": 1 << 20, "ring_bytes": 1 << 25}
"""Limits with which an image of 600 kB is recorded whole."""


@dataclass
class Subject:
    """One thing that is measured."""

    name: str
    port: int
    pids: dict[str, int]
    """Processes whose CPU time counts, by what they are called in the table."""
    sidecar: Sidecar | None = None
    recorder_stopped: bool = False
    samples: list[Sample] = field(default_factory=list)


@dataclass(frozen=True)
class Sample:
    """One run of one subject."""

    rate: float
    requests: int
    p50: float
    p99: float
    cpu: dict[str, float]
    books: Books | None


def measure(subject: Subject, what: load.Load, seconds: float) -> Sample:
    """Drive *what* at *subject* once; every process of it is parked before and after."""
    everyone = list((subject.sidecar.pids if subject.sidecar else subject.pids).values())
    unpark(everyone)
    time.sleep(WAKE_SECONDS)
    before = subject.sidecar.books() if subject.sidecar else None
    if subject.recorder_stopped:
        send([subject.pids["recorder"]], signal.SIGSTOP)
    used = {role: cpu_seconds(pid) for role, pid in subject.pids.items()}
    figures = load.drive(what, subject.port, seconds)
    if subject.sidecar and not subject.recorder_stopped:
        time.sleep(REST_SECONDS)
    used = {role: cpu_seconds(pid) - used[role] for role, pid in subject.pids.items()}
    books = None
    if subject.sidecar and before:
        unpark(everyone)
        books = subject.sidecar.books().since(before)
    park(everyone)
    return Sample(figures.rate, figures.requests, figures.p50, figures.p99, used, books)


def rounds(
    subjects: list[Subject], what: load.Load, count: int, seconds: float, say: Callable[[str], None]
) -> None:
    """Fill the samples of *subjects*: one unmeasured second each, then *count* rounds in turns."""
    for subject in subjects:
        subject.samples = []
        measure(subject, what, 1)
    for turn in range(count):
        say(f"{what.title}: round {turn + 1} of {count}")
        for subject in subjects if turn % 2 == 0 else reversed(subjects):
            subject.samples.append(measure(subject, what, seconds))


def ratios(subject: Subject, reference: Subject) -> list[float]:
    """The subject's rate in each round, the reference's of the same round = 1."""
    pairs = zip(subject.samples, reference.samples, strict=True)
    return [mine.rate / theirs.rate for mine, theirs in pairs]


def row(subject: Subject, reference: Subject) -> tuple[dict[str, object], tuple[str, ...]]:
    """The figures of *subject* as data and as a line of the table."""
    samples = subject.samples
    ratio = ratios(subject, reference)
    requests = sum(sample.requests for sample in samples)
    cpu = {role: 1000 * sum(sample.cpu[role] for sample in samples) / requests for role in subject.pids}
    data: dict[str, object] = {
        "name": subject.name,
        "rate": statistics.median(sample.rate for sample in samples),
        "ratio": statistics.median(ratio),
        "ratios": ratio,
        "p50_us": statistics.median(sample.p50 for sample in samples),
        "p99_us": statistics.median(sample.p99 for sample in samples),
        "cpu_seconds_per_1000": cpu,
    }
    share, dropped, per_core = "", "", ""
    kept = [sample.books for sample in samples if sample.books]
    if kept:
        books = kept[0]
        for more in kept[1:]:
            books = books.plus(more)
        data["books"] = asdict(books)
        share, dropped = percent(books.recorded, books.seen), percent(books.dropped, books.seen)
        used = sum(sample.cpu["recorder"] for sample in samples)
        if not subject.recorder_stopped and books.recorded:
            data["recorded_per_core_second"] = books.recorded / used
            per_core = f"{books.recorded / used:,.0f}"
    line = (
        subject.name,
        f"{data['ratio']:.2f}",
        f"{min(ratio):.2f}–{max(ratio):.2f}",
        f"{data['rate']:,.0f}",
        f"{data['p50_us']:,.0f}",
        f"{data['p99_us']:,.0f}",
        " + ".join(f"{1000 * seconds:.1f}" for seconds in cpu.values()),
        share,
        dropped,
        per_core,
    )
    return data, line


HEADER = (
    "",
    "ratio",
    "(range)",
    "requests/s",
    "p50 µs",
    "p99 µs",
    "CPU ms per 1,000",
    "recorded",
    "dropped",
    "recorded/s/core",
)


def percent(part: int, whole: int) -> str:
    """A share that reads 100 % only when nothing is missing but what wrk cut off at its end.

    >>> percent(0, 10), percent(999_999, 1_000_000), percent(1, 3)
    ('0 %', '99.99 %', '33.33 %')
    """
    if part in (0, whole):
        return "0 %" if part == 0 else "100 %"
    return f"{min(max(100 * part / whole, 0.01), 99.99):.2f} %"


def ours(name: str, sidecar: Sidecar, *, recorder_stopped: bool = False) -> Subject:
    """A sidecar of ours as a subject."""
    pids = {role: sidecar.pids[role] for role in ("tap", "recorder")}
    return Subject(name, sidecar.port, pids, sidecar, recorder_stopped)


def others(directory: Path, upstream: int, stack: ExitStack, skipped: list[str]) -> list[Subject]:
    """HAProxy, Envoy and the tap alone before *upstream*, parked; what cannot be had is told in *skipped*."""
    subjects = []

    def keep(process: Process, port: int, role: str) -> None:
        stack.enter_context(process)
        park([process.pid])
        subjects.append(Subject(process.name, port, {role: process.pid}))

    keep(*haproxy.start(directory, upstream, "http"), "proxy")
    keep(*haproxy.start(directory, upstream, "tcp"), "proxy")
    try:
        keep(*envoy.start(directory, upstream), "proxy")
    except BenchError as error:
        skipped.append(f"Envoy: {error}")
    keep(*start_splice(directory, upstream), "tap")
    return subjects


def start_splice(directory: Path, upstream: int) -> tuple[Process, int]:
    """The tap without copy before *upstream*, and its port."""
    port = free_port()
    command = [sys.executable, "-m", "bench.servers.splice", str(port), str(upstream)]
    process = Process("modelmeter, tap alone", command, directory)
    wait_for(port, process)
    return process, port


def run(*, quick: bool, say: Callable[[str], None]) -> Report:
    """Measure it all: about eight minutes, *quick* about one and a half."""
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
        script, image = load.small(directory), load.image(directory)
        trace, pace = load.small(directory, traced=True), load.small(directory, paced=True)
        for key, subjects, what in (
            ("small, 1 connection", small, load.Load(script, 1, "20 features, 1 connection")),
            ("small, 32 connections", small, load.Load(script, 32, "20 features, 32 connections")),
            ("traced", usually, load.Load(trace, 32, "20 features and a trace id, 32 connections")),
            ("paced", usually, load.Load(pace, 20, "20 features, 20 connections that rest 1 ms each time")),
            ("image, 8 connections", large, load.Load(image, 8, "600 kB bodies, 8 connections")),
        ):
            rounds(subjects, what, count, seconds, say)
            reference = next(subject for subject in subjects if subject.name == REFERENCE)
            rows = [row(subject, reference) for subject in subjects]
            data[key] = [figures for figures, _ in rows]
            tables.append(Table(f"{what.title} ({REFERENCE} = 1)", HEADER, [line for _, line in rows]))
    return Report("passthrough", tables, {"loads": data, "skipped": skipped})
