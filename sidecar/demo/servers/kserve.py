"""The KServe SDK's model server: a Python class around the model, as KServe's custom predictors are."""

from __future__ import annotations

from pathlib import Path

from sidecar.demo.process import Ports
from sidecar.demo.servers import Launch


def prepare(python: Path, trained: Path, folder: Path, ports: Ports) -> Launch:
    """Return what to run; nothing needs to be written."""
    http_port = ports.take(8081)
    folder.mkdir(parents=True, exist_ok=True)
    return Launch(
        name="kserve",
        command=(
            str(python),
            "-P",  # or `import kserve` would find this file
            str(Path(__file__).with_name("kserve_model.py")),
            str(trained / "model.joblib"),
            f"--http_port={http_port}",
            "--enable_grpc=false",
        ),
        folder=folder,
        http_port=http_port,
        environment={"OMP_NUM_THREADS": "1"},
    )
