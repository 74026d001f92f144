"""Log lines: logfmt on standard error, one event a line, never a payload, a header's value or a category."""

from __future__ import annotations

import os
import select
import time

STANDARD_ERROR = 2

lost = 0
"""Lines that could not be written, because nobody reads them or nobody reads them fast enough."""


def log(level: str, event: str, **fields: object) -> None:
    """Write one line; *fields* are numbers, reasons from closed sets, and names of ours.

    Never waits and never raises: a log collector that is stuck or gone must not stop the supervisor. A line
    that does not fit into the pipe is lost, and counted.

    >>> log("info", "started", pid=7)  # doctest: +SKIP
    time=2026-11-21T00:00:00Z level=info event="started" pid=7
    """
    global lost
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    pairs = "".join(f" {key}={_value(value)}" for key, value in fields.items())
    # Up to PIPE_BUF, poll(2) says writable only where all of it fits, and a pipe takes it as one.
    line = f'time={moment} level={level} event="{event}"{pairs}\n'.encode(errors="backslashreplace")
    try:
        poll = select.poll()
        poll.register(STANDARD_ERROR, select.POLLOUT)
        if poll.poll(0) and os.write(STANDARD_ERROR, line[: select.PIPE_BUF]) > 0:
            return
    except OSError:
        pass
    lost += 1


def _value(value: object) -> str:
    text = str(value)
    if text and not any(character in text for character in ' "=\n'):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
