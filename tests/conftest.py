"""What every test may use: real programs or a skip with its reason, free ports, and the committed skips.

``--skips-equal FILE`` (given by ``make test`` when CI=true) compares what was skipped with a committed
list, both ways: a test that silently stops running fails the build, and so does a stale entry.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real import parts

SKIPPED = pytest.StashKey[dict[str, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--skips-equal",
        metavar="FILE",
        type=Path,
        help="fail unless the skipped tests are those in FILE (one 'test id | reason' a line, # comments)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SKIPPED] = {}


class SkipRecorder:
    """Collects the test and reason of every skip, those at import of a module included."""

    def __init__(self, config: pytest.Config) -> None:
        self._skipped = config.stash[SKIPPED]

    def _add(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self._skipped[report.nodeid] = reason.removeprefix("Skipped: ")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._add(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._add(report)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.pluginmanager.register(SkipRecorder(session.config), "modelmeter-skips")


def committed_skips(text: str) -> dict[str, str]:
    """Test id → reason, from the text of a list of skips."""
    entries = (line.partition("|") for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return {test.strip(): reason.strip() for test, _, reason in entries}


def pytest_sessionfinish(session: pytest.Session) -> None:
    expected_file: Path | None = session.config.getoption("--skips-equal")
    if expected_file is None or session.config.getoption("collectonly"):
        return
    skipped = session.config.stash[SKIPPED]
    if skipped != committed_skips(expected_file.read_text()) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    expected_file: Path | None = config.getoption("--skips-equal")
    if expected_file is None:
        return
    expected, skipped = committed_skips(expected_file.read_text()), config.stash[SKIPPED]
    if expected == skipped:
        terminalreporter.write_line(f"skips: {len(skipped)}, as in {expected_file}")
        return
    terminalreporter.section(f"skips differ from {expected_file}", red=True)
    for test, reason in sorted(skipped.items() - expected.items()):
        terminalreporter.write_line(f"not in the list: {test} | {reason}")
    for test, reason in sorted(expected.items() - skipped.items()):
        terminalreporter.write_line(f"listed, but not skipped so: {test} | {reason}")


@pytest.fixture(scope="session")
def part() -> Callable[[str], str]:
    """``part("promtool")`` is its path; where the machine lacks it the test is skipped, with the reason."""

    def path(program: str) -> str:
        found = parts.find(program)
        if found is None:
            pytest.skip(parts.absence(program))
        return found

    return path


@pytest.fixture
def free_port() -> Callable[[], int]:
    """``free_port()`` is a TCP port of the loopback address that nothing listens on, never the same twice."""
    given: set[int] = set()

    def port() -> int:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                number: int = probe.getsockname()[1]
            if number not in given:
                given.add(number)
                return number

    return port
