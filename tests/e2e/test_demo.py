"""`modelmeter demo`: finds the fault, tells so, and leaves nothing behind."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from sidecar.demo import stage
from sidecar.demo.environment import CACHE
from sidecar.demo.servers import SERVER_NAMES, ServerName
from tests.real import flights, left

pytestmark = pytest.mark.real

#: The factor is fitted to the flights of the incident, some hundreds; kilometres are 1.609.
FOUND = re.compile(
    r"^distance: drifted since Tue 1(3:5\d|4:\d\d), all values × 1\.(5\d|6\d?), "
    r"as miles sent as kilometres would be$",
    re.MULTILINE,
)


def command(server: ServerName, *options: str) -> list[str]:
    return [stage.modelmeter(), "demo", "--server", server, "--days", "1", "--rate", "3600", *options]


def environment(tmp_path: Path) -> dict[str, str]:
    """A folder of its own for temporary files, so that what is left behind is seen."""
    (tmp_path / "tmp").mkdir()
    return {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "TERM": "xterm", "COLUMNS": "200"}


def left_behind(pid: int, tmp_path: Path) -> tuple[list[str], list[str]]:
    """Processes with our folder in their environment, files in it, and the demo's log folder."""
    logs = CACHE / "demo" / "logs" / str(pid)
    return left.processes(f"TMPDIR={tmp_path}"), [str(path) for path in (tmp_path / "tmp").iterdir()] + [
        str(logs)
    ] * logs.exists()


@pytest.mark.parametrize("server", SERVER_NAMES)
def test_without_a_terminal_it_finds_the_fault_and_ends(server: ServerName, tmp_path: Path) -> None:
    flights.prepared(server, tmp_path / "server")  # or skipped, with the reason
    with subprocess.Popen(
        command(server),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(tmp_path),
    ) as demo:
        output, _ = demo.communicate(timeout=300)
    assert FOUND.search(output), output
    assert "0 requests failed" in output
    assert "before the fault: no other column was called drifted" in output
    assert re.search(r"^  status page http://127\.0\.0\.1:\d+/$", output, re.MULTILINE), output
    assert demo.returncode == 0, output
    assert left_behind(demo.pid, tmp_path) == ([], [])


def test_in_a_terminal_ctrl_c_ends_all_of_it(tmp_path: Path) -> None:
    flights.prepared("mlserver", tmp_path / "server")
    keyboard, terminal = pty.openpty()
    with subprocess.Popen(
        command("mlserver"),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment(tmp_path),
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # makes it the controlling terminal
    ) as demo:
        os.close(terminal)
        output = b""
        deadline = time.monotonic() + 120
        while b"simulated Tue" not in output:
            assert time.monotonic() < deadline, output.decode()
            output += os.read(keyboard, 65536)
        os.write(keyboard, b"\x03")
        output += read_to_end(keyboard)
        demo.wait(60)
    os.close(keyboard)
    assert "ended; nothing is left running" in output.decode()
    assert demo.returncode == 128 + signal.SIGINT
    assert left_behind(demo.pid, tmp_path) == ([], [])


def read_to_end(descriptor: int) -> bytes:
    """All that is written until the other side of the terminal is closed."""
    output = b""
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # EIO: nobody has the terminal open any more
            return output
        if not part:
            return output
        output += part


def test_when_a_part_fails_in_the_middle_it_says_which_and_where_the_log_lies(tmp_path: Path) -> None:
    flights.prepared("mlserver", tmp_path / "server")
    with subprocess.Popen(
        command("mlserver"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
    ) as demo:
        assert demo.stdout is not None
        while "replaying" not in (line := demo.stdout.readline()):
            assert line, "the demo ended before the replay"
        (server,) = [
            child for child in psutil.Process(demo.pid).children() if "mlserver" in " ".join(child.cmdline())
        ]
        server.kill()
        _, errors = demo.communicate(timeout=60)
    log = CACHE / "demo" / "logs" / str(demo.pid) / "mlserver.log"
    assert errors == f"modelmeter demo: mlserver ended unexpectedly with status -9; see {log}\n"
    assert log.is_file()
    assert demo.returncode == 1
    assert left_behind(demo.pid, tmp_path) == ([], [str(log.parent)])
