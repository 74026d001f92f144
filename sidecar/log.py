"""Log lines: logfmt on standard error, one event a line, never a payload, a header's value or a category."""

from __future__ import annotations

import sys
import time


def log(level: str, event: str, **fields: object) -> None:
    """Write one line; *fields* are numbers, reasons from closed sets, and names of ours.

    >>> log("info", "started", pid=7)  # doctest: +SKIP
    time=2026-11-21T00:00:00Z level=info event="started" pid=7
    """
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    pairs = "".join(f" {key}={_value(value)}" for key, value in fields.items())
    print(f'time={moment} level={level} event="{event}"{pairs}', file=sys.stderr, flush=True)


def _value(value: object) -> str:
    text = str(value)
    if text and not any(character in text for character in ' "=\n'):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
