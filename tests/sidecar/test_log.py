"""Log lines are logfmt, one event a line, and quote nobody."""

from __future__ import annotations

import logging
import re
import subprocess
import sys

import pytest

from sidecar.log import log
from sidecar.logfmt import LogfmtHandler


def test_a_line_has_time_level_event_and_fields(capfd: pytest.CaptureFixture[str]) -> None:
    log("warning", "stopping", drain=True, reason='a "b"\nc', path="/x=y")
    line = capfd.readouterr().err
    assert re.fullmatch(
        r'time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ level=warning event="stopping" drain=True '
        r'reason="a \\"b\\"\\nc" path="/x=y"\n',
        line,
    )


def test_an_exception_is_told_by_type_and_place_and_not_by_its_text(
    capfd: pytest.CaptureFixture[str],
) -> None:
    logger = logging.Logger("modelmeter")
    logger.addHandler(LogfmtHandler())
    try:
        raise ValueError("could not convert 's3cr3t'")
    except ValueError:
        logger.exception("collector %s failed", "columns")
    line = capfd.readouterr().err
    assert (
        'level=error event="collector columns failed" logger=modelmeter error=ValueError at=test_log.py:'
        in line
    )
    assert "s3cr3t" not in line
    assert line.count("\n") == 1


def test_a_log_that_nobody_reads_stops_nobody() -> None:
    program = """
import os
from sidecar import log
reader, writer = os.pipe()
os.dup2(writer, 2)
for number in range(5000):
    log.log("info", "a line that fills the pipe", number=number)
full = log.lost
os.close(reader)
log.log("info", "to nobody")
print(full > 0, log.lost - full)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True
    )
    assert run.stdout.split() == ["True", "1"]
