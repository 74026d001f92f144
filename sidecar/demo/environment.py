"""Python environments for model servers, whose pins conflict with each other's and with ours.

Promises: an environment holds exactly what its lock file says; making it a second time costs
milliseconds (a stamp with the lock file's hash); two processes never make the same one at once.
Needs uv, which the lock file of the development environment brings.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sidecar.demo.errors import DemoError

ROOT = Path(__file__).resolve().parents[2]
"""The checkout. Lock files and examples are read from it: they are not part of the wheel."""

CACHE = ROOT / ".cache"

#: Versions of Python that each environment runs on: from, and below. MLServer's own metadata; Triton's
#: wheel wants numpy < 2, which has no wheels for 3.13 (with numpy 2 its back end crashes); KServe's metadata;
#: `rest` (MLflow, LitServe, TorchServe, for tests): nothing in it names an upper bound.
PYTHONS = {
    "mlserver": ((3, 11), (3, 13)),
    "triton": ((3, 11), (3, 13)),
    "kserve": ((3, 11), (3, 15)),
    "rest": ((3, 11), (3, 15)),
}

_TESTS_ONLY = frozenset({"rest"})


def lock_file(name: str) -> Path:
    """The lock file of environment *name*; a DemoError when this is not a checkout."""
    path = ROOT / "requirements" / f"{'tests' if name in _TESTS_ONLY else 'demo'}-{name}.txt"
    if not path.is_file():
        raise DemoError(f"the demo runs from a clone of the repository: {path} is missing")
    return path


def uv() -> str:
    """The path of uv: ours, else the one on PATH."""
    found = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if found is None:
        raise DemoError("uv is not installed: run `make setup`")
    return found


def interpreter(name: str) -> str | None:
    """A Python that can run server *name*: this one, else another of this machine, else None."""
    low, below = PYTHONS[name]
    if low <= sys.version_info[:2] < below:
        return sys.executable
    wanted = f">={low[0]}.{low[1]},<{below[0]}.{below[1]}"
    found = subprocess.run(
        [uv(), "python", "find", "--system", "--no-python-downloads", wanted],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() if found.returncode == 0 else None


def ensure(name: str) -> Path:
    """Make environment *name* unless it is there already; its Python's path.

    Raises DemoError when no suitable Python or no package registry is at hand.
    """
    lock = lock_file(name)
    python = interpreter(name)
    if python is None:
        low, below = PYTHONS[name]
        raise DemoError(
            f"{name} needs a Python from {low[0]}.{low[1]} to below {below[0]}.{below[1]}; this one is "
            f"{sys.version_info[0]}.{sys.version_info[1]} and no other was found"
        )
    home = CACHE / "envs" / name
    stamp = home / "stamp"
    content = hashlib.sha256(lock.read_bytes() + python.encode()).hexdigest()
    with _locked(CACHE / "envs" / f"{name}.lock"):
        if not (stamp.is_file() and stamp.read_text() == content and (home / "bin" / "python").exists()):
            _make(home, python, lock)
            stamp.write_text(content)
    return home / "bin" / "python"


def _make(home: Path, python: str, lock: Path) -> None:
    build = lock.with_name("build.txt")
    log = home.with_suffix(".log")
    commands = (
        [uv(), "venv", "--clear", "--python", python, str(home)],
        [uv(), "pip", "sync", "--python", str(home), "--require-hashes", "-b", str(build), str(lock)],
    )
    with log.open("w") as out:
        for command in commands:
            done = subprocess.run(
                command,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"},
                check=False,
            )
            if done.returncode:
                raise DemoError(f"the environment of {home.name} could not be made; see {log}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    # `python -m sidecar.demo.environment mlserver triton`: what `make environments` runs.
    for wanted in sys.argv[1:]:
        try:
            print(f"{wanted}: {ensure(wanted).parent.parent.relative_to(ROOT)}")
        except DemoError as error:
            print(f"{wanted}: skipped, {error}", file=sys.stderr)
