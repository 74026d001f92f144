"""Ours: the command ``modelmeter sidecar`` as a user starts it, its processes and its own books."""

from __future__ import annotations

import gzip
import http.client
import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from bench.load import FEATURES, training_rows
from bench.processes import BenchError, Process, children, command_line, free_port, memory, wait_for
from bench.tools import modelmeter

SETTLED_SECONDS = 60.0
"""The longest that the recorder may take to read what lies in the ring; measured: below a second."""

FLUSH_SECONDS = 0.3
"""The recorder puts what it has read into the profiles every 0.25 s."""


@dataclass(frozen=True)
class Books:
    """The conservation law of one sidecar, read from /metrics; reasons are added up."""

    seen: int
    recorded: int
    sampled_out: int
    dropped: int
    undecodable: int
    unobservable: int
    ignored: int
    unsettled: int

    def since(self, before: Books) -> Books:
        """What has been added after *before*."""
        mine, theirs = (
            tuple(getattr(books, field.name) for field in fields(Books)) for books in (self, before)
        )
        return Books(*(new - old for new, old in zip(mine, theirs, strict=True)))

    def plus(self, other: Books) -> Books:
        """Both added up."""
        return Books(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Books)))

    @property
    def holds(self) -> bool:
        """Whether everything seen is accounted for."""
        accounted = self.recorded + self.sampled_out + self.dropped + self.undecodable
        return self.seen == accounted + self.unobservable + self.ignored + self.unsettled


def read_books(text: str) -> Books:
    """The books in a scrape.

    >>> read_books('modelmeter_exchanges_seen_total{protocol="http"} 3.0').seen
    3
    """
    sums = {field.name: 0.0 for field in fields(Books)}
    for line in text.splitlines():
        if line.startswith("modelmeter_exchanges_"):
            series, _, value = line.rpartition(" ")
            name = series.partition("{")[0].removeprefix("modelmeter_exchanges_").removesuffix("_total")
            if name in sums:
                sums[name] += float(value)
    return Books(**{name: int(value) for name, value in sums.items()})


def read_sum(text: str, name: str) -> int:
    """The series of metric *name* in a scrape, added up.

    >>> read_sum('rows_total{model="m"} 7.0', "rows_total"), read_sum("bytes 3.0", "bytes")
    (7, 3)
    """
    lines = (line for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} ")))
    return int(sum(float(line.rpartition(" ")[2]) for line in lines))


class Sidecar:
    """One running sidecar before *upstream*; *flags* are added to its command line."""

    def __init__(
        self,
        name: str,
        directory: Path,
        upstream: int,
        configuration: Path,
        flags: Sequence[str] = (),
        protocol: str = "http",
    ) -> None:
        self.port, self.metrics_port = free_port(), free_port()
        command = [
            modelmeter(),
            "sidecar",
            *("--listen", f"{protocol}=127.0.0.1:{self.port}"),
            *("--upstream", f"{protocol}=127.0.0.1:{upstream}"),
            *("--metrics-listen", f"127.0.0.1:{self.metrics_port}", "--health-listen", "none"),
            *(
                "--config",
                str(configuration),
                "--taps",
                "1",
                "--drain-seconds",
                "0",
                "--last-scrape-seconds",
                "0",
            ),
            # A recorder that is stopped on purpose, here and while others are measured, is not replaced.
            *("--recorder-timeout", "3600"),
            *flags,
        ]
        self.process = Process(name, command, directory)
        self.name = name
        self.rows = 0
        """Rows that had been recorded when `books` was last called; recorders replaced; internal errors."""
        self.restarts = self.errors = 0
        try:
            wait_for(self.port, self.process)
            self.pids = self.find_pids()
            self.scrape()
        except BaseException:
            self.process.end()
            raise

    def find_pids(self) -> dict[str, int]:
        """The pid of each of its processes, by role."""
        deadline = time.monotonic() + 20
        while True:
            pids = {"supervisor": self.process.pid}
            for pid in children(self.process.pid):
                for role in ("tap", "recorder"):
                    if f"sidecar.{role}" in command_line(pid):
                        pids[role] = pid
            if len(pids) == 3:
                return pids
            if self.process.ended() or time.monotonic() > deadline:
                raise BenchError(f"{self.name} has no tap or no recorder: {self.process.log_tail()}")
            time.sleep(0.05)

    def scrape(self, *, compressed: bool = False, path: str = "/metrics") -> tuple[str, int, float]:
        """One scrape: the text, the bytes that came over the wire, the seconds it took."""
        began = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=30)
        connection.request("GET", path, headers={"Accept-Encoding": "gzip" if compressed else "identity"})
        answer = connection.getresponse()
        body = answer.read()
        seconds = time.perf_counter() - began
        connection.close()
        if answer.status != 200:
            raise BenchError(f"{self.name}: GET {path} gave {answer.status}")
        plain = gzip.decompress(body) if answer.getheader("Content-Encoding") == "gzip" else body
        return plain.decode(), len(body), seconds

    def books(self) -> Books:
        """The books once everything is settled and read, and whether the law holds."""
        deadline = time.monotonic() + SETTLED_SECONDS
        waited = False
        while True:
            text = self.scrape()[0]
            books = read_books(text)
            self.rows = read_sum(text, "modelmeter_rows_recorded_total")
            self.restarts = read_sum(text, "modelmeter_recorder_restarts_total")
            self.errors = read_sum(text, "modelmeter_internal_errors_total")
            if not books.holds:
                raise BenchError(f"{self.name}: the conservation law does not hold: {books}")
            # Messages of a stream that is lost already may still lie in the ring.
            if not books.unsettled and not read_sum(text, "modelmeter_recorder_queue_bytes"):
                if not waited:
                    return books
                waited = False
                time.sleep(FLUSH_SECONDS)
                continue
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name}: {books.unsettled} exchanges stay unsettled")
            waited = True
            time.sleep(0.1)

    def memory(self) -> dict[str, Any]:
        """The memory of each process."""
        return {role: memory(pid) for role, pid in self.pids.items()}

    def end(self) -> None:
        """End it."""
        self.process.end()


def build_baseline(directory: Path, name: str, header: Sequence[str], lines: Sequence[str]) -> Path:
    """A baseline of the CSV file with *header* and *lines*; its last column is the prediction."""
    table, baseline = directory / f"{name}.csv", directory / f"{name}.json"
    table.write_text("\n".join([",".join(header), *lines]) + "\n")
    command = [
        *(modelmeter(), "baseline", "build", str(table)),
        *("--prediction", header[-1], "--model", "bench", "-o", str(baseline)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise BenchError(f"the baseline could not be built: {done.stderr.strip()}")
    return baseline


def write_configuration(directory: Path, name: str, document: dict[str, Any]) -> Path:
    """A configuration file of *document* (JSON is YAML)."""
    file = directory / f"{name}.yaml"
    file.write_text(json.dumps(document))
    return file


def small_model(directory: Path) -> dict[str, Any]:
    """The model of the small requests: 20 numeric features of one tensor, one prediction, with a baseline."""
    names = [f"input[{index}]" for index in range(FEATURES)]
    lines = [
        ",".join(map(str, [*row, 0.25 + 0.001 * (i % 7)])) for i, row in enumerate(training_rows(10_000))
    ]
    baseline = build_baseline(directory, "small", [*names, "score"], lines)
    return {"name": "bench", "baseline": str(baseline)}
