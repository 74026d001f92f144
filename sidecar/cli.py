"""The command ``modelmeter``: flags, checks, and one sentence when something is wrong (exit status 2)."""

from __future__ import annotations

import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path

import click

import exporter
from sidecar import clock as clocks
from sidecar.launch import (
    Address,
    SettingError,
    Settings,
    become_supervisor,
    default_taps,
    make_plan,
    pair,
    state_directory,
)


class _Commands(click.Group):
    """Loads a command's module only when it is called: ``modelmeter health`` runs every few seconds."""

    lazy = {  # noqa: RUF012  (a constant)
        "backtest": "exporter.backtest.cli:backtest",
        "baseline": "exporter.baseline.cli:baseline",
        "demo": "sidecar.demo.cli:demo",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *self.lazy])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.lazy:
            module, _, name = self.lazy[cmd_name].partition(":")
            imported = __import__(module, fromlist=[name])
            command: click.Command = getattr(imported, name)
            return command
        return super().get_command(ctx, cmd_name)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(exporter.__version__, prog_name="modelmeter")
def main() -> None:
    """Wraps a model server and gives Prometheus its drift, data quality, latency and coverage."""


def fail(message: object) -> None:
    """End with one sentence on standard error and exit status 2."""
    click.echo(f"modelmeter: {message}", err=True)
    sys.exit(2)


@main.command(context_settings={"auto_envvar_prefix": "MODELMETER", "ignore_unknown_options": False})
@click.option(
    "--listen", "listens", multiple=True, metavar="PROTOCOL=HOST:PORT", help="Where clients connect."
)
@click.option(
    "--upstream",
    "upstreams",
    multiple=True,
    metavar="PROTOCOL=HOST:PORT",
    help="Where the model server listens.",
)
@click.option(
    "--metrics-listen",
    default="0.0.0.0:9464",
    show_default=True,
    metavar="HOST:PORT",
    help="/metrics and the page.",
)
@click.option(
    "--health-listen",
    default="0.0.0.0:9465",
    show_default=True,
    metavar="HOST:PORT|none",
    help="/-/healthy and /-/ready, answered by the supervisor.",
)
@click.option(
    "--config", "configuration", metavar="FILE", help="modelmeter.yaml; columns are inferred without one."
)
@click.option(
    "--web.config.file", "web_configuration", metavar="FILE", help="TLS and basic auth of --metrics-listen."
)
@click.option(
    "--listen-tls.config.file",
    "listen_tls",
    metavar="FILE",
    help="TLS of every --listen: tls_server_config as in --web.config.file.",
)
@click.option(
    "--upstream-tls.config.file",
    "upstream_tls",
    metavar="FILE",
    help="TLS to every --upstream: tls_config as in a scrape of Prometheus.",
)
@click.option(
    "--ingest-listen",
    metavar="HOST:PORT",
    help="POST /ingest: CloudEvents of payload loggers and of sidecar.Recorder.  [default: off]",
)
@click.option(
    "--ingest.config.file",
    "ingest_configuration",
    metavar="FILE",
    help="TLS, basic auth and bearer tokens of --ingest-listen.",
)
@click.option("--clock", metavar="START@RATE", help="Run the recorder on simulated time (demo, tests).")
@click.option(
    "--taps", type=click.IntRange(1, 64), help="Forwarding processes.  [default: half of the CPU quota]"
)
@click.option(
    "--drain-seconds",
    type=click.FloatRange(0, 3600),
    default=15.0,
    show_default=True,
    help="After SIGTERM or `modelmeter drain`: how long those who still come are served.",
)
@click.option(
    "--finish-seconds",
    type=click.FloatRange(0, 3600),
    default=10.0,
    show_default=True,
    help="After that: how long running requests may take.",
)
@click.option(
    "--last-scrape-seconds",
    type=click.FloatRange(0, 3600),
    default=5.0,
    show_default=True,
    help="After that: how long a last scrape of /metrics is waited for, if there ever was one.",
)
@click.option(
    "--recorder-timeout",
    "hang_seconds",
    type=click.FloatRange(1, 3600),
    default=5.0,
    show_default=True,
    help="A recorder silent for this many seconds is replaced.",
)
@click.option(
    "--recorder-nice",
    type=click.IntRange(0, 19),
    default=10,
    show_default=True,
    help="Niceness of the recorder: at 10 it loses copies rather than slow the server.",
)
@click.option(
    "--state",
    metavar="DIRECTORY",
    help="Where counts and history outlive the recorder, in one file.  [default: nowhere]",
)
@click.option(
    "--state-seconds",
    type=click.FloatRange(1, 3600),
    default=60.0,
    show_default=True,
    help="How often it is written; the most that is lost when a recorder is killed.",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
def sidecar(
    listens: tuple[str, ...],
    upstreams: tuple[str, ...],
    metrics_listen: str,
    health_listen: str,
    configuration: str | None,
    web_configuration: str | None,
    listen_tls: str | None,
    upstream_tls: str | None,
    ingest_listen: str | None,
    ingest_configuration: str | None,
    clock: str | None,
    taps: int | None,
    drain_seconds: float,
    finish_seconds: float,
    last_scrape_seconds: float,
    hang_seconds: float,
    recorder_nice: int,
    state: str | None,
    state_seconds: float,
    command: tuple[str, ...],
) -> None:
    """Forward clients to a model server, and record what passes.

    \b
    Beside a server:
      modelmeter sidecar --listen http=:8080 --upstream http=127.0.0.1:8000
    Around a server, so that both start and end together:
      modelmeter sidecar --listen http=:8080 --upstream http=127.0.0.1:8000 -- COMMAND
    HTTP and gRPC: once each:
      --listen http=:8080 --upstream http=127.0.0.1:8000
      --listen grpc=:8081 --upstream grpc=127.0.0.1:8001
    """
    from exporter.configuration import ConfigurationError, load
    from exporter.errors import ErrorCounts
    from exporter.monitor import BaselineError, load_baselines, mismatches
    from exporter.schema import Configuration
    from exporter.web.reload import Reloading
    from sidecar.tlsfile import load_listen, load_upstream

    try:
        settings = Settings(
            # With the second door nothing needs to be inline.
            routes=pair(listens, upstreams) if listens or upstreams or not ingest_listen else [],
            metrics=Address.parse("--metrics-listen", metrics_listen),
            health=None if health_listen == "none" else Address.parse("--health-listen", health_listen),
            configuration=configuration,
            web_configuration=web_configuration,
            clock=_clock(clock),
            taps=(taps or default_taps()) if listens else 0,
            drain_seconds=drain_seconds,
            hang_seconds=hang_seconds,
            recorder_nice=recorder_nice,
            command=command,
            finish_seconds=finish_seconds,
            last_scrape_seconds=last_scrape_seconds,
            ingest=_ingest(ingest_listen, ingest_configuration),
            ingest_configuration=ingest_configuration,
            listen_tls=load_listen(Path(listen_tls)) if listen_tls else None,
            upstream_tls=load_upstream(Path(upstream_tls)) if upstream_tls else None,
            state=state_directory(state),
            state_seconds=state_seconds,
        )
        checked = load(Path(configuration)) if configuration else Configuration()
        loaded = load_baselines(checked, Path(configuration or "").parent, configuration or "")
        if web_configuration:
            Reloading(Path(web_configuration), ErrorCounts())  # certificates and all, as the recorder will
        if command and shutil.which(command[0]) is None:
            raise SettingError("--", "a command that can be started", repr(command[0]))
        plan = make_plan(settings, checked.sampling, checked.limits)
    except (SettingError, ConfigurationError, BaselineError) as error:
        fail(error)
    else:
        for sentence in mismatches(checked, loaded):
            click.echo(f"modelmeter: note: {sentence}", err=True)
        become_supervisor(plan)


def _ingest(listen: str | None, configuration: str | None) -> Address | None:
    """Where the second door is; raises SettingError when anybody could come in."""
    if listen is None:
        if configuration is not None:
            raise SettingError("--ingest-listen", "HOST:PORT, since --ingest.config.file is given", "none")
        return None
    from exporter.errors import ErrorCounts
    from exporter.web.reload import Reloading

    address = Address.parse("--ingest-listen", listen)
    path = Path(configuration) if configuration else None
    closed = Reloading(path, ErrorCounts(), tokens=True).current().config.authenticates
    if not closed and not address.loopback:
        raise SettingError(
            "--ingest.config.file",
            f"a file that asks for passwords, tokens or certificates, since others can reach {address}",
            "one that asks for nothing" if configuration else "none",
        )
    return address


def _clock(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        return clocks.parse(text)
    except ValueError as error:
        raise SettingError("--clock", str(error), repr(text)) from None


@main.command()
@click.option(
    "--config", "configuration", metavar="FILE", help="modelmeter.yaml to check, with its baselines."
)
@click.option(
    "--sample",
    type=click.Path(path_type=Path),
    metavar="ROWS.CSV",
    help="Rows as they are served: told, with exit status 1, where they do not match the one baseline.",
)
@click.argument("baselines", nargs=-1, metavar="[BASELINE]...")
def check(configuration: str | None, sample: Path | None, baselines: tuple[str, ...]) -> None:
    """Check configuration and baselines without starting anything."""
    from exporter.baseline import Baseline
    from exporter.configuration import ConfigurationError, load
    from exporter.monitor import BaselineError, load_baselines, mismatches
    from exporter.sampled import sample_findings
    from exporter.schema import ModelSpec

    if configuration is None and not baselines:
        fail("check: expected --config FILE or baseline files, found neither")
    matched: list[tuple[Baseline, ModelSpec | None]] = []
    failed = False
    try:
        if configuration is not None:
            checked = load(Path(configuration))
            loaded = load_baselines(checked, Path(configuration).parent, configuration)
            matched += ((baseline, checked.model(name)) for name, baseline in loaded.items())
            for sentence in mismatches(checked, loaded):
                click.echo(f"modelmeter: note: {sentence}", err=True)
            counted = f"{len(checked.models)} model(s), {len(loaded)} baseline(s)"
            click.echo(f"{configuration}: ok, {counted}")
        for path in baselines:
            baseline = Baseline.load(Path(path))
            click.echo(
                f"{path}: ok, {len(baseline.columns)} columns, {baseline.rows} rows, {baseline.sha256[:12]}"
            )
            matched.append((baseline, None))
        if sample is not None:
            if len(matched) != 1:
                fail(SettingError("--sample", "one baseline to match the rows with", str(len(matched))))
            found = sample_findings(sample, *matched[0])
            for finding in found:
                click.echo(f"{sample}: {finding.sentence}")
            failed = any(finding.reason != "extra" for finding in found)
            if not failed:
                click.echo(f"{sample}: ok, the baseline's columns")
    except (ConfigurationError, BaselineError) as error:
        fail(error)
    if failed:
        sys.exit(1)


@main.command()
@click.option("--health-listen", default="127.0.0.1:9465", show_default=True, metavar="HOST:PORT")
@click.option("--live", is_flag=True, help="Ask /-/healthy instead of /-/ready.")
def health(health_listen: str, live: bool) -> None:
    """Ask a running sidecar whether it is ready: exit status 0, else 1.

    A probe for images without curl.
    """
    try:
        address = Address.parse("--health-listen", health_listen)
    except SettingError as error:
        fail(error)
        return
    url = f"http://{address}/-/{'healthy' if live else 'ready'}"
    try:
        # Not through a proxy, whatever the environment says: the sidecar is in the same pod.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=2) as answer:
            click.echo(answer.read().decode().strip())
    except urllib.error.HTTPError as error:
        click.echo(error.read().decode().strip(), err=True)
        sys.exit(1)
    except OSError as error:
        click.echo(f"no answer from {url}: {getattr(error, 'reason', error)}", err=True)
        sys.exit(1)


@main.command()
@click.option("--pid", type=click.IntRange(1), help="The supervisor, where several run in the container.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Return when drained.")
def drain(pid: int | None, wait: bool) -> None:
    """Take a running sidecar out of service: not ready at once, running requests finish. A preStop hook.

    It goes on to serve whoever still comes, and ends when SIGTERM follows. A second call changes nothing.
    """
    from sidecar.stopping import DrainError, ask_to_drain, supervisors, wait_until_drained

    found = [pid] if pid is not None else supervisors()
    if len(found) != 1:
        listed = f"several: {', '.join(map(str, found))}" if found else "none"
        fail(SettingError("--pid", "one running sidecar of this user, or which one", listed))
    try:
        ask_to_drain(found[0])
        if wait:
            wait_until_drained(found[0])
    except DrainError as error:
        fail(f"--pid: {error}")
