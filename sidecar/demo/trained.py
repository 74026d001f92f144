"""The trained model, kept in the cache: training runs once per environment and training code."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sidecar.demo.environment import CACHE, ROOT, lock_file
from sidecar.demo.errors import DemoError

#: What the result depends on, beside the environment's lock file.
SOURCES = ("columns.py", "data.py", "train.py")


@dataclass(frozen=True, slots=True)
class Trained:
    """A folder with what `sidecar.demo.train` leaves."""

    folder: Path
    training_rows: int
    auc: float

    @property
    def training(self) -> Path:
        """Months 1 to 9, features and predictions."""
        return self.folder / "training.csv"

    @property
    def replay(self) -> Path:
        """The later months."""
        return self.folder / "replay.csv"


def ensure(name: str, python: Path) -> Trained:
    """The model of environment *name*, trained with *python* unless that was done before."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for path in (lock_file(name), *(here / source for source in SOURCES)):
        digest.update(path.read_bytes())
    folder = CACHE / "demo" / f"{name}-{digest.hexdigest()[:12]}"
    if not folder.is_dir():
        _train(name, python, folder)
    about = json.loads((folder / "about.json").read_text())
    return Trained(folder, about["training_rows"], about["auc"])


def _train(name: str, python: Path, folder: Path) -> None:
    """Train beside *folder* and rename: it is either whole or not there, also with two at a time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    log = folder.parent / f"train-{name}.log"
    new = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
    try:
        with log.open("w") as out:
            done = subprocess.run(
                [str(python), "-m", "sidecar.demo.train", str(new)],
                cwd=ROOT,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                check=False,
            )
        if done.returncode:
            raise DemoError(f"training failed; see {log}")
        try:
            new.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another demo was faster, with the same result
                raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
