"""Drain, on simulated time: how long the door stays open, what is waited for, and what prolongs nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sidecar.cli import main
from sidecar.drain import QUIET_SECONDS, Drain, Phase
from sidecar.stopping import DrainError, ask_to_drain, supervisors


def ended_after(
    in_flight_until: float, *, connections: int = 1, known: bool = True, asked_at: float = 0
) -> float:
    """Seconds from the beginning to DRAINED, with a request in flight until then, in steps of 0.25 s."""
    drain = Drain(15, 10)
    drain.begin(0.0, known=known)
    for step in range(1000):
        now = step / 4
        if now >= asked_at and not drain.ending:
            drain.end(now)
        phase = drain.phase(now, int(now < in_flight_until), connections)
        if phase is Phase.DRAINED and drain.ending:
            return now
    raise AssertionError("never")


@pytest.mark.parametrize(
    ("in_flight_until", "seconds"),
    [(0, 15), (14, 15), (14.75, 15.25), (15, 15.5), (20, 20.5), (24.75, 25), (1000, 25)],
)
def test_the_window_is_whole_and_running_requests_are_waited_for_within_bounds(
    in_flight_until: float, seconds: float
) -> None:
    assert ended_after(in_flight_until) == seconds


def test_without_a_connection_the_window_is_whole_all_the_same_unless_nobody_can_know_us() -> None:
    assert ended_after(0, connections=0) == 15
    assert ended_after(0, connections=0, known=False) == 0


def test_after_a_drain_the_end_comes_at_once_and_a_request_that_came_meanwhile_has_its_time() -> None:
    assert ended_after(0, asked_at=20) == 20
    assert ended_after(30, asked_at=29) == 30 + QUIET_SECONDS
    assert ended_after(1000, asked_at=29) == 39


def test_the_phases_come_in_order_and_a_second_call_changes_nothing() -> None:
    drain = Drain(15, 10)
    assert drain.phase(0, 5, 5) is Phase.SERVING
    drain.begin(0)
    drain.begin(14)
    assert [drain.phase(now, 1, 1) for now in (0, 14.9, 15)] == [Phase.ACCEPTING] * 3
    drain.end(15)
    assert drain.phase(15, 1, 1) is Phase.CLOSING


def test_defaults_end_within_the_grace_period_of_kubernetes() -> None:
    from sidecar.supervisor import END_SECONDS

    defaults = {parameter.name: parameter.default for parameter in main.commands["sidecar"].params}
    whole = defaults["drain_seconds"] + defaults["finish_seconds"] + END_SECONDS
    assert whole + 1 < 30
    assert defaults["last_scrape_seconds"] == 5


def process(folder: Path, number: int, *arguments: str) -> None:
    (folder / str(number)).mkdir()
    (folder / str(number) / "cmdline").write_bytes(b"".join(text.encode() + b"\0" for text in arguments))


def test_supervisors_are_found_by_their_command_line(tmp_path: Path) -> None:
    process(tmp_path, 10, "/usr/bin/python3", "-P", "-m", "sidecar.supervisor", "9")
    process(tmp_path, 20, "/opt/venv/bin/python", "-P", "-m", "sidecar.supervisor", "12")
    process(tmp_path, 30, "/usr/bin/python3", "-P", "-m", "sidecar.tap", "0", "9")
    process(tmp_path, 40, "grep", "sidecar.supervisor")
    process(tmp_path, 50, "python3", "-m", "sidecar.supervisor", "9", "more")
    process(tmp_path, 60)
    (tmp_path / "self").mkdir()
    (tmp_path / "70").mkdir()  # has ended
    assert supervisors(tmp_path) == [10, 20]


def test_drain_signals_nothing_but_a_sidecar() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        with pytest.raises(DrainError, match="found another process"):
            ask_to_drain(child.pid)
        result = CliRunner().invoke(main, ["drain", "--pid", str(child.pid)])
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert child.poll() is None
    finally:
        child.communicate(b"\n")
    with pytest.raises(DrainError, match="found no process"):
        ask_to_drain(child.pid)


@pytest.mark.parametrize(("found", "listed"), [([], "none"), ([10, 20], "several: 10, 20")])
def test_drain_says_what_it_found(monkeypatch: pytest.MonkeyPatch, found: list[int], listed: str) -> None:
    monkeypatch.setattr("sidecar.stopping.supervisors", lambda: found)
    result = CliRunner().invoke(main, ["drain"])
    sentence = f"modelmeter: --pid: expected one running sidecar of this user, or which one, found {listed}\n"
    assert (result.exit_code, result.stderr) == (2, sentence)
