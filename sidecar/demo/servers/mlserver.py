"""MLServer with its scikit-learn runtime: two JSON files beside the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sidecar.demo.columns import CATEGORIES
from sidecar.demo.process import LOOPBACK, Ports
from sidecar.demo.servers import MODEL, VERSION, Launch


def prepare(python: Path, trained: Path, folder: Path, ports: Ports) -> Launch:
    """Write the settings into *folder* and return what to run."""
    http_port, grpc_port, metrics_port = ports.take(8081), ports.take(8082), ports.take(8083)
    settings: dict[str, Any] = {
        "host": LOOPBACK,
        "http_port": http_port,
        "grpc_port": grpc_port,
        "metrics_port": metrics_port,
        # With worker processes MLServer 1.7 restarts them for ever under uvloop >= 0.22.
        "parallel_workers": 0,
        "debug": False,
    }
    model: dict[str, Any] = {
        "name": MODEL,
        "implementation": "mlserver_sklearn.SKLearnModel",
        # `pd`: the tensors of a request are the columns of a pandas frame.
        "parameters": {"uri": str(trained / "model.joblib"), "version": VERSION, "content_type": "pd"},
        "inputs": [
            {"name": name, "datatype": "BYTES", "shape": [-1, 1], "parameters": {"content_type": "str"}}
            for name in CATEGORIES
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.json").write_text(json.dumps(settings, indent=2))
    (folder / "model-settings.json").write_text(json.dumps(model, indent=2))
    return Launch(
        name="mlserver",
        command=(str(python.parent / "mlserver"), "start", str(folder)),
        folder=folder,
        http_port=http_port,
        # One thread: a single row is answered faster so, and the machine has other work.
        environment={"OMP_NUM_THREADS": "1"},
    )
