"""Triton on an ordinary model repository, with its Python back end.

The server comes in the wheel of nvidia-pytriton; pytriton's own Python is not used. What the container
image has in place is put together here: the back end's folder, the stub of the running Python version,
and the libraries of both.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from sidecar.demo.columns import CATEGORIES, NUMBERS
from sidecar.demo.errors import DemoError
from sidecar.demo.process import LOOPBACK, Ports
from sidecar.demo.servers import MODEL, VERSION, Launch

#: Asked of the environment's interpreter: which Python the back end must embed.
_INTERPRETER = """
import json, sys, sysconfig
value = sysconfig.get_config_var
print(json.dumps({
    "version": f"{sys.version_info[0]}.{sys.version_info[1]}",
    "packages": sysconfig.get_paths()["purelib"],
    "folders": [value("LIBDIR"), f"/usr/lib/{value('MULTIARCH')}", "/usr/lib64"],
}))
"""


def prepare(python: Path, trained: Path, folder: Path, ports: Ports) -> Launch:
    """Lay out the model repository and the back end in *folder* and return what to run.

    Raises DemoError when the interpreter's shared library is not on this machine.
    """
    launch = bare(python, folder, ports)
    _model(folder / "models" / MODEL, trained)
    return launch


def bare(python: Path, folder: Path, ports: Ports) -> Launch:
    """As `prepare`, with no model yet in ``folder/models``."""
    about = json.loads(
        subprocess.run([str(python), "-c", _INTERPRETER], capture_output=True, check=True).stdout
    )
    packages = Path(about["packages"])
    server = packages / "pytriton" / "tritonserver"
    library = _library(about["version"], about["folders"])

    backend = folder / "backends" / "python"
    backend.mkdir(parents=True)
    for part in (server / "backends" / "python").iterdir():
        (backend / part.name).symlink_to(part)
    stub = server / "python_backend_stubs" / about["version"] / "triton_python_backend_stub"
    (backend / stub.name).symlink_to(stub)

    http_port, grpc_port, metrics_port = ports.take(8081), ports.take(8082), ports.take(8083)
    return Launch(
        name="triton",
        command=(
            str(server / "bin" / "tritonserver"),
            f"--model-repository={folder / 'models'}",
            f"--backend-directory={folder / 'backends'}",
            f"--cache-directory={server / 'caches'}",
            f"--repoagent-directory={folder / 'repoagents'}",
            f"--http-address={LOOPBACK}",
            f"--http-port={http_port}",
            f"--grpc-address={LOOPBACK}",
            f"--grpc-port={grpc_port}",
            f"--metrics-address={LOOPBACK}",
            f"--metrics-port={metrics_port}",
            "--allow-gpu-metrics=false",
        ),
        folder=folder,
        http_port=http_port,
        grpc_port=grpc_port,
        environment={
            "LD_LIBRARY_PATH": f"{packages / 'nvidia_pytriton.libs'}:{library.parent}",
            # From Python 3.11 on the stub embeds an isolated interpreter: it ignores PYTHONPATH and
            # PYTHONHOME, looks for `python3` on PATH, and finds our environment by its pyvenv.cfg.
            "PATH": f"{python.parent}:{os.environ.get('PATH', os.defpath)}",
            "OMP_NUM_THREADS": "1",
        },
    )


def _library(version: str, folders: list[str]) -> Path:
    """The shared library of Python *version*, which the back end's stub is linked with."""
    for folder in folders:
        path = Path(folder) / f"libpython{version}.so.1.0"
        if path.exists():
            return path
    raise DemoError(
        f"Triton's Python back end needs libpython{version}.so.1.0, which this machine lacks "
        f"(Debian package libpython{version}); `SERVER=mlserver` does without"
    )


def _model(folder: Path, trained: Path) -> None:
    """``config.pbtxt`` and version 1 of the model: our model.py beside the trained file."""
    inputs = [f'{{ name: "{name}", data_type: TYPE_STRING, dims: [ 1 ] }}' for name in CATEGORIES]
    inputs += [f'{{ name: "{name}", data_type: TYPE_FP64, dims: [ 1 ] }}' for name in NUMBERS]
    version = folder / VERSION
    version.mkdir(parents=True)
    (folder / "config.pbtxt").write_text(
        f"""name: "{MODEL}"
backend: "python"
max_batch_size: 1024
dynamic_batching {{ max_queue_delay_microseconds: 0 }}
input [ {", ".join(inputs)} ]
output [
  {{ name: "predict", data_type: TYPE_INT64, dims: [ 1 ] }},
  {{ name: "predict_proba", data_type: TYPE_FP64, dims: [ 2 ] }}
]
instance_group [ {{ kind: KIND_CPU, count: 1 }} ]
"""
    )
    shutil.copy(Path(__file__).with_name("triton_model.py"), version / "model.py")
    (version / "model.joblib").symlink_to(trained / "model.joblib")
