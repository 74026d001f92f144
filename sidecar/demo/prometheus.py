"""The Prometheus beside the demo, when the machine has one: the shipped configuration, data that vanishes."""

from __future__ import annotations

import shutil
from pathlib import Path

from sidecar.demo.environment import ROOT
from sidecar.demo.process import LOOPBACK, Ports, Process, Processes
from sidecar.demo.servers import answers

CONFIGURATION = ROOT / "examples" / "prometheus.yml"

#: The shipped configuration's only target; the demo's port may have to differ.
TARGET = f"{LOOPBACK}:9464"


def start(processes: Processes, folder: Path, metrics_port: int, ports: Ports) -> tuple[Process, int] | None:
    """Start it on the shipped configuration with its data in *folder*; None when it is not installed."""
    program = shutil.which("prometheus")
    if program is None:
        return None
    folder.mkdir(parents=True)
    configuration = folder / "prometheus.yml"
    text = CONFIGURATION.read_text(encoding="utf-8")
    configuration.write_text(text.replace(TARGET, f"{LOOPBACK}:{metrics_port}"), encoding="utf-8")
    port = ports.take(9090)
    process = processes.start(
        "prometheus",
        [
            program,
            f"--config.file={configuration}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={LOOPBACK}:{port}",
        ],
    )
    process.wait_until(lambda: answers(port, "/-/ready"), seconds=30)
    return process, port
