"""Ablations: what each detector and each reference buys, from the scores that `exporter.verdict` exposes.

One pass over the natural windows and one over faulted days keeps, for each window, the scores by reference
and detector; every configuration is then a question to these. Hours kept out of the history are those of
the full configuration, so a configuration with more alarms has it a little better than it would.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from bench.detection import engine
from bench.detection.counting import hour_table
from bench.detection.measure import Prepared, chosen_days, faulted
from bench.detection.replay import HISTORY
from bench.detection.variants import of_column
from exporter.baseline.baseline import BaselineColumn
from exporter.faults import ColumnFacts
from exporter.hourly import HourTable
from exporter.verdict import WINDOW_ROWS, Scores, judge_windows

Flags: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"

#: Every detector the engine may have; one that is not there in this version changes nothing.
DETECTORS: Final = (
    "shape",
    "bin",
    "missing",
    "mismatched",
    "unseen",
    "grid",
    "spike",
    "far",
    "frozen",
    "replayed",
    "stuck",
    "spread",
)
#: References by position: baseline, blend, last 7 days.
ALL: Final = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Which detectors and references decide."""

    name: str
    without: frozenset[str] = frozenset()
    references: Sequence[int] = ALL

    def alarms(self, scores: Scores) -> Flags:
        """Which windows page, shape (W,)."""
        kept = np.array([name not in self.without for name in scores.detectors])
        by = np.where(np.isnan(scores.by_reference), 0.0, scores.by_reference)
        fired = (by[:, list(self.references)].min(axis=1) > 1) & kept
        certain = scores.certain & kept
        allowed = scores.available[:, np.newaxis] | certain
        if tuple(self.references) == (0,):
            allowed = np.ones_like(certain)
        enough = scores.rows >= WINDOW_ROWS
        return np.asarray((fired & allowed).any(axis=1) & enough)


CONFIGURATIONS: Final = (
    Configuration("all"),
    *(Configuration(f"without {name}", frozenset({name})) for name in DETECTORS),
    Configuration("shape alone", frozenset(DETECTORS) - {"shape"}),
    Configuration("shape and bin", frozenset(DETECTORS) - {"shape", "bin"}),
    Configuration("without shape and bin", frozenset({"shape", "bin"})),
    Configuration("baseline alone", references=(0,)),
    Configuration("last 7 days alone", references=(2,)),
    Configuration("blend alone", references=(1,)),
    Configuration("baseline and blend", references=(0, 1)),
    Configuration("baseline and last 7 days", references=(0, 2)),
)


@dataclass(slots=True)
class Tally:
    """Of one configuration."""

    false: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    windows: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    found: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    faulted: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def document(self) -> dict[str, dict[str, int]]:
        """For the JSON."""
        return {
            "false": dict(self.false),
            "windows": dict(self.windows),
            "found": dict(self.found),
            "faulted": dict(self.faulted),
        }


def run(prepared: Prepared, tallies: Mapping[str, Tally], days: int) -> None:
    """Add one stream to *tallies*, by configuration."""
    stream = prepared.stream
    first = stream.split // 3600
    for name in prepared.names:
        column, table = prepared.baseline[name], prepared.tables[name]
        kept_out = prepared.replays[name].kept_out
        for window in stream.windows:
            hours = table.hours[table.hours >= first]
            if window == "1d":
                starts = np.unique(hours // 24)[1:-1] * 24
                stops = starts + 24
            else:
                starts, stops = hours, hours + 1
            scores = _scores(prepared, column, table, window, starts, stops, kept_out)
            if scores is None:
                continue
            for configuration in CONFIGURATIONS:
                tally = tallies[configuration.name]
                tally.windows[window] += int((scores.rows >= WINDOW_ROWS).sum())
                tally.false[window] += int(configuration.alarms(scores).sum())
        _faulted(prepared, name, tallies, days)


def _scores(
    prepared: Prepared,
    column: BaselineColumn,
    history: HourTable,
    window: str,
    starts: Any,
    stops: Any,
    kept_out: Flags,
    now: HourTable | None = None,
) -> Scores | None:
    calibration = column.calibration
    if calibration is None or window not in calibration.windows or not starts.size:
        return None
    alpha = engine.alpha(prepared.stream, window)
    scores, _ = judge_windows(column, history, window, starts, stops, kept_out=kept_out, alpha=alpha, now=now)
    return scores


def _faulted(prepared: Prepared, name: str, tallies: Mapping[str, Tally], days: int) -> None:
    stream, column, table = prepared.stream, prepared.baseline[name], prepared.tables[name]
    before = prepared.rows(0, stream.split // 3600)
    facts = ColumnFacts.of(stream.columns[name][before])
    chosen = chosen_days(prepared, name, days)
    for variant in of_column(stream, name, facts):
        for day in chosen:
            made = faulted(prepared, name, facts, day, variant)
            if made is None:
                continue
            rows = prepared.rows(day * 24, day * 24 + 24)
            part = hour_table(column, made, stream.seconds[rows])
            low, high = np.searchsorted(table.hours, [day * 24 - HISTORY, day * 24])
            history = table.part(slice(low, high))
            kept_out = prepared.replays[name].kept_out[low:high]
            found: dict[str, bool] = dict.fromkeys((one.name for one in CONFIGURATIONS), False)
            for window in stream.windows:
                starts = part.hours if window == "1h" else np.array([day * 24])
                scores = _scores(
                    prepared,
                    column,
                    history,
                    window,
                    starts,
                    starts + (1 if window == "1h" else 24),
                    kept_out,
                    part,
                )
                if scores is not None:
                    for configuration in CONFIGURATIONS:
                        found[configuration.name] |= bool(configuration.alarms(scores).any())
            key = f"{variant.level} {stream.kind}"
            for configuration in CONFIGURATIONS:
                tally = tallies[configuration.name]
                tally.faulted[key] += 1
                tally.found[key] += found[configuration.name]
