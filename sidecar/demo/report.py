"""What the sidecar found: read from its JSON while the replay runs, told at the end.

Promises: nothing is judged here. A column counts as found when the sidecar's own verdict says
``drifted``; the demo succeeds only when that was said of the faulted column, first after the fault began.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sidecar.demo.process import LOOPBACK

ZONE = ZoneInfo("America/New_York")
"""Times are told as at the airports."""

FAULTED = "distance"


def clock_time(moment: float) -> str:
    """``Thu 14:05``, in New York.

    >>> clock_time(1383851100)
    'Thu 14:05'
    """
    return datetime.fromtimestamp(moment, ZONE).strftime("%a %H:%M")


def read_status(metrics_port: int) -> dict[str, Any] | None:
    """The sidecar's ``/api/v1/status``; None while it does not answer."""
    connection = http.client.HTTPConnection(LOOPBACK, metrics_port, timeout=5)
    try:
        connection.request("GET", "/api/v1/status")
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            return None
        status: dict[str, Any] = json.loads(body)
        return status
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Finding:
    """A column that the sidecar called drifted."""

    column: str
    found: float
    """When the verdict was first seen, Unix seconds of the simulated clock."""
    since: float
    """The onset, by the sidecar's latest estimate: it sharpens as more hours come in."""
    sentence: str
    """How the column differs, in the sidecar's latest words."""

    def __str__(self) -> str:
        """``distance: drifted since Thu 14:05, median 1.61 × that of the baseline``."""
        return f"{self.column}: drifted since {clock_time(self.since)}" + (
            f", {self.sentence}" if self.sentence else ""
        )


@dataclass(slots=True)
class Watch:
    """Collects findings from one status after the other."""

    findings: dict[str, Finding] = field(default_factory=dict)
    rows: int = 0

    def see(self, status: Mapping[str, Any]) -> None:
        """Take in one status."""
        now = float(status["now"])
        self.rows = int(status["rows"])
        for model in status["models"]:
            for column in (*model["features"], *model["predictions"]):
                if column["state"] == "drifted":
                    self._note(now, column)

    def _note(self, now: float, column: Mapping[str, Any]) -> None:
        since = column["since"]
        if since is None:
            # Without an estimate of the onset: the window that the verdict is on.
            since = min(verdict["start"] for verdict in column["verdicts"] if verdict["state"] == "drifted")
        name = str(column["column"])
        known = self.findings.get(name)
        found = known.found if known is not None else now
        self.findings[name] = Finding(name, found, float(since), str(column["sentence"]))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of the story."""

    success: bool
    lines: tuple[str, ...]


def tell(watch: Watch, fault_at: float, end: float) -> Outcome:
    """What was found of the fault that began at *fault_at*, and what else was called drifted, honestly."""
    fault = watch.findings.get(FAULTED)
    others = sorted(
        (found for name, found in watch.findings.items() if name != FAULTED), key=lambda found: found.found
    )
    early = [found for found in others if found.found < fault_at]
    later = [found for found in others if found.found >= fault_at]
    began = clock_time(fault_at)
    if fault is None:
        lines = [f"{FAULTED}: not found; it was sent in kilometres from {began} to {clock_time(end)}"]
    elif fault.found < fault_at:
        lines = [f"{FAULTED}: called drifted at {clock_time(fault.found)}, before the fault of {began}"]
    else:
        verdict = f"the verdict came at {clock_time(fault.found)}"
        lines = [str(fault), f"  sent in kilometres from {began} on; {verdict}"]
    lines.append(
        "before the fault: " + ("; ".join(map(str, early)) if early else "no other column was called drifted")
    )
    lines.append(
        "after it, beside the distance: "
        + ("; ".join(map(str, later)) if later else "no other column was called drifted")
    )
    return Outcome(fault is not None and fault.found >= fault_at, tuple(lines))
