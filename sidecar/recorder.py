"""The recorder: reads the copy, decodes it, keeps profiles and verdicts, and serves /metrics and the page.

Promises: whatever happens here, the forwarding does not notice; what could not be recorded stands in the
books with its reason; a beat is given while the loop runs, so that the supervisor can tell a hang.

Runs as a process of its own: ``python -m sidecar.recorder PLAN``. One thread reads and records; the web
server's threads only take views.
"""

from __future__ import annotations

import gc
import logging
import math
import os
import resource
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from zoneinfo import ZoneInfo

from exporter import configuration as configurations
from exporter.errors import ErrorCounts
from exporter.expose import create_app
from exporter.monitor import Monitor, load_baselines
from exporter.schema import Configuration
from exporter.traffic import Traffic
from exporter.views import LawView, SelfView, View
from exporter.web import Server
from sidecar.books import total
from sidecar.channel import Channel
from sidecar.clock import Clock
from sidecar.decode import is_stream, make_routes
from sidecar.decode.batch import Batcher
from sidecar.ingest import Ingest
from sidecar.keeper import Keeper
from sidecar.log import log
from sidecar.logfmt import install
from sidecar.pace import Pace
from sidecar.plan import Plan
from sidecar.scrapes import noting_scrapes
from sidecar.settle import Settler
from sidecar.words import RESTART_REASONS, Board, Tap, attach, words
from sidecar.words import Recorder as RecorderWords

READ_BYTES = 1 << 20
"""Read at once from a ring before anything else has its turn."""
BUSY_SECONDS, IDLE_SECONDS = 0.002, 0.010
"""Sleep between polls. There is no wake-up call, so that the tap never makes a system call for us; polling
every 10 ms when idle costs under 0.75 % of a core (measured at 3 ms)."""
FLUSH_SECONDS = 0.25
"""The longest that a decoded row waits for its batch."""
BEAT_SECONDS = 0.25
JUDGE_SECONDS = 0.02
"""How long verdicts are given before anything else has its turn: those of 500 columns, all with a fault, take
5 s of a processor at the hour's end. A ring of 8 MiB holds so much of 400 MB/s."""
PACE_SECONDS = 1.0
"""How often the share that is recorded follows the processors that are used."""
LEAST_MEMORY_BYTES = 40 << 20
"""What a recorder needs beside its code: a ring that is being read, batches, and 100 columns (24 MB)."""


class Recorder:
    """Everything the recorder does."""

    def __init__(self, plan: Plan, configuration: Configuration, directory: Path) -> None:
        self._plan = plan
        self._board = words(attach(plan.board))
        self._clock = Clock(plan.recorder.clock)
        self._started = self._clock.now()
        self._lock = threading.Lock()
        """Held while profiles change and while a view is taken; never while bytes are read or decoded."""
        self._limits = configuration.limits
        self._routes = make_routes(configuration)
        self._traffic = Traffic(configuration.limits.models)
        baselines = load_baselines(configuration, directory)
        self._monitor = Monitor(configuration, baselines, self._grace_seconds(), self._started)
        state = plan.recorder.state
        self.keeper = (
            Keeper(Path(state), plan.recorder.state_seconds, self._monitor, self._lock, self._clock.now)
            if state is not None
            else None
        )
        """Of what is known, where it is to outlive us."""
        if self.keeper is not None:
            self.keeper.restore()
        self._batcher = Batcher(configuration, self._monitor.known_columns)
        for column in self._monitor.columns():
            self._batcher.follow(column.model, column.version, column.role, column.name)
        self._settler = Settler(
            configuration,
            self._routes,
            self._traffic,
            self._batcher,
            self._clock.line(),
            self.flush,
        )
        self._config_sha256 = configurations.fingerprint(configuration)
        self._planned_sampling = configuration.sampling
        budget = configuration.recorder_cpu
        self._pace = Pace(budget, configuration.sampling) if budget is not None else None
        self._channels = [
            Channel(
                attach(listener.channel),
                listener.protocol,
                self._limits,
                tap.sampling < 1.0 or configuration.recorder_cpu is not None,
                self._settler.exchange,
                self._settler.message,
                is_stream,
            )
            for tap in plan.taps
            for listener in tap.listeners
        ]
        self.ingest = (
            Ingest(attach(plan.ingest.memory), self._limits, self._routes, configuration.sampling)
            if plan.ingest is not None
            else None
        )
        """The second door, where it is open."""
        self._judging: Iterator[None] | None = None
        """Verdicts that are being given."""
        self._stop = False

    def _grace_seconds(self) -> float:
        """How long after a window's end its verdict waits for rows still under way, on our clock.

        A minute leaves time for slow answers. A simulated clock runs on while one is answered, 20 ms say;
        but five minutes after its end an hour begins to lose its sketches.
        """
        return min(60.0 + 0.02 * (self._clock.rate - 1.0), 240.0)

    # The loop

    def _beat(self) -> None:
        """Tell the supervisor that this is no hang."""
        self._board[Board.RECORDER_HEARTBEAT] = time.monotonic_ns()

    def attach(self) -> None:
        """Take up the channels where a recorder before us left them, or at their beginning."""
        board = self._board
        first = not sum(board[Board.RECORDER_RESTARTS : Board.RECORDER_RESTARTS + len(RESTART_REASONS)])
        self._draw(self._planned_sampling)  # what a recorder before us had told is of another time
        for channel in self._channels:
            lost = channel.attach(first=first)
            if lost:
                log("warning", "exchanges were under way when the last recorder ended", count=lost)
        if self.ingest is not None and (lost := self.ingest.attach(first)):
            log("warning", "events were waiting when the last recorder ended", count=lost)

    def _draw(self, share: float) -> None:
        """Tell the taps which share of exchanges to draw."""
        for channel in self._channels:
            channel.words[RecorderWords.SAMPLING] = int(share * (1 << 32))

    def flush(self) -> None:
        """Put the pending batch into the profiles, then into the books."""
        if not self._settler.pending:
            return
        with self._lock:
            faults = self._monitor.errors["record"]
            for rows in self._batcher.flush():
                self._monitor.record(rows)
            for derived in self._monitor.new_derived():
                self._batcher.follow(*derived)
            whole = self._monitor.errors["record"] == faults
        self._settler.settled(whole=whole)

    def run(self) -> None:
        """Read, record and judge until asked to stop, then read what is left and stop."""
        lifeline = select.poll()
        lifeline.register(self._plan.lifeline, select.POLLIN | select.POLLHUP)
        # Simulated time flies: a batch must be in the profiles before its hour is judged.
        flush_seconds = min(FLUSH_SECONDS, 60.0 / self._clock.rate)
        next_flush = next_beat = 0.0
        paced, used = time.monotonic(), time.process_time()
        while True:
            stopping = self._stop
            self._settler.line = self._clock.line()
            waiting = max((channel.ring.pending() for channel in self._channels), default=0)
            read = sum(channel.read(READ_BYTES) for channel in self._channels)
            if self.ingest is not None:
                read += self._take_in(self.ingest, stopping)
            now = time.monotonic()
            if now >= next_flush:
                self.flush()
                next_flush = now + flush_seconds
                self._judge()
            elif self._judging is not None:
                self._judge()
            if now >= next_beat:
                for channel in self._channels:
                    channel.words[RecorderWords.IN_FLIGHT] = max(channel.in_flight, 0)
                self._beat()
                next_beat = now + BEAT_SECONDS
                if lifeline.poll(0):  # the supervisor is gone
                    return
                if self._pace is not None and now - paced >= PACE_SECONDS:
                    now_used = time.process_time()
                    share = self._pace.update(now_used - used, now - paced)
                    paced, used = now, now_used
                    self._draw(share)
            if not read:
                if stopping and self._judging is None:
                    self.flush()
                    return
                time.sleep(IDLE_SECONDS)
            elif waiting < READ_BYTES // 4:
                time.sleep(BUSY_SECONDS)

    def _judge(self) -> None:
        """Give verdicts that are due, for a while: rows wait in the ring, and views for the lock.

        On a simulated clock all at once: an hour's sketches are held for five minutes of it.
        """
        if self._judging is None:
            self._judging = self._monitor.judging(self._clock.now())
        until = time.monotonic() + JUDGE_SECONDS if self._clock.rate == 1.0 else math.inf
        with self._lock:
            for _ in self._judging:
                self._beat()
                if time.monotonic() >= until:
                    break
            else:
                self._judging = None
            notices = self._monitor.take_notices()
        for notice in notices:
            log(notice.level, notice.event, **notice.fields)

    def _take_in(self, ingest: Ingest, stopping: bool) -> int:
        """Settle what came in by the second door; returns how many exchanges."""
        if stopping:
            ingest.close()
        exchanges = ingest.drain()
        for exchange in exchanges:
            try:
                self._settler.exchange(exchange, exchange.heads_only, ingest.books, ingest.routes)
            except Exception:  # as in `Channel`: costs this exchange, which is not settled yet
                ingest.faults += 1
                ingest.books.dropped("fault")
            self._beat()
        ingest.expire()
        return len(exchanges)

    def ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: end once the ring is read."""
        self._stop = True

    # The view

    def view(self) -> View:
        """Everything at this moment; called by the web server's threads."""
        with self._lock:
            now = self._clock.now()
            columns, rows, baselines = self._monitor.views(now)
            slices, versions = self._monitor.slice_views(), self._monitor.version_views()
            learning, matches = self._monitor.learning_views(), self._monitor.match_views()
            traffic = self._traffic.views()
            law = tuple(total(views) for _, views in sorted(self._law().items()))
            about = self._about(now)
        view = View(
            about=about,
            law=law,
            traffic=traffic,
            rows=rows,
            baselines=baselines,
            columns=columns,
            slices=slices,
            versions=versions,
            learning=learning,
            matches=matches,
        )
        if self.keeper is not None:
            self.keeper.expose(view)
        return view

    def learnt(self) -> bytes:
        """What ``modelmeter baseline learn`` reads; called by the web server's threads."""
        return self._monitor.learnt(self._lock)

    def _law(self) -> dict[str, list[LawView]]:
        """The law of each channel, by protocol."""
        found: dict[str, list[LawView]] = {}
        for channel in self._channels:
            found.setdefault(channel.protocol, []).append(channel.books.view(channel.in_flight))
        if self.ingest is not None:
            found["ingest"] = [self.ingest.view()]
        return found

    def _about(self, now: float) -> SelfView:
        board = self._board
        unread = [channel for channel in self._channels if channel.ring.pending()]
        lag = max((time.monotonic_ns() - channel.oldest for channel in unread if channel.oldest), default=0)
        pages = [channel.words for channel in self._channels]
        return SelfView(
            now=now,
            clock_rate=self._clock.rate,
            started=self._started,
            upstream_up=bool(board[Board.UPSTREAM_UP]),
            recorder_up=True,
            sampling=self._pace.share if self._pace is not None else self._planned_sampling,
            recorder_restarts={
                reason: board[Board.RECORDER_RESTARTS + number]
                for number, reason in enumerate(RESTART_REASONS)
            },
            tap_restarts=board[Board.TAP_RESTARTS],
            upstream_failures=sum(page[Tap.UPSTREAM_FAILURES] for page in pages),
            queue_bytes=sum(channel.ring.pending() for channel in self._channels),
            queue_capacity_bytes=sum(channel.ring.size for channel in self._channels),
            lag_seconds=lag * 1e-9,
            connections_open=sum(
                page[Tap.CONNECTIONS_OPENED] - page[Tap.CONNECTIONS_CLOSED] for page in pages
            ),
            late_rows=self._monitor.late_rows,
            layouts_dropped=self._batcher.columns_refused
            + self._batcher.models_refused
            + self._monitor.derived_refused,
            errors={
                "follow": sum(channel.faults for channel in self._channels)
                + (self.ingest.faults if self.ingest is not None else 0),
                "copy": sum(page[Tap.COPY_ERRORS] for page in pages),
                **self._monitor.errors,
            },
            config_sha256=self._config_sha256,
            ingest_events=self.ingest.pairs.events() if self.ingest is not None else {},
            checkpoint=self.keeper.view() if self.keeper is not None else None,
        )


def limit_memory(limit: int) -> None:
    """Let allocations fail before *limit* bytes are resident.

    That is ours alone to suffer, where a container out of memory would take the tap with it.

    RLIMIT_DATA counts what is reserved, stacks and arenas too (124 MB where 60 are resident), so it is
    set to what is reserved now plus what may still become resident.
    """
    with open("/proc/self/status", encoding="ascii") as file:
        found = dict(line.split(":", 1) for line in file)
    data, resident = (int(found[name].split()[0]) * 1024 for name in ("VmData", "VmRSS"))
    if resident + LEAST_MEMORY_BYTES > limit:
        needed = resident + LEAST_MEMORY_BYTES
        log("warning", "the container's memory is too small for recording", limit=limit, needed=needed)
    room = max(limit - resident, LEAST_MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_DATA, (data + room, data + room))


def main(arguments: list[str]) -> None:
    """``python -m sidecar.recorder DESCRIPTOR``: run the recorder of the plan behind DESCRIPTOR."""
    plan = Plan.read(int(arguments[0]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    install()
    os.nice(plan.recorder.nice)
    path = plan.recorder.configuration
    configuration = configurations.load(Path(path)) if path else Configuration()
    recorder = Recorder(plan, configuration, Path(path).parent if path else Path())
    signal.signal(signal.SIGTERM, recorder.ask_to_stop)
    errors = ErrorCounts()
    listening = socket.socket(fileno=plan.recorder.metrics_listener)
    host, port = listening.getsockname()[:2]
    web = Path(plan.recorder.web_configuration) if plan.recorder.web_configuration else None
    app = create_app(
        recorder,
        series_budget=configuration.series_budget,
        timezone=ZoneInfo(configuration.timezone),
        errors=errors,
        learnt=recorder.learnt,
    )
    noted = noting_scrapes(app, words(attach(plan.board)))
    server = Server(noted, host, port, web, errors=errors, listening=listening)
    recorder.attach()  # before anybody can read the books
    server.start()
    if plan.ingest is not None and recorder.ingest is not None:
        web = Path(plan.ingest.web_configuration) if plan.ingest.web_configuration else None
        recorder.ingest.start(socket.socket(fileno=plan.ingest.listener), web, errors)
    board = words(attach(plan.board))
    board[Board.RECORDER_READY] = 1
    log("info", "recording", pid=os.getpid())
    # What was made by starting up is never garbage; and a collection of the youngest every 700
    # allocations (the default) would run for every few exchanges.
    if plan.memory_limit_bytes is not None:
        limit_memory(plan.memory_limit_bytes)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    if recorder.keeper is not None:
        recorder.keeper.start()
    status = 0
    try:
        recorder.run()
    except Exception:  # the supervisor replaces us
        logging.getLogger("modelmeter").exception("the recorder ends by a fault of its own")
        status = 1
    if recorder.ingest is not None:
        recorder.ingest.stop()
    server.stop()
    if recorder.keeper is not None:
        recorder.keeper.finish()
    sys.stderr.flush()
    # Without the interpreter's own end: nanobind, under datasketches, would print a line for each sketch
    # still alive ("leaked instance …"), and there are hundreds.
    os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
