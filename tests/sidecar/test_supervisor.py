"""The supervisor's judgement: what is taken for a hang, and what for a server that is down."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator

import pytest

import sidecar.supervisor
from exporter.schema import Limits
from sidecar.launch import Address, Settings, make_plan
from sidecar.supervisor import Supervisor
from sidecar.words import Board, Tap
from tests.sidecar.harness import free_port

SECOND = 1_000_000_000


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    """Of a sidecar of which nothing runs."""
    route = ("http", Address("127.0.0.1", free_port()), Address("127.0.0.1", 9))
    nowhere = Address("127.0.0.1", 0)
    settings = Settings([route], nowhere, None, None, None, None, 1, 0.0, 5.0, 0, ())
    plan = make_plan(settings, 1.0, Limits())
    descriptor = plan.write()
    yield Supervisor(plan, descriptor)
    for each in (*plan.descriptors(), descriptor, plan.lifeline_writer):
        os.close(each)


@pytest.mark.real
@pytest.mark.parametrize(("away", "killed_for"), [(0, "hang"), (10, "")], ids=["it hung", "all were stopped"])
def test_a_recorder_that_is_silent_hangs_unless_nothing_ran_meanwhile(
    away: int, killed_for: str, supervisor: Supervisor
) -> None:
    asleep = subprocess.Popen(["sleep", "60"])
    try:
        now = time.monotonic_ns()
        supervisor.recorder.pid = asleep.pid
        supervisor.cpu_at_beat = -100.0  # it does not starve
        supervisor.board[Board.RECORDER_HEARTBEAT] = supervisor.last_beat = now - 10 * SECOND
        supervisor.listening = now - 100 * SECOND
        supervisor.looked = now - away * SECOND
        supervisor._watch_recorder()
        assert supervisor.killed_for == killed_for
    finally:
        asleep.kill()
        asleep.wait()


def test_one_look_that_finds_no_server_does_not_turn_readiness_off(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([False, True, False, True, False, False, False, True])
    told: list[int] = []

    class Enough(BaseException):
        pass

    def accepts(host: str, port: int) -> bool:
        try:
            return next(looks)
        except StopIteration:
            raise Enough from None

    monkeypatch.setattr(sidecar.supervisor, "accepts", accepts)
    monkeypatch.setattr(
        sidecar.supervisor.time, "sleep", lambda seconds: told.append(supervisor.board[Board.UPSTREAM_UP])
    )
    with pytest.raises(Enough):
        supervisor._probe_upstreams()
    assert told == [0, 1, 1, 1, 1, 0, 0, 1]


def test_a_tap_that_does_not_come_round_turns_readiness_off_until_it_does(supervisor: Supervisor) -> None:
    supervisor.board[Board.UPSTREAM_UP] = 1
    supervisor.taps[0].pid = os.getpid()
    assert supervisor.ready() is None  # it has yet to begin
    supervisor.pages[0][Tap.BEAT] = time.monotonic_ns() - 10 * SECOND
    assert supervisor.ready() == "not responding: tap-0"
    assert supervisor.healthy() is None
    supervisor.pages[0][Tap.BEAT] = time.monotonic_ns()
    assert supervisor.ready() is None
