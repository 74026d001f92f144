"""The environment of ``python -m bench.detection``: streams and peers, which conflict with everybody's pins.

Promises: what it holds are the lock files requirements/bench-detection*.txt; making it a second time costs
milliseconds. Needs uv, which the development environment brings.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from bench.tools import CACHE, ROOT

HOME: Final = CACHE / "envs" / "detection"
LOCKS: Final = tuple(
    ROOT / "requirements" / name for name in ("bench-detection.txt", "bench-detection-data.txt")
)


def package(name: str) -> Path:
    """The folder of installed package *name*, found without importing it: most of them need far more.

    Raises FileNotFoundError.
    """
    for folder in sys.path:
        path = Path(folder) / name
        if (path / "__init__.py").is_file():
            return path
    raise FileNotFoundError(f"{name} is not installed: run `python -m bench.detection` once")


def inside() -> bool:
    """Whether this process runs in the environment."""
    return Path(sys.prefix) == HOME


def ensure() -> Path:
    """Make the environment unless it is there already; its Python's path."""
    stamp = HOME / "stamp"
    content = hashlib.sha256(b"".join(lock.read_bytes() for lock in LOCKS)).hexdigest()
    python = HOME / "bin" / "python"
    if not (stamp.is_file() and stamp.read_text() == content and python.exists()):
        uv = Path(sys.executable).parent / "uv"
        quiet = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
        build = ROOT / "requirements" / "build.txt"
        sync = ("pip", "sync", "--quiet", "--require-hashes", "--build-constraints", build, "--python", HOME)
        subprocess.run(
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, HOME], env=quiet, check=True
        )
        subprocess.run([uv, *sync, *LOCKS], env=quiet, check=True)
        stamp.write_text(content)
    return python


def enter(arguments: list[str]) -> None:
    """Go on as the same command in the environment; returns when already there."""
    if not inside():
        python = ensure()
        os.environ["PYTHONPATH"] = str(ROOT)
        os.execv(python, [str(python), "-m", "bench.detection", *arguments])  # noqa: S606
