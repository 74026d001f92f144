"""Constant rate (open loop): latency and processor time where everybody keeps up, at a fixed timetable.

`bench.clients.Paced` sends; the rate comes from what has been measured in the same run just before.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from bench.clients import Paced
from bench.tables import Table
from bench.turns import Subject, rounds, row

HEADER = (
    "",
    "p50 µs",
    "p99 µs",
    "p99.9 µs",
    "p99 added µs",
    "CPU ms per 1,000",
    "in all",
    "recorded",
    "dropped",
)


NAMES = ("HAProxy http", "Envoy http")
"""Half of what each of them can: at the first rate a slower proxy may be full, at the second nobody is."""


FASTEST = 60_000.0
"""What one client of `bench.clients` sends without being late itself, leaving a core to the others."""


def half(found: Sequence[dict[str, object]], name: str) -> float:
    """Half of the rate that *name* reached in *found*, in whole hundreds.

    >>> half([{"name": "HAProxy http", "rate": 70_150.0}], "HAProxy http")
    35000.0
    """
    (rate,) = (data["rate"] for data in found if data["name"] == name)
    assert isinstance(rate, float)
    return rate / 2 // 100 * 100


def table(
    subjects: list[Subject], what: Paced, count: int, seconds: float, say: Callable[[str], None]
) -> tuple[dict[str, object], Table]:
    """Measure *subjects*, the first of which is the server itself; what is added is added to it."""
    rounds(subjects, what, count, seconds, say)
    data, lines = [], []
    direct = subjects[0].samples
    for subject in subjects:
        found, line = row(subject, subjects[0])
        pairs = zip(subject.samples, direct, strict=True)
        added = statistics.median(mine.p99 - theirs.p99 for mine, theirs in pairs)
        cpu = sum(found["cpu_seconds_per_1000"].values())  # type: ignore[attr-defined]
        found |= {"p99_added_us": added, "cpu_seconds_per_1000_in_all": cpu}
        data.append(found)
        _, _, _, _, p50, p99, p999, parts, recorded, dropped, _ = line
        mine = () if subject is subjects[0] else (f"{added:,.0f}", parts, f"{1000 * cpu:.1f}")
        lines.append((line[0], p50, p99, p999, *(mine or ("", "", "")), recorded, dropped))
    note = "Time runs from when a request was due, so waiting for a busy connection is in it."
    return {"rate": what.rate, "subjects": data}, Table(what.title, HEADER, lines, note)
