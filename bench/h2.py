"""Load by h2load: HTTP/2 or HTTP/1.1, as fast as it is answered or at a constant rate.

h2load (of nghttp2) sends one body all the time, so columns see one value: what recording costs is a little
less than in life. Percentiles are taken from its log of every request. With a rate, each connection sends
by the clock as long as it has a stream free (over HTTP/1.1 one, over HTTP/2 a hundred).
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.load import Figures
from bench.processes import BenchError
from bench.tools import find


@dataclass(frozen=True)
class H2Load:
    """Requests that h2load sends; *rate* is requests/s of all connections, None as fast as it can."""

    title: str
    path: str
    body: Path
    content_type: str
    connections: int
    streams: int = 1
    rate: float | None = None
    http1: bool = False

    def drive(self, port: int, seconds: float) -> Figures:
        """Send it to *port* for *seconds*; `BenchError` when anything but status 200 came back."""
        with tempfile.NamedTemporaryFile(prefix="h2load-") as log:
            command = [
                *(
                    find("h2load"),
                    "--threads=1",
                    f"--clients={self.connections}",
                    f"--duration={seconds:.0f}",
                ),
                *(f"--max-concurrent-streams={self.streams}", f"--data={self.body}"),
                *(f"--header=content-type: {self.content_type}", f"--log-file={log.name}"),
                *(("--h1",) if self.http1 else ("--header=te: trailers",)),
                *((f"--rps={self.rate / self.connections:.3f}",) if self.rate else ()),
                f"http://127.0.0.1:{port}{self.path}",
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
            if done.returncode:
                raise BenchError(f"h2load failed: {done.stderr.strip() or done.stdout.strip()[-200:]}")
            return figures(Path(log.name), seconds, self.title)


def figures(log: Path, seconds: float, title: str) -> Figures:
    """The figures in h2load's log: a line for each request, of start, status and microseconds."""
    table = np.loadtxt(log, dtype=np.int64, ndmin=2)
    if not len(table):
        raise BenchError(f"h2load gave no figures: {title}")
    bad = int((table[:, 1] != 200).sum())
    if bad:
        raise BenchError(f"h2load met {bad} failures: {title}")
    p50, p99, p999 = np.percentile(table[:, 2], [50, 99, 99.9])
    return Figures(len(table), seconds, float(p50), float(p99), float(p999))
