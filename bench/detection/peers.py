"""Other people's packages on the same streams: Evidently, alibi-detect, river.

On a subset, because they are slow beside counts: `COLUMNS`, the gross faults of `FAULTS`, fewer days.
Evidently and alibi-detect compare each window with 5,000 rows of the baseline (drawn once); they are tuned,
as the rules are, to 0.1 % of the baseline's own windows, which with the 300 hours and all days that are
looked at is the largest. river's detectors watch every row; tuned means the most sensitive setting of a
grid with at most 0.1 % false hours of the baseline, or the least sensitive one when none has.

alibi-detect's MMD needs TensorFlow or PyTorch (gigabytes) and is not run. Its licence is BSL 1.1: measured,
not used.
"""

from __future__ import annotations

import copy
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd

from bench.detection.comparators import ROWS, TUNED
from bench.detection.measure import Prepared, chosen_days, faulted
from bench.detection.streams import Values
from bench.detection.variants import NUMERIC, Variant, of_column
from exporter.faults import ColumnFacts

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "flights": ("dep_delay", "air_time", "distance", "carrier", "p_late_prior"),
    "parking": ("Occupancy", "SystemCodeNumber"),
    "flights_wx": ("temp", "visib"),
    "metro": ("temp",),
}
FAULTS: Final = ("shift 1", "scale 1.609", "flood 0.2", "clipping 0.2", "stuck median", "unseen_category 0.1")
RIVER: Final[Mapping[str, tuple[str, ...]]] = {"flights": ("dep_delay", "air_time", "distance")}
REFERENCE: Final = 5_000
BASELINE_HOURS: Final = 300

#: reference and window, valid values → a statistic that grows with the difference, and the usual threshold
Statistic: TypeAlias = Callable[[Values, Values], tuple[float, float]]


def evidently(reference: Values, values: Values) -> tuple[float, float]:
    """Evidently's own choice of test, by the package."""
    from evidently.legacy.calculations.stattests.registry import _get_default_stattest
    from evidently.legacy.core import ColumnType

    kind = ColumnType.Categorical if reference.dtype == object else ColumnType.Numerical
    before, now = pd.Series(reference), pd.Series(values)
    test = _get_default_stattest(before, now, kind)
    score, _ = test.func(before, now, kind, test.default_threshold)
    if test.name in ("ks", "chisquare", "z"):
        return -float(score), -test.default_threshold
    return float(score), test.default_threshold


class _Absent(types.ModuleType):
    """Stands in for a package that alibi-detect imports but its detectors for tables do not use."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def _alibi() -> Any:
    if "alibi_detect" not in sys.modules:
        sys.modules.setdefault("transformers", _Absent("transformers"))
    from alibi_detect import cd

    return cd


def alibi(reference: Values, values: Values) -> tuple[float, float]:
    """alibi-detect's KSDrift (χ² for categories) on one column, p < 0.05."""
    cd = _alibi()
    if reference.dtype == object:
        names, codes = np.unique(np.concatenate([reference, values]).astype(str), return_inverse=True)
        before, now = codes[: reference.size, np.newaxis], codes[reference.size :, np.newaxis]
        detector = cd.ChiSquareDrift(before, p_val=0.05, categories_per_feature={0: list(range(names.size))})
    else:
        before, now = reference[:, np.newaxis], values[:, np.newaxis]
        detector = cd.KSDrift(before, p_val=0.05)
    p_value = float(detector.predict(now)["data"]["p_val"][0])
    return -p_value, -0.05


BATCH: Final[Mapping[str, Statistic]] = {"Evidently": evidently, "alibi-detect KS / χ²": alibi}


@dataclass(slots=True)
class Figures:
    """What a peer did: false windows of all, days found of all."""

    false: dict[str, int] = field(default_factory=lambda: {"1h": 0, "1d": 0})
    windows: dict[str, int] = field(default_factory=lambda: {"1h": 0, "1d": 0})
    found: int = 0
    faulted: int = 0

    def document(self) -> dict[str, Any]:
        """For the JSON."""
        return {"false": self.false, "windows": self.windows, "found": self.found, "faulted": self.faulted}


def _valid(values: Values) -> Values:
    if values.dtype == object:
        return values[np.array([isinstance(value, str) for value in values], dtype=bool)]
    return values[np.isfinite(values)]


def _spans(first: int, stop: int) -> Iterable[tuple[str, int, int]]:
    for hour in range(first, stop):
        yield "1h", hour, hour + 1
        if hour % 24 == 23 and hour - 23 >= first:
            yield "1d", hour - 23, hour + 1


def batch(prepared: Prepared, columns: Sequence[str], days: int) -> dict[str, Figures]:
    """Evidently and alibi-detect on some columns of one stream, by name with "default" or "tuned"."""
    stream = prepared.stream
    found: dict[str, Figures] = {}
    random = np.random.default_rng(0)
    split = stream.split // 3600
    for name in columns:
        values = stream.columns[name]
        before = _valid(values[prepared.rows(0, split)])
        reference = before[np.sort(random.choice(before.size, min(REFERENCE, before.size), replace=False))]
        facts = ColumnFacts.of(before)
        own = list(_spans(-(-int(stream.seconds[0]) // 86400) * 24, split))
        hours = [span for span in own if span[0] == "1h"]
        kept = [hours[at] for at in np.linspace(0, len(hours) - 1, BASELINE_HOURS).astype(int)]
        own = [*kept, *(span for span in own if span[0] == "1d")]
        chosen = chosen_days(prepared, name, days)
        live = stream.days()
        watched = live[np.linspace(0, live.size - 1, min(days * 2, live.size)).astype(int)].tolist()
        for peer, statistic in BATCH.items():
            limit = {"1h": -np.inf, "1d": -np.inf}
            for window, first, stop in own:
                part = _valid(values[prepared.rows(first, stop)])
                if part.size >= ROWS[window]:
                    limit[window] = max(limit[window], statistic(reference, part)[0])
            default, tuned = (found.setdefault(f"{peer}, {how}", Figures()) for how in ("default", "tuned"))
            for day in watched:
                for window, first, stop in _spans(day * 24, day * 24 + 24):
                    part = _valid(values[prepared.rows(first, stop)])
                    if part.size < ROWS[window]:
                        continue
                    score, usual = statistic(reference, part)
                    for figures, threshold in ((default, usual), (tuned, limit[window])):
                        figures.windows[window] += 1
                        figures.false[window] += score > threshold
            for variant in _variants(prepared, name, facts):
                for day in chosen:
                    made = faulted(prepared, name, facts, day, variant)
                    if made is None:
                        continue
                    hit = _hit(prepared, made, day, reference, statistic, limit)
                    for figures, caught in zip((default, tuned), hit, strict=True):
                        figures.faulted += 1
                        figures.found += caught
    return found


def _hit(
    prepared: Prepared,
    made: Values,
    day: int,
    reference: Values,
    statistic: Statistic,
    limit: Mapping[str, float],
) -> tuple[bool, bool]:
    offset = prepared.rows(day * 24, day * 24 + 24).start
    default = tuned = False
    for window, first, stop in _spans(day * 24, day * 24 + 24):
        rows = prepared.rows(first, stop)
        part = _valid(made[rows.start - offset : rows.stop - offset])
        if part.size < ROWS[window]:
            continue
        score, usual = statistic(reference, part)
        default |= score > usual
        tuned |= score > limit[window]
        if default and tuned:
            break
    return default, tuned


def _variants(prepared: Prepared, name: str, facts: ColumnFacts) -> list[Variant]:
    return [one for one in of_column(prepared.stream, name, facts) if one.key in FAULTS]


# river


def _detectors() -> dict[str, tuple[list[tuple[str, Callable[[], Any]]], int]]:
    """By name: settings, the default first and then by falling sensitivity, and days that are affordable."""
    from river import drift

    def adwin(delta: float) -> Callable[[], Any]:
        return lambda: drift.ADWIN(delta=delta)

    def hinkley(threshold: float) -> Callable[[], Any]:
        return lambda: drift.PageHinkley(threshold=threshold)

    def kswin(alpha: float) -> Callable[[], Any]:
        return lambda: drift.KSWIN(alpha=alpha, seed=0)

    return {
        "ADWIN": ([(f"{d:g}", adwin(d)) for d in (0.002, 1e-4, 1e-6, 1e-9, 1e-12, 1e-20, 1e-40)], 120),
        "PageHinkley": ([(f"{t:g}", hinkley(t)) for t in (50, 200, 500, 1000, 3000, 10_000)], 120),
        "KSWIN": ([(f"{a:g}", kswin(a)) for a in (0.005, 1e-4, 1e-6, 1e-9)], 12),
    }


def river(prepared: Prepared, columns: Sequence[str], days: int) -> dict[str, Figures]:
    """river's detectors on the rows themselves; the same faults, three onsets spread over the live days."""
    found: dict[str, Figures] = {}
    for peer, (settings, affordable) in _detectors().items():
        for name in columns:
            stream = prepared.stream
            values = stream.columns[name]
            facts = ColumnFacts.of(values[prepared.rows(0, stream.split // 3600)])
            split = stream.split // 3600
            tuned = settings[-1]
            for setting in settings:
                begin = max(int(stream.seconds[0]) // 3600, split - affordable * 24)
                false, hours = _watch(prepared, values, begin, split, setting[1]())
                if false <= TUNED * hours:
                    tuned = setting
                    break
            for how, setting in (("default", settings[0]), ("tuned", tuned)):
                figures = found.setdefault(f"river {peer}, {how}", Figures())
                _river_one(prepared, name, facts, setting[1], min(affordable, days * 6), figures)
    return found


def _river_one(
    prepared: Prepared, name: str, facts: ColumnFacts, make: Callable[[], Any], days: int, figures: Figures
) -> None:
    stream = prepared.stream
    values = stream.columns[name]
    detector = make()
    live = stream.days()[:days].tolist()
    # Five days of the baseline first, so that no detector starts cold.
    _watch(prepared, values, live[0] * 24 - 120, live[0] * 24, detector)
    onsets = set(live[7 :: max(1, (len(live) - 7) // 6)])
    variants = [one for one in NUMERIC if one.key in FAULTS]
    for day in live:
        at_start = copy.deepcopy(detector) if day in onsets else None
        false, hours = _watch(prepared, values, day * 24, day * 24 + 24, detector)
        figures.false["1h"] += false
        figures.windows["1h"] += hours
        figures.false["1d"] += false > 0
        figures.windows["1d"] += 1
        if at_start is None or false:
            continue
        for variant in variants:
            made = faulted(prepared, name, facts, day, variant)
            if made is None:
                continue
            watching = copy.deepcopy(at_start)
            figures.faulted += 1
            for value in made[np.isfinite(made)].tolist():
                watching.update(value)
                if watching.drift_detected:
                    figures.found += 1
                    break


def _watch(prepared: Prepared, values: Values, first: int, stop: int, detector: Any) -> tuple[int, int]:
    """Hours with a detection, and hours with rows."""
    false = hours = 0
    for hour in range(first, stop):
        part = values[prepared.rows(hour, hour + 1)]
        part = part[np.isfinite(part)]
        hit = False
        for value in part.tolist():
            detector.update(value)
            hit |= bool(detector.drift_detected)
        hours += part.size > 0
        false += hit
    return false, hours
