"""Children of the demo: ended with all they started, and named with their log when they fail."""

import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from sidecar.demo import process
from sidecar.demo.errors import DemoError
from sidecar.demo.process import Ports, Processes

#: Starts a grandchild that ignores SIGTERM, writes its pid, and waits.
STUBBORN = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"],
    stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_leaving_the_block_ends_children_and_what_they_started(tmp_path: Path) -> None:
    pids = []

    def fail_in_the_middle() -> None:
        with Processes(tmp_path) as processes:
            child = processes.start("stubborn", [sys.executable, "-c", STUBBORN])
            child.wait_until(lambda: child.log.stat().st_size > 0, seconds=20)
            pids.extend([child.pid, int(child.log.read_text())])
            raise ZeroDivisionError if all(map(alive, pids)) else AssertionError(pids)

    with pytest.raises(ZeroDivisionError):
        fail_in_the_middle()
    child, grandchild = pids
    deadline = time.monotonic() + 5  # the grandchild is not ours to wait for: init reaps it
    while alive(grandchild) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(child)
    assert not alive(grandchild)


def test_a_child_that_does_not_end_when_asked_is_forced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "STOP_SECONDS", 0.2)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    with Processes(tmp_path) as processes:
        child = processes.start("deaf", [sys.executable, "-c", deaf])
        child.wait_until(lambda: child.log.stat().st_size > 0, seconds=20)
    assert child.exit_status() == -signal.SIGKILL


def test_children_lead_groups_of_their_own(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        child = processes.start("sleep", ["sleep", "60"])
        assert os.getpgid(child.pid) == child.pid != os.getpgid(0)


def test_the_last_started_ends_first(tmp_path: Path) -> None:
    tell = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(print(time.monotonic_ns())))"
    script = f"{tell}; print('up', flush=True); time.sleep(60)"
    with Processes(tmp_path) as processes:
        children = [processes.start(name, [sys.executable, "-c", script]) for name in ("first", "second")]
        for child in children:
            child.wait_until(lambda child=child: child.log.stat().st_size > 0, seconds=20)
    first, second = (int(child.log.read_text().split()[1]) for child in children)
    assert second < first


def test_a_child_that_ends_before_it_is_ready_is_told_with_its_log(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        child = processes.start("server", ["sh", "-c", "echo no such port; exit 3"])
        with pytest.raises(DemoError) as raised:
            child.wait_until(lambda: False, seconds=20)
    assert (
        str(raised.value) == f"server ended with status 3 instead of starting; see {tmp_path / 'server.log'}"
    )
    assert (tmp_path / "server.log").read_text() == "no such port\n"


def test_a_child_that_never_gets_ready_is_told_with_its_log(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        child = processes.start("server", ["sleep", "60"])
        with pytest.raises(DemoError) as raised:
            child.wait_until(lambda: False, seconds=0.1)
    assert str(raised.value) == f"server was not ready within 0 s; see {tmp_path / 'server.log'}"


def test_a_child_that_ended_by_itself_is_noticed_unless_it_was_meant_to(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        done = processes.start("build", ["true"])
        done.finish(20)
        processes.check()
        failed = processes.start("tap", ["false"])
        while failed.exit_status() is None:
            time.sleep(0.01)
        with pytest.raises(DemoError, match=r"^tap ended unexpectedly with status 1; see "):
            processes.check()
        with pytest.raises(DemoError, match=r"^tap failed with status 1; see "):
            failed.finish(20)


def test_a_taken_port_is_not_handed_out_and_no_port_twice() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        ports = Ports()
        given = [ports.take(taken) for _ in range(20)]
    assert taken not in given
    assert len(set(given)) == 20


def test_a_free_preferred_port_is_taken_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    ports = Ports()
    assert ports.take(free) == free
    assert ports.take(free) != free
