"""The keeper: writes what the recorder knows to its directory, every so often and at the end.

Promises: the recorder's loop waits for no disk: a thread of its own takes one column after the other, and
rests in between; a disk that is full or slow costs checkpoints, which is counted and told, and nothing else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from exporter.checkpoint import REASONS, CheckpointError, Store
from exporter.monitor import Monitor, encode_shown, restore, save
from exporter.views import CheckpointView, View
from sidecar.log import log

REST_SECONDS: Final = 0.002
"""After each column, for whoever waits for the interpreter: a hundred columns take half a second."""


class Keeper:
    """Keeps *monitor* in *directory*; *lock* is held where it changes, *now* is the recorder's clock."""

    def __init__(
        self,
        directory: Path,
        seconds: float,
        monitor: Monitor,
        lock: threading.Lock,
        now: Callable[[], float],
    ) -> None:
        self._seconds = seconds
        self._monitor = monitor
        self._lock = lock
        self._now = now
        self._store: Store | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._exposing = threading.Lock()
        self._exposed_at = 0.0
        self._written: float | None = None
        self._told = ""
        self._unopened = ""
        try:
            self._store = Store(directory)
        except CheckpointError as error:
            self._unopened = error.reason
            log("error", "no checkpoints can be kept", reason=error.reason, found=error)

    def restore(self) -> None:
        """Take up what was kept; before anything is recorded or shown."""
        if self._store is None:
            return
        try:
            found = restore(self._store, self._monitor, self._now())
        except CheckpointError as error:
            log("error", "the checkpoint was set aside", reason=error.reason, found=error)
            return
        if found is None:
            return
        for model in found.other_baselines:
            log("warning", "the checkpoint is of another baseline, and was set aside", model=model)
        log("info", "restored", columns=found.columns, left_out=found.left_out)

    def start(self) -> None:
        """Begin to write."""
        if self._store is not None:
            self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(self._seconds):
            self._save(lambda: time.sleep(REST_SECONDS))

    def _save(self, pause: Callable[[], object]) -> None:
        if self._store is None:
            return
        try:
            save(self._store, self._monitor, self._now, self._lock, pause)
        except CheckpointError as error:
            if str(error) != self._told:  # and not once a minute
                log("error", "the checkpoint could not be written", found=error)
            self._told = str(error)
        else:
            self._told = ""
            self._written = self._now()

    def expose(self, view: View) -> None:
        """Note what *view* is about to show, so that no counter goes on below it. 0.3 ms for 100 columns."""
        if self._store is None:
            return
        with self._exposing:
            if view.about.now < self._exposed_at:
                return  # a later one has been noted
            self._exposed_at = view.about.now
            try:
                self._store.save_exposed(encode_shown(view.columns, view.rows))
            except CheckpointError as error:
                if str(error) != self._told:
                    log("error", "what was shown could not be noted", found=error)
                self._told = str(error)

    def view(self) -> CheckpointView:
        """How it stands with checkpoints."""
        if self._store is None:
            failures = dict.fromkeys(REASONS, 0) | {self._unopened: 1}
            return CheckpointView(None, 0, failures)
        return CheckpointView(self._written, self._store.bytes, dict(self._store.failures))

    def finish(self) -> None:
        """Write once more, now that nothing changes."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._save(lambda: None)
