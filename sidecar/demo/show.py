"""What is seen while flights are replayed: a bar in a terminal, lines without one, findings as they come."""

from __future__ import annotations

import time

from rich.progress import BarColumn, Progress, TextColumn

from sidecar.demo.process import Processes
from sidecar.demo.report import Watch, clock_time, read_status
from sidecar.demo.steps import Steps
from sidecar.demo.traffic import Replay, SimulatedClock

POLL_SECONDS = 0.2

TOLD_EVERY = 6 * 3600.0
"""Without a terminal there is a line of progress every so many simulated seconds."""


class Show:
    """Follows a replay on the sidecar's clock."""

    def __init__(
        self, steps: Steps, processes: Processes, metrics_port: int, clock: SimulatedClock, fault_at: float
    ) -> None:
        self.steps = steps
        self.clock = clock
        self._processes = processes
        self._metrics_port = metrics_port
        self._fault_at = fault_at

    def follow(self, traffic: Replay, watch: Watch, start: float, end: float) -> None:
        """Show *traffic* until all of it is sent, and tell *watch* what the sidecar says meanwhile.

        Raises DemoError when one of the processes ends.
        """
        told = start
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f} %"),
            console=self.steps.console,
            disable=not self.steps.console.is_terminal,
            transient=True,
        ) as bar:
            task = bar.add_task("", total=end - start)
            while not traffic.finished:
                now = min(self._now(), end)
                line = self._line(now, traffic.sent)
                bar.update(task, completed=max(now - start, 0), description=line)
                if bar.disable and now - told >= TOLD_EVERY:
                    told = now - (now - start) % TOLD_EVERY
                    self.steps.say(f"  {line}")
                self._look(watch)
                time.sleep(POLL_SECONDS)

    def wait(self, watch: Watch, moment: float, seconds: float) -> None:
        """Look on until *seconds* (real) after the simulated *moment*."""
        deadline = time.monotonic() + max(self.clock.until(moment), 0) + seconds
        while time.monotonic() < deadline:
            self._look(watch)
            time.sleep(POLL_SECONDS)

    def _now(self) -> float:
        return self.clock.at(time.monotonic())

    def _line(self, now: float, sent: int) -> str:
        """``simulated Thu 14:05, 4,210 requests, fault on``."""
        fault = "on" if now >= self._fault_at else "off"
        return f"simulated {clock_time(now)}, {sent:,} requests, fault {fault}"

    def _look(self, watch: Watch) -> None:
        """Read the sidecar's status; say what it found since the last time."""
        self._processes.check()
        status = read_status(self._metrics_port)
        if status is None:
            return  # a scrape that came at a bad moment; the next look tells more
        known = set(watch.findings)
        watch.see(status)
        for column in watch.findings.keys() - known:
            self.steps.say(f"  {clock_time(watch.findings[column].found)}  {watch.findings[column]}")
