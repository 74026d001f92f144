"""Errors of ours that are survived: one call writes the log line and counts it, so the two can not disagree.

Promises: the places are a closed set that stands at 0 from the start; counting is safe from any thread.
Refuses: a place that is not declared (``KeyError``): a label value is never made from a message.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

Place: TypeAlias = Literal["source", "collector", "answer", "web_config", "tls_handshake", "web_server"]
PLACES: tuple[Place, ...] = get_args(Place)
"""No view to show, a collector, any other answer, a web configuration that changed for the worse, TLS
handshakes that failed, and what the WSGI server reports of itself."""

log = logging.getLogger("modelmeter")


class ErrorCounts:
    """Counts by place, from any thread.

    >>> errors = ErrorCounts(("answer",))
    >>> errors.counts()
    {'answer': 0}
    """

    def __init__(self, places: Sequence[str] = PLACES) -> None:
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(places, 0)

    def add(
        self,
        place: str,
        message: str,
        *values: object,
        error: BaseException | None = None,
        level: int = logging.ERROR,
    ) -> None:
        """Count one error at *place* and log *message* % *values*, with the traceback of *error*."""
        with self._lock:
            self._counts[place] += 1
        log.log(level, message, *values, exc_info=error)

    def counts(self) -> dict[str, int]:
        """A copy of the counts by place."""
        with self._lock:
            return dict(self._counts)
