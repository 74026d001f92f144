"""Real model servers with the model of `late`, each as its own documentation starts it, on loopback.

The other files here run inside the servers, in environments of their own; they import nothing of ours.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sidecar.demo import environment
from sidecar.demo.errors import DemoError
from sidecar.demo.process import LOOPBACK, Ports, Process, Processes
from sidecar.demo.servers import answers, triton
from tests.real import parts
from tests.real.servers.late import CATEGORIES, NUMBERS

HERE = Path(__file__).parent

READY_SECONDS = 120.0
"""They need 2 to 8 s; the first start of all compiles bytecode before."""


@dataclass(frozen=True)
class Server:
    """A server that is starting, and where it will answer."""

    name: str
    process: Process
    ports: dict[str, int]
    """``http`` and, where it has one, ``grpc``."""
    probe: str
    """Path that answers 200 once the model is ready."""

    def wait(self) -> None:
        """Return when the model is ready."""
        self.process.wait_until(lambda: answers(self.ports["http"], self.probe), READY_SECONDS)


def start(name: str, processes: Processes, folder: Path, ports: Ports) -> Server:
    """Start server *name* in *folder*; the test is skipped, with the reason, where it can not be had."""
    environment_name, program, begin = SERVERS[name]
    if program is not None and parts.find(program) is None:
        pytest.skip(parts.absence(program))
    try:
        python = environment.ensure(environment_name)
        folder.mkdir(parents=True, exist_ok=True)
        return begin(python, processes, folder, ports)
    except DemoError as error:
        pytest.skip(str(error))


def _triton(python: Path, processes: Processes, folder: Path, ports: Ports) -> Server:
    launch = triton.bare(python, folder, ports)
    assert launch.grpc_port is not None
    inputs = [f'{{ name: "{name}", data_type: TYPE_STRING, dims: [ 1 ] }}' for name in CATEGORIES]
    inputs += [f'{{ name: "{name}", data_type: TYPE_FP64, dims: [ 1 ] }}' for name in NUMBERS]
    models = {
        "flights": (
            ("triton_late.py", "late.py"),
            f"""max_batch_size: 1024
input [ {", ".join(inputs)} ]
output [
  {{ name: "late", data_type: TYPE_INT64, dims: [ 1 ] }},
  {{ name: "late_probability", data_type: TYPE_FP64, dims: [ 1 ] }}
]
""",
        ),
        "steps": (
            ("triton_steps.py",),
            """model_transaction_policy { decoupled: true }
input [ { name: "answers", data_type: TYPE_INT64, dims: [ 1 ] }, { name: "x", data_type: TYPE_FP64, dims: [ 1 ] } ]
output [ { name: "y", data_type: TYPE_FP64, dims: [ 1 ] } ]
""",
        ),
    }
    for name, (files, configuration) in models.items():
        version = folder / "models" / name / "1"
        version.mkdir(parents=True)
        for source, target in zip(files, ("model.py", *files[1:]), strict=True):
            shutil.copy(HERE / source, version / target)
        (version.parent / "config.pbtxt").write_text(
            f'name: "{name}"\nbackend: "python"\ninstance_group [ {{ kind: KIND_CPU, count: 1 }} ]\n'
            + configuration
        )
    process = processes.start("triton", launch.command, launch.environment, launch.folder)
    return Server("triton", process, {"http": launch.http_port, "grpc": launch.grpc_port}, "/v2/health/ready")


def _mlserver(python: Path, processes: Processes, folder: Path, ports: Ports) -> Server:
    taken = {"http": ports.take(), "grpc": ports.take()}
    settings = {
        "host": LOOPBACK,
        "http_port": taken["http"],
        "grpc_port": taken["grpc"],
        "metrics_port": ports.take(),
        "parallel_workers": 0,  # see sidecar/demo/servers/mlserver.py
        "debug": False,
    }
    model = {
        "name": "flights",
        "implementation": "mlserver_late.Flights",
        "parameters": {"version": "1"},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    for file in ("mlserver_late.py", "late.py"):
        shutil.copy(HERE / file, folder)
    command = [str(python.parent / "mlserver"), "start", str(folder)]
    process = processes.start("mlserver", command, {"PYTHONPATH": str(folder)}, folder)
    return Server("mlserver", process, taken, "/v2/models/flights/ready")


def _kserve(python: Path, processes: Processes, folder: Path, ports: Ports) -> Server:
    taken = {"http": ports.take(), "grpc": ports.take()}
    command = [
        *(str(python), str(HERE / "kserve_late.py")),
        *(f"--http_port={taken['http']}", f"--grpc_port={taken['grpc']}"),
    ]
    process = processes.start("kserve", command, {}, folder)
    return Server("kserve", process, taken, "/v2/models/flights/ready")


def _mlflow(python: Path, processes: Processes, folder: Path, ports: Ports) -> Server:
    around = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{python.parent}:/usr/bin:/bin",  # it starts `uvicorn` by name
        "PYTHONPATH": str(HERE),
    }
    saving = processes.start(
        "mlflow-save", [str(python), "-P", str(HERE / "mlflow_late.py"), "saved"], around, folder
    )
    saving.finish(READY_SECONDS)
    taken = {"http": ports.take()}
    command = [
        *(str(python.parent / "mlflow"), "models", "serve", "--model-uri", "saved"),
        *("--env-manager", "local", "--host", LOOPBACK, "--port", str(taken["http"])),
    ]
    return Server("mlflow", processes.start("mlflow", command, around, folder), taken, "/ping")


def _litserve(python: Path, processes: Processes, folder: Path, ports: Ports) -> Server:
    taken = {"http": ports.take()}
    command = [str(python), str(HERE / "litserve_late.py"), str(taken["http"])]
    return Server("litserve", processes.start("litserve", command, {}, folder), taken, "/health")


def _torchserve(python: Path, processes: Processes, folder: Path, ports: Ports) -> Server:
    taken = {"http": ports.take()}
    archive = folder / "store" / "flights"
    (archive / "MAR-INF").mkdir(parents=True)
    (folder / "temporary").mkdir()
    manifest = {
        "runtime": "python",
        "model": {"modelName": "flights", "handler": "torchserve_late.py", "modelVersion": "1.0"},
        "archiverVersion": "0.12.0",
    }
    (archive / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest))
    for file in ("torchserve_late.py", "late.py"):
        shutil.copy(HERE / file, archive)
    settings = {
        "inference_address": f"http://{LOOPBACK}:{taken['http']}",
        "management_address": f"http://{LOOPBACK}:{ports.take()}",
        "metrics_address": f"http://{LOOPBACK}:{ports.take()}",
        "grpc_inference_address": LOOPBACK,
        "grpc_management_address": LOOPBACK,
        "grpc_inference_port": ports.take(),
        "grpc_management_port": ports.take(),
        "default_workers_per_model": 1,
        "vmargs": "-Xmx256m",
    }
    text = "".join(f"{key}={value}\n" for key, value in settings.items())
    (folder / "config.properties").write_text(text)
    command = [
        *(str(python.parent / "torchserve"), "--foreground", "--ncs", "--disable-token-auth"),
        *("--model-store", "store", "--models", "flights=flights", "--ts-config", "config.properties"),
    ]
    around = {
        "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(HERE / "fake_torch"),
        # It writes a process id, a socket and logs to fixed names.
        "TMPDIR": str(folder / "temporary"),
        "TEMP": str(folder / "temporary"),
        "LOG_LOCATION": str(folder / "logs"),
        "METRICS_LOCATION": str(folder / "logs"),
    }
    process = processes.start("torchserve", command, around, folder)
    return Server("torchserve", process, taken, "/ping")


Begin = Callable[[Path, Processes, Path, Ports], Server]

SERVERS: dict[str, tuple[str, str | None, Begin]] = {
    "triton": ("triton", None, _triton),
    "mlserver": ("mlserver", None, _mlserver),
    "kserve": ("kserve", None, _kserve),
    "mlflow": ("rest", None, _mlflow),
    "litserve": ("rest", None, _litserve),
    "torchserve": ("rest", "java", _torchserve),
}
"""Server → its environment, the program that it needs beside it, and how it is started."""
