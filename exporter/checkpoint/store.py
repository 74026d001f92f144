"""Store: the directory in which one recorder keeps its checkpoint.

| file | what | written |
|---|---|---|
| `checkpoint` | everything | every minute, and at the end; synced |
| `exposed` | the counters as they were last shown | at every scrape; not synced |
| `*.corrupt` | what could not be used, the last one of each | when it is met |
| `lock` | held while a recorder lives, so that two never write here | |
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from exporter.checkpoint.file import REASONS, CheckpointError, Reason, read, write

_CHECKPOINT: Final = "checkpoint"
_EXPOSED: Final = "exposed"


class Store:
    """A checkpoint and the last exposed counters in *directory*, and what went wrong with them.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     store = Store(Path(directory))
    ...     size = store.save([b"all that is known"])
    ...     store.load(), store.failures["corrupt"]
    ([b'all that is known'], 0)
    """

    def __init__(self, directory: Path) -> None:
        """Makes the directory and takes its lock. Raises `CheckpointError`, ``locked`` or ``write``."""
        self.directory = directory
        self.failures: dict[str, int] = dict.fromkeys(REASONS, 0)
        """By reason."""
        self.bytes = 0
        """Of the checkpoint there is."""
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CheckpointError("write", f"{directory}: {(error.strerror or str(error)).lower()}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise CheckpointError("locked", f"{directory}: expected no other recorder here") from None

    def close(self) -> None:
        """Let another have the directory."""
        os.close(self._lock)

    def save(self, sections: Iterable[bytes]) -> int:
        """Write a checkpoint; returns its bytes. Raises `CheckpointError`, counted."""
        try:
            self.bytes = write(self.directory / _CHECKPOINT, sections)
        except CheckpointError as error:
            self.failures[error.reason] += 1
            raise
        return self.bytes

    def load(self) -> list[bytes] | None:
        """The checkpoint's sections; None without one. Raises `CheckpointError`, and it is set aside."""
        path = self.directory / _CHECKPOINT
        try:
            sections = read(path)
            self.bytes = path.stat().st_size
        except FileNotFoundError:
            return None
        except CheckpointError as error:
            self.set_aside(error.reason)
            raise
        return sections

    def set_aside(self, reason: Reason) -> None:
        """Rename the checkpoint, which can not be used, and count it; what was exposed goes with it."""
        self.failures[reason] += 1
        self.bytes = 0
        for name in (_CHECKPOINT, _EXPOSED):
            path = self.directory / name
            with contextlib.suppress(OSError):
                os.replace(path, path.with_name(f"{name}.corrupt"))

    def save_exposed(self, section: bytes) -> None:
        """Write what was shown. Raises `CheckpointError`, counted."""
        try:
            write(self.directory / _EXPOSED, [section], durable=False)
        except CheckpointError as error:
            self.failures[error.reason] += 1
            raise

    def load_exposed(self) -> bytes | None:
        """What was last shown; None when there is nothing, or nothing whole."""
        try:
            sections = read(self.directory / _EXPOSED)
        except (FileNotFoundError, CheckpointError):
            return None
        return sections[0] if len(sections) == 1 else None
