"""The supervisor: starts the tap and the recorder (and the model server, when it runs around one).

Promises: a recorder that ends, hangs or grows too large is replaced within seconds and the traffic never
notices; readiness is answered here; a signal ends everything in order, and nothing is left running.
Refuses to import anything large: it stays below 20 MB for the life of the pod.

Runs as ``python -m sidecar.supervisor DESCRIPTOR``; signals are taken one at a time in the loop below
(blocked otherwise), so no handler ever runs in the middle of something.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable, Mapping

from sidecar.drain import Drain, Phase
from sidecar.health import HealthServer
from sidecar.log import log
from sidecar.plan import Plan
from sidecar.processes import adopt_orphans, cpu_seconds, orphans, resident_bytes
from sidecar.words import RESTART_REASONS, Board, Recorder, Tap, attach, words

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1)
TICK_SECONDS = 0.25
STARTUP_SECONDS = 60.0
"""A recorder that has never beaten is given this long: imports from a cold disk take seconds."""
STARVING_SECONDS = 60.0
"""A recorder without a processor for this long is replaced all the same: a new one begins at the end."""
AWAY_SECONDS = 2.0
"""If this process has not looked for so long, nothing ran (a container paused, a machine moved): silence is
counted anew, for the recorder was not there to break it."""
BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
MISSES = 2
"""Looks in a row that find no server, before it counts as down: a server under load may let one wait longer
than a look takes, and the replicas of a service are under load together."""
STEADY_SECONDS = 60.0
"""After this long without a restart the back-off begins anew."""
KILL_SECONDS = 2.0
"""How long a process of ours may take to end after SIGTERM."""
SERVER_KILL_SECONDS = 10.0
"""How long the model server may take, if running requests and the last scrape have left it so much."""
END_SECONDS = 3.0
"""What the end has after the window and the running requests, if they took all of their time: with 15 s and
10 s it is 28 s in all, within Kubernetes' default grace period of 30. What they left is the end's as well."""
SETTLE_SECONDS = 0.5
"""From a copied byte to the number in /metrics: rows wait up to 0.25 s for their batch."""
STALE_BEATS_SECONDS = 1.0
"""The recorder beats every 0.25 s; one silent for longer does not know what is in flight."""

RECORDER_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "2",  # the web server's threads share two heaps: 10 MB less
    "OPENBLAS_NUM_THREADS": "1",  # no linear algebra here, and each of its threads costs memory
}
"""The recorder's alone: a wrapped model server may want all its processors for linear algebra."""


class Child:
    """One process and when to start it again."""

    def __init__(
        self,
        name: str,
        arguments: tuple[str, ...],
        closed: Iterable[int] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.environment = {**(environment or {}), **os.environ}
        self.closed = tuple(sorted(closed))
        """Descriptors that this process must not inherit."""
        self.pid: int | None = None
        self.status: int | None = None
        self.started = 0.0
        self.restarts = 0
        self.again_at = 0.0

    def start(self) -> None:
        """Start the process with our signal mask undone, and without what Python ignores; raises OSError."""
        actions = [(os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in self.closed]
        self.pid = os.posix_spawnp(
            self.arguments[0],
            self.arguments,
            self.environment,
            file_actions=actions,
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ],
        )
        self.status = None
        self.started = time.monotonic()

    def ended(self, status: int) -> None:
        """Note that it has ended, and when to try again."""
        now = time.monotonic()
        self.pid, self.status = None, status
        if now - self.started > STEADY_SECONDS:
            self.restarts = 0
        self.again_at = now + BACKOFF_SECONDS[min(self.restarts, len(BACKOFF_SECONDS) - 1)]
        self.restarts += 1

    def signal(self, number: int) -> None:
        """Send a signal, if it runs."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def exit_status(status: int) -> int:
    """The shell's number for a wait status.

    >>> exit_status(3 << 8), exit_status(9)
    (3, 137)
    """
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


class Supervisor:
    """Everything the supervisor does, one tick after the other."""

    def __init__(self, plan: Plan, descriptor: int) -> None:
        self.plan = plan
        self.board = words(attach(plan.board))
        self.pages = [words(attach(listener.channel)) for tap in plan.taps for listener in tap.listeners]
        python = (sys.executable, "-P", "-m")
        taps_only = {listener.descriptor for tap in plan.taps for listener in tap.listeners}
        recorder_only = {plan.recorder.metrics_listener}
        self.taps = [
            Child(f"tap-{number}", (*python, "sidecar.tap", str(number), str(descriptor)), recorder_only)
            for number in range(len(plan.taps))
        ]
        self.recorder = Child(
            "recorder", (*python, "sidecar.recorder", str(descriptor)), taps_only, RECORDER_ENVIRONMENT
        )
        self.listeners = taps_only
        private = {*plan.descriptors(), descriptor}
        self.server = Child("server", plan.command, private) if plan.command else None
        self.processes = (*self.taps, self.recorder, *([self.server] if self.server is not None else ()))
        self.killed_for = ""
        self.last_beat = 0
        self.cpu_at_beat = 0.0
        self.looked = self.listening = time.monotonic_ns()
        """When the recorder's beat was last looked at, and since when that has been done without a pause."""
        self.drain = Drain(plan.drain_seconds, plan.finish_seconds)
        self.phase = Phase.SERVING
        self.found_ready = False
        """A probe has been told that traffic may be sent here."""
        self.moved = 0
        self.moved_at = 0
        """Monotonic nanoseconds at which bytes were last seen to have passed."""
        self.stopping = False
        self.upstreams = sorted(
            {
                (listener.upstream_host, listener.upstream_port)
                for tap in plan.taps
                for listener in tap.listeners
            }
        )

    # What the probes ask

    def healthy(self) -> str | None:
        """Why we are not healthy, or None."""
        down = [tap.name for tap in self.taps if tap.pid is None]
        return f"not running: {', '.join(down)}" if down else None

    def ready(self) -> str | None:
        """Why no traffic should be sent here, or None."""
        if self.stopping or self.drain.begun:
            return "draining"
        if reason := self.healthy():
            return reason
        if silent := self._silent_taps():
            return f"not responding: {', '.join(silent)}"
        if not self.board[Board.UPSTREAM_UP]:
            return "the model server does not accept connections"
        self.found_ready = True
        return None

    def _silent_taps(self) -> list[str]:
        """Taps whose loop has not come round for as long as a recorder may be silent: they forward nothing.

        They are not killed for it: their connections may yet go on, where a recorder has none to lose.
        """
        now, found, at = time.monotonic_ns(), [], 0
        for tap, plan in zip(self.taps, self.plan.taps, strict=True):
            beat = self.pages[at][Tap.BEAT]
            at += len(plan.listeners)
            if beat and now - beat > self.plan.hang_seconds * 1e9:
                found.append(tap.name)
        return found

    # The life of the sidecar

    def run(self) -> int:
        """Run until a signal or the model server's end; returns the exit status."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        if self.server is not None:
            adopt_orphans()
        health = None
        if self.plan.health_listener is not None:
            health = HealthServer(self.plan.health_listener, self.healthy, self.ready)
            health.start()
        threading.Thread(target=self._probe_upstreams, name="probe", daemon=True).start()
        try:
            if self.server is not None:
                try:
                    self.server.start()
                except OSError as error:
                    log("error", "the model server cannot be started", reason=error.strerror)
                    return 2
            for child in (*self.taps, self.recorder):
                child.start()
            log("info", "started", taps=len(self.taps), around=self.server is not None)
            while True:
                if self._signalled():
                    return self._stop(patient=False)
                self._reap()
                if self.server is not None and self.server.status is not None:
                    log("warning", "the model server has ended", status=exit_status(self.server.status))
                    status = exit_status(self.server.status)
                    self._stop(patient=False)
                    return status
                self._watch_recorder()
                self._restart()
                if self._drained() and self.drain.ending:
                    return self._stop(patient=True)
        finally:
            for child in self.processes:
                child.signal(signal.SIGKILL)
            for pid in orphans() if self.server is not None else ():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._await(self.processes, KILL_SECONDS)
            if health is not None:
                health.stop()

    def _reap(self) -> None:
        """Take note of every process that has ended (orphans too: in a container we may be PID 1)."""
        children = {child.pid: child for child in self.processes}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = children.get(pid)
            if child is not None:
                child.ended(status)
                if not self.stopping and child is not self.server:
                    self._lost(child, status)

    def _lost(self, child: Child, status: int) -> None:
        if child is self.recorder:
            reason, self.killed_for = self.killed_for or "exit", ""
            self.board[Board.RECORDER_RESTARTS + RESTART_REASONS.index(reason)] += 1
            self.board[Board.RECORDER_READY] = 0
            log(
                "error",
                "the recorder has ended and is started again",
                reason=reason,
                status=exit_status(status),
            )
        else:
            self.board[Board.TAP_RESTARTS] += 1
            log("error", "a tap has ended and is started again", tap=child.name, status=exit_status(status))

    def _restart(self) -> None:
        now = time.monotonic()
        for child in (*self.taps, self.recorder):
            if child is not self.recorder and not self.listeners:
                continue  # its door is closed for good
            if child.pid is None and now >= child.again_at:
                if child is self.recorder:
                    self.board[Board.RECORDER_HEARTBEAT] = 0
                try:
                    child.start()
                except OSError as error:  # no memory or no process to be had: what runs goes on
                    log("error", "a process can not be started", process=child.name, reason=error.strerror)
                    child.started = now
                    child.ended(0)

    def _watch_recorder(self) -> None:
        """Kill a recorder that hangs or comes too near to the memory limit."""
        recorder = self.recorder
        now = time.monotonic_ns()
        if now - self.looked > AWAY_SECONDS * 1e9:
            self.listening = now
        self.looked = now
        if recorder.pid is None or self.killed_for:
            return
        beat = self.board[Board.RECORDER_HEARTBEAT]
        if beat != self.last_beat:
            self.last_beat, self.cpu_at_beat = beat, cpu_seconds(recorder.pid)[1]
        silent = (now - max(beat or int(recorder.started * 1e9), self.listening)) * 1e-9
        if silent <= (self.plan.hang_seconds if beat else STARTUP_SECONDS):
            hangs = False
        else:
            # On a machine without a processor to spare the recorder, at its niceness, can be silent for long
            # and still be well: it is runnable and has used next to no processor time since its last beat.
            state, used = cpu_seconds(recorder.pid)
            starving = state == "R" and used - self.cpu_at_beat < 0.5 * self.plan.hang_seconds
            hangs = not starving or silent > STARVING_SECONDS
        limit = self.plan.memory_limit_bytes
        if hangs:
            self.killed_for = "hang"
        elif limit is not None and resident_bytes(recorder.pid) > limit:
            self.killed_for = "memory"
        if self.killed_for:
            recorder.signal(signal.SIGKILL)

    def _probe_upstreams(self) -> None:
        """Keep UPSTREAM_UP true: by the tap's own connections where there are any, else by connecting."""
        connects = failures = misses = 0
        was_up: bool | None = None
        while True:
            now_connects = sum(page[Tap.UPSTREAM_CONNECTS] for page in self.pages)
            now_failures = sum(page[Tap.UPSTREAM_FAILURES] for page in self.pages)
            if now_failures == failures and now_connects > connects:
                up = True
            else:
                up = all(accepts(host, port) for host, port in self.upstreams)
            connects, failures = now_connects, now_failures
            misses = 0 if up else misses + 1
            if was_up and 0 < misses < MISSES:
                time.sleep(0.5)
                continue
            if up is not was_up:
                where = ",".join(f"{host}:{port}" for host, port in self.upstreams)
                event = (
                    "the model server accepts connections" if up else "the model server is not to be reached"
                )
                log("info" if up else "warning", event, upstream=where)
                was_up = up
            self.board[Board.UPSTREAM_UP] = int(up)
            time.sleep(5.0 if up else 0.5)

    def _open_connections(self) -> int:
        return sum(page[Tap.CONNECTIONS_OPENED] - page[Tap.CONNECTIONS_CLOSED] for page in self.pages)

    def _signalled(self) -> bool:
        """Take one signal, or a tick of time; whether to end at once."""
        caught = signal.sigtimedwait(SIGNALS, TICK_SECONDS)
        if caught is None:
            return False
        if caught.si_signo == signal.SIGHUP and self.server is not None:
            self.server.signal(signal.SIGHUP)
        if caught.si_signo in (signal.SIGTERM, signal.SIGUSR1):
            if self.drain.ending and caught.si_signo == signal.SIGTERM:
                return True  # asked twice
            self._drain(end=caught.si_signo == signal.SIGTERM)
        return caught.si_signo == signal.SIGINT

    def _drain(self, *, end: bool) -> None:
        """Leave the service, and *end* once that is done."""
        now = time.monotonic()
        if not self.drain.begun:
            known = self.found_ready or any(page[Tap.CONNECTIONS_OPENED] for page in self.pages)
            self.drain.begin(now, known=known)
            log("info", "draining", connections=self._open_connections(), window=known)
        if end:
            self.drain.end(now)
        self._drained()

    def _drained(self) -> bool:
        """Note what moves, and tell the taps and `modelmeter drain` the phase; whether we are drained."""
        moved = sum(
            page[Tap.HEAD] + page[Tap.DROPPED_PRESSURE] + page[Tap.DROPPED_FAULT] for page in self.pages
        )
        if moved != self.moved:
            self.moved, self.moved_at = moved, time.monotonic_ns()
        if not self.drain.begun:
            return False
        phase = self.drain.phase(time.monotonic(), self._in_flight(), self._open_connections())
        if phase is not self.phase:
            self.phase = phase
            if phase is Phase.CLOSING:
                self._close_listeners()
            self.board[Board.DRAINING] = phase
            if phase is Phase.DRAINED:
                log("info", "drained", connections=self._open_connections(), in_flight=self._in_flight())
        return phase is Phase.DRAINED

    def _in_flight(self) -> int:
        """Requests or connections on which something may be under way: never fewer than there are."""
        beat = self.board[Board.RECORDER_HEARTBEAT]
        fresh = self.recorder.pid is not None and time.monotonic_ns() - beat < STALE_BEATS_SECONDS * 1e9
        found = 0
        for page in self.pages:
            connections = page[Tap.CONNECTIONS_OPENED] - page[Tap.CONNECTIONS_CLOSED]
            if fresh and page[Recorder.TAIL] == page[Tap.HEAD]:
                connections = min(connections, max(page[Tap.BUSY], page[Recorder.IN_FLIGHT]))
            found += connections
        return found

    def _stop(self, *, patient: bool) -> int:
        """End in order: tap, server, recorder (which reads what is left and, if *patient*, is scraped)."""
        self.stopping = True
        self.board[Board.DRAINING] = Phase.CLOSING
        log("info", "stopping", patient=patient, connections=self._open_connections())
        self._close_listeners()
        for tap in self.taps:
            tap.signal(signal.SIGTERM)
        self._await(self.taps, KILL_SECONDS)
        deadline = (
            self.drain.patience_end + END_SECONDS if patient else time.monotonic() + SERVER_KILL_SECONDS
        )
        if self.server is not None:
            self.server.signal(signal.SIGTERM)
        if patient:
            self._await_last_scrape(min(deadline, time.monotonic() + self.plan.last_scrape_seconds))
        if self.server is not None:
            self._await((self.server,), min(max(deadline - time.monotonic(), 1.0), SERVER_KILL_SECONDS))
        self.recorder.signal(signal.SIGTERM)
        self._await((self.recorder,), KILL_SECONDS)
        log("info", "stopped")
        return 0

    def _close_listeners(self) -> None:
        """Refuse new connections from now on; without this clients would wait in the backlog until we end."""
        while self.listeners:
            os.close(self.listeners.pop())

    def _await_last_scrape(self, deadline: float) -> None:
        """Wait until a scrape has shown the last numbers, if anybody has ever scraped."""
        settled = self.moved_at + int(SETTLE_SECONDS * 1e9)
        while 0 < self.board[Board.LAST_SCRAPE] < settled and self.recorder.pid is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                log("info", "the last exchanges are in no scrape")
                return
            caught = signal.sigtimedwait(SIGNALS, min(left, 0.05))
            if caught is not None and caught.si_signo in (signal.SIGTERM, signal.SIGINT):
                return
            self._reap()

    def _await(self, children: Iterable[Child], seconds: float) -> None:
        """Wait until *children* have ended, and kill those that have not by then."""
        deadline = time.monotonic() + seconds
        waiting = list(children)
        while waiting:
            self._reap()
            waiting = [child for child in waiting if child.pid is not None]
            if time.monotonic() > deadline:
                for child in waiting:
                    child.signal(signal.SIGKILL)
                deadline = float("inf")
            if waiting:
                signal.sigtimedwait((signal.SIGCHLD,), 0.05)


def accepts(host: str, port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=1.0).close()
    except (OSError, ValueError):  # ValueError: a name that can not be one
        return False
    return True


def main(arguments: list[str]) -> None:
    """``python -m sidecar.supervisor DESCRIPTOR``: run the plan behind DESCRIPTOR."""
    descriptor = int(arguments[0])
    plan = Plan.read(descriptor)
    for private in (plan.lifeline_writer, plan.health_listener):
        if private is not None:
            os.set_inheritable(private, False)
    sys.exit(Supervisor(plan, descriptor).run())


if __name__ == "__main__":
    main(sys.argv[1:])
