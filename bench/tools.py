"""Programs of other people that the benchmarks call."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from bench.processes import BenchError

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"
RESULTS = ROOT / "bench" / "results"


def find(name: str) -> str:
    """The path of program *name*; `BenchError` when it is not installed."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")  # Debian keeps servers there
    if found is None:
        raise BenchError(f"{name} is not installed: apt-get install {name}")
    return found


def modelmeter() -> str:
    """The command ``modelmeter`` of the environment that runs the benchmarks."""
    found = Path(sys.executable).parent / "modelmeter"
    if not found.exists():
        raise BenchError("modelmeter is not installed in this environment: run `make setup`")
    return str(found)
