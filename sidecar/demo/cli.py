"""``modelmeter demo``: from nothing to a fault found, in one command. Options, and the exit status."""

from __future__ import annotations

import sys

import click
from rich.console import Console

from sidecar.demo import environment
from sidecar.demo.errors import DemoError
from sidecar.demo.play import Story, play
from sidecar.demo.servers import SERVER_NAMES, ServerName
from sidecar.demo.steps import Ended, Steps, ending_on_signals


@click.command()
@click.option(
    "--server",
    type=click.Choice(["auto", *SERVER_NAMES]),
    default="auto",
    show_default=True,
    help="The model server; auto is MLServer where a Python below 3.13 is to be had, else KServe.",
)
@click.option(
    "--days", type=click.IntRange(1, 28), default=2, show_default=True, help="Days of flights to replay."
)
@click.option(
    "--rate",
    type=click.FloatRange(60, 14_400),
    default=2_400.0,
    show_default=True,
    help="Simulated seconds in a second. A busy hour has 75 flights; MLServer answers 170 a second.",
)
@click.option("--stay/--no-stay", default=None, help="Stay up until Ctrl-C.  [default: in a terminal]")
def demo(server: str, days: int, rate: float, stay: bool | None) -> None:
    """Show it on real flights: wrap a real model server, inject a fault, find it.

    Exit status 0 when the fault was found by the sidecar, after it began; else 1.
    """
    console = Console()
    steps = Steps(console)
    try:
        with ending_on_signals():
            staying = console.is_terminal if stay is None else stay
            found = play(Story(choose(server), days, rate, staying), steps)
    except DemoError as error:
        click.echo(f"modelmeter demo: {error}", err=True)
        sys.exit(1)
    except Ended as ended:
        steps.say("ended; nothing is left running")
        sys.exit(ended.exit_status)
    sys.exit(0 if found else 1)


def choose(server: str) -> ServerName:
    """The server to run; under ``auto`` the first for which this machine has a Python."""
    for name in SERVER_NAMES:
        if server == name or (server == "auto" and environment.interpreter(name) is not None):
            return name
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    raise DemoError(f"no model server of the demo runs on Python {version}, and no other Python was found")
