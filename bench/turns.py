"""Measuring in turns: several subjects, one load, rounds A B C, C B A, …, and the line each makes in a table.

While one is measured, all others are stopped (SIGSTOP), since a recorder that idles still polls. A sidecar's
sample has its books, and measuring fails when the conservation law does not hold.
"""

from __future__ import annotations

import signal
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Protocol

from bench import load
from bench.processes import cpu_seconds, park, send, unpark
from bench.servers.sidecar import Books, Sidecar

WAKE_SECONDS = 0.1
"""From SIGCONT until a load begins."""

REST_SECONDS = 0.4
"""From the end of a load until CPU time is read: the recorder flushes every 0.25 s."""


class Load(Protocol):
    """What is sent: `bench.load.Load` by wrk, `bench.h2.H2Load` by h2load."""

    @property
    def title(self) -> str:
        """What the table is called."""
        ...

    def drive(self, port: int, seconds: float) -> load.Figures:
        """Send it to *port* for *seconds*."""
        ...


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
    warm: bool = False
    """Whether it has had a second of load that is not measured."""


@dataclass(frozen=True)
class Sample:
    """One run of one subject."""

    rate: float
    requests: int
    p50: float
    p99: float
    p999: float
    cpu: dict[str, float]
    books: Books | None
    rows: int = 0
    """Rows that were recorded, of a sidecar of ours."""


def measure(subject: Subject, what: Load, seconds: float) -> Sample:
    """Drive *what* at *subject* once; every process of it is parked before and after."""
    everyone = list((subject.sidecar.pids if subject.sidecar else subject.pids).values())
    unpark(everyone)
    time.sleep(WAKE_SECONDS)
    before, rows = (subject.sidecar.books(), -subject.sidecar.rows) if subject.sidecar else (None, 0)
    if subject.recorder_stopped:
        send([subject.pids["recorder"]], signal.SIGSTOP)
    used = {role: cpu_seconds(pid) for role, pid in subject.pids.items()}
    figures = what.drive(subject.port, seconds)
    if subject.sidecar and not subject.recorder_stopped:
        time.sleep(REST_SECONDS)
    used = {role: cpu_seconds(pid) - used[role] for role, pid in subject.pids.items()}
    books = None
    if subject.sidecar and before:
        unpark(everyone)
        books = subject.sidecar.books().since(before)
        rows += subject.sidecar.rows
    park(everyone)
    return Sample(figures.rate, figures.requests, figures.p50, figures.p99, figures.p999, used, books, rows)


def rounds(
    subjects: list[Subject], what: Load, count: int, seconds: float, say: Callable[[str], None]
) -> None:
    """Fill the samples of *subjects*: one unmeasured second at first, then *count* rounds in turns."""
    for subject in subjects:
        subject.samples = []
        if not subject.warm:
            measure(subject, what, 1)
            subject.warm = True
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
        "p999_us": statistics.median(sample.p999 for sample in samples),
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
        f"{data['p999_us']:,.0f}",
        " + ".join(f"{1000 * seconds:.1f}" for role, seconds in cpu.items() if role != "supervisor"),
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
    "p99.9 µs",
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
    """A sidecar of ours as a subject; the supervisor's time is in the data and too little for the tables."""
    pids = {role: sidecar.pids[role] for role in ("tap", "recorder", "supervisor")}
    return Subject(name, sidecar.port, pids, sidecar, recorder_stopped)
