"""Records of the standard library's logging as our log lines: the recorder's libraries use it."""

from __future__ import annotations

import logging
import traceback

from sidecar.log import log


class LogfmtHandler(logging.Handler):
    """Writes each record as one line; of an exception its type and the place, never its text.

    An exception's text may quote what a client sent.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record*."""
        fields: dict[str, object] = {"logger": record.name}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            fields["error"] = type(error).__name__
            frames = traceback.extract_tb(error.__traceback__)
            if frames:
                fields["at"] = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}"
        log(record.levelname.lower(), record.getMessage(), **fields)


def install(level: int = logging.INFO) -> None:
    """Send every record of *level* and above to standard error as logfmt."""
    root = logging.getLogger()
    root.handlers[:] = [LogfmtHandler()]
    root.setLevel(level)
