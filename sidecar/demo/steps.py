"""How the demo talks: one line a step, a spinner in a terminal, and signals that end everything in order."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(BaseException):
    """A signal asked the demo to end. Not an Exception: no step may take it for its own failure."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_status = 128 + number


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Inside, Ctrl-C, SIGTERM and a closed terminal raise `Ended`, once; later ones are ignored.

    So the clean-up that `Ended` sets off is never interrupted by an impatient second Ctrl-C.
    """

    def end(number: int, frame: FrameType | None) -> None:
        ignore_signals()
        raise Ended(number)

    before = {number: signal.signal(number, end) for number in ENDING_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """From here on nothing interrupts; for clean-up, which takes seconds."""
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class Steps:
    """Prints what is being done and how long it took."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, text: str, style: str = "") -> None:
        """One line, never wrapped or coloured by guess: URLs and paths must stay whole."""
        self.console.print(text, style=style or None, soft_wrap=True, highlight=False, markup=False)

    @contextmanager
    def step(self, doing: str, done: str) -> Iterator[None]:
        """A spinner with *doing*, then a line with *done* and the seconds it took."""
        began = time.monotonic()
        with self.console.status(doing):
            yield
        self.say(f"{done} ({time.monotonic() - began:.1f} s)")
