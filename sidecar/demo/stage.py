"""The stage: the run's folder, the model server, the sidecar around it, and Prometheus.

Promises: whatever is started or written here is gone when the ``with`` block ends; the logs stay when
the demo failed.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sidecar.demo import report
from sidecar.demo.environment import CACHE, ROOT
from sidecar.demo.process import LOOPBACK, Ports, Processes
from sidecar.demo.servers import MODEL, Launch, answers
from sidecar.demo.steps import Ended

CONFIGURATION = ROOT / "examples" / "modelmeter.yaml"

SIDECAR_READY_SECONDS = 30.0

BASELINE_SECONDS = 300.0
"""A baseline of 245,000 rows takes seconds; this only ends one that hangs."""


def modelmeter() -> str:
    """The command of this installation."""
    beside = Path(sys.executable).with_name("modelmeter")
    return str(beside) if beside.exists() else (shutil.which("modelmeter") or "modelmeter")


@dataclass(slots=True)
class Folders:
    """Where a run keeps its files."""

    run: Path
    """Temporary: configuration, baseline, model repository, Prometheus' data."""
    logs: Path
    keep_logs: bool = True
    """Until the run is known to have gone well, or was ended by a signal."""


@contextmanager
def folders() -> Iterator[Folders]:
    """Fresh folders; the temporary one vanishes, the logs stay when the block fails."""
    logs = CACHE / "demo" / "logs"
    _remove_left_over(logs)
    mine = logs / str(os.getpid())
    mine.mkdir(parents=True)
    run = Path(tempfile.mkdtemp(prefix="modelmeter-demo-"))
    found = Folders(run, mine)
    try:
        yield found
    except Ended:
        found.keep_logs = False
        raise
    finally:
        shutil.rmtree(run, ignore_errors=True)
        if not found.keep_logs:
            shutil.rmtree(mine, ignore_errors=True)


def _remove_left_over(logs: Path) -> None:
    """Logs of demos that failed earlier; those of a demo that still runs are left alone."""
    for folder in logs.glob("*"):
        if not Path("/proc", folder.name).exists():
            shutil.rmtree(folder, ignore_errors=True)


def build_baseline(processes: Processes, training: Path, folder: Path) -> None:
    """``modelmeter baseline build`` on the training months, beside a copy of the shipped configuration."""
    configuration = folder / "modelmeter.yaml"
    shutil.copy(CONFIGURATION, configuration)
    building = processes.start(
        "baseline",
        [
            *(modelmeter(), "baseline", "build", str(training)),
            *("--config", str(configuration), "--timestamp", "time"),
            *("--prediction", "late", "--prediction", "late_probability"),
            *("-o", str(folder / "baseline.json")),
        ],
    )
    building.finish(BASELINE_SECONDS)


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A running sidecar: where clients connect and where it reports."""

    port: int
    metrics_port: int

    @property
    def page(self) -> str:
        """The status page."""
        return f"http://{LOOPBACK}:{self.metrics_port}/"


def start_sidecar(
    processes: Processes, launch: Launch, folder: Path, ports: Ports, start: float, rate: float
) -> Sidecar:
    """Start it in front of *launch* on a clock that shows *start* and runs *rate* times as fast."""
    sidecar = Sidecar(ports.take(8080), ports.take(9464))
    clock = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    process = processes.start(
        "sidecar",
        [
            *(modelmeter(), "sidecar"),
            *("--listen", f"http={LOOPBACK}:{sidecar.port}"),
            *("--upstream", f"http={LOOPBACK}:{launch.http_port}"),
            *("--metrics-listen", f"{LOOPBACK}:{sidecar.metrics_port}"),
            *("--health-listen", f"{LOOPBACK}:{ports.take(9465)}"),
            *("--config", str(folder / "modelmeter.yaml")),
            *("--clock", f"{clock}@{rate:g}"),
            # Nobody's requests are to be waited for when the demo ends.
            *("--drain-seconds", "1", "--finish-seconds", "3", "--last-scrape-seconds", "0"),
        ],
    )
    process.wait_until(
        lambda: (
            report.read_status(sidecar.metrics_port) is not None
            and answers(sidecar.port, f"/v2/models/{MODEL}/ready")
        ),
        SIDECAR_READY_SECONDS,
    )
    return sidecar
