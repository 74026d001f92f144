"""boxkite: ``histogram.prom``, a training distribution in Prometheus' text format.

Format: ``feature_<i>_value_baseline`` and ``inference_value_baseline`` are histograms (cumulative buckets by
``le``) or counters (by ``bin``); the column's name stands in the help text. A histogram's last bucket, beyond
the largest value, holds what was NaN or infinite; a counter has ``bin="nan"`` for it.

Its buckets are closed above, (a, b], ours below: the edge is the float after b, so the counts stay exact.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from exporter.baseline.assemble import Parts
from exporter.baseline.edges import category_bins
from exporter.baseline.errors import BaselineError
from exporter.baseline.imports.reading import read_bytes
from exporter.baseline.weighted import Integers, weighted_bins, weighted_quantiles, weighted_top
from exporter.rows import Role
from exporter.sketch.bins import NumericBins
from exporter.sketch.moments import Moments

#: Name of the prediction, which the file does not tell.
PREDICTION: Final = "prediction"

_WHAT: Final = "boxkite's histogram.prom"
_NAME = re.compile(r"(?:feature_(?P<index>\d+)|inference)_value_baseline")
_HELP = re.compile(r"Baseline values for feature: (?P<name>.+)")


def read_histograms(path: Path, role_of: dict[str, Role], notes: list[str]) -> tuple[list[Parts], int]:
    """The columns of the file at *path* and the number of rows; raises `BaselineError`."""
    try:
        families = list(text_string_to_metric_families(read_bytes(path, _WHAT).decode("utf-8")))
    except (ValueError, KeyError, IndexError) as error:  # the parser's answers to damage
        raise BaselineError(str(path), "", _WHAT, str(error)[:80] or type(error).__name__) from None
    parts: list[Parts] = []
    for family in families:
        match = _NAME.fullmatch(family.name)
        if match is None:
            continue
        described = _HELP.search(family.documentation)
        name = PREDICTION if match["index"] is None else described["name"] if described else match["index"]
        role: Role = "prediction" if match["index"] is None else "feature"
        role = role_of.get(name, role)
        if any((part.name, part.role) == (name, role) for part in parts):
            raise BaselineError(str(path), family.name, "each column once", f"{name!r} twice")
        part = None
        if family.type == "histogram":
            part = _histogram(family, name, role, str(path), notes)
        elif family.type in ("counter", "unknown"):
            part = _counter(family, name, role, str(path), notes)
        if part is not None:
            parts.append(part)
    if not parts:
        expected = "metrics such as feature_0_value_baseline"
        found = ", ".join(family.name for family in families[:3]) or "no metric"
        raise BaselineError(str(path), "", expected, found)
    return parts, max(part.rows for part in parts)


def _histogram(family: Metric, name: str, role: Role, file: str, notes: list[str]) -> Parts | None:
    bounds: list[float] = []
    upto: list[int] = []
    total = None
    for sample in family.samples:
        if sample.name.endswith("_bucket"):
            try:
                bound = float(sample.labels["le"])
            except (KeyError, ValueError):
                raise BaselineError(
                    file, sample.name, "a label le with a number", str(sample.labels)
                ) from None
            if bounds and not bound > bounds[-1]:
                raise BaselineError(file, f"{sample.name}{{le}}", "bounds that ascend", sample.labels["le"])
            bounds.append(bound)
            upto.append(_count(sample.value, file, sample.name))
        elif sample.name.endswith("_sum"):
            total = float(sample.value)
    finite = [bound for bound in bounds if math.isfinite(bound)]
    if not finite:
        notes.append(f"{name}: left out, it has no bucket with a number")
        return None
    if any(later < before for before, later in pairwise(upto)):
        raise BaselineError(file, family.name, "cumulative buckets", "a count that falls")
    edges = np.nextafter(np.array(finite), np.inf)
    counts: Integers = np.array([*np.diff([0, *upto[: len(finite)]]), 0], dtype=np.int64)
    missing = upto[-1] - upto[len(finite) - 1]
    if missing:
        notes.append(f"{name}: {missing} rows beyond the last bucket were NaN or infinite: taken for missing")
    valid = int(counts.sum())
    some = np.flatnonzero(counts[:-1])
    if not some.size:
        notes.append(f"{name}: left out, its buckets are empty")
        return None
    # The first bucket holds the smallest value alone; it is its bound.
    low = np.array([finite[0], *finite])[some]
    high = np.array([*finite])[some]
    mean = (total if total is not None else float(((low + high) / 2) @ counts[some])) / valid
    m2 = float((((low + high) / 2 - mean) ** 2) @ counts[some])
    minimum, maximum = float(low[0]), float(high[-1])
    return Parts(
        name=name,
        role=role,
        kind="numeric",
        bins=NumericBins(edges),
        counts=counts,
        rows=upto[-1],
        missing=missing,
        distinct=float(valid),
        moments=Moments(valid, min(max(mean, minimum), maximum), m2, minimum, maximum),
        quantiles=weighted_quantiles(low, high, counts[some]),
    )


def _counter(family: Metric, name: str, role: Role, file: str, notes: list[str]) -> Parts | None:
    counts: dict[str, int] = {}
    for sample in family.samples:
        if "bin" not in sample.labels:
            raise BaselineError(file, sample.name, "a label bin", str(sample.labels))
        counts[sample.labels["bin"]] = _count(sample.value, file, sample.name)
    missing = counts.pop("nan", 0) + counts.pop("None", 0)
    valid = sum(counts.values())
    if not valid:
        notes.append(f"{name}: left out, all its bins are empty")
        return None
    try:
        values = np.array([float(value) for value in counts])
    except ValueError:
        return _categorical(counts, name, role, missing)
    order = np.argsort(values)
    values, repeats = values[order] + 0.0, np.array(list(counts.values()), np.int64)[order]
    if not np.isfinite(values).all():
        raise BaselineError(file, family.name, "finite bins", "an infinite one")
    whole = bool((values == np.floor(values)).all())
    bins = weighted_bins(values, values, repeats, whole)
    binned = np.bincount(bins.index(values), weights=repeats, minlength=bins.size).astype(np.int64)
    mean = float(values @ repeats) / valid
    return Parts(
        name=name,
        role=role,
        kind="numeric",
        bins=bins,
        counts=binned,
        rows=valid + missing,
        missing=missing,
        distinct=float(values.size),
        moments=Moments(
            valid,
            min(max(mean, float(values[0])), float(values[-1])),
            float(((values - mean) ** 2) @ repeats),
            float(values[0]),
            float(values[-1]),
        ),
        quantiles=weighted_quantiles(values, values, repeats),
        top=weighted_top(values, values, repeats, 32, 0.001),
    )


def _categorical(counts: dict[str, int], name: str, role: Role, missing: int) -> Parts:
    bins = category_bins(counts, None, counts)
    binned, _ = bins.count(list(counts), list(counts.values()))
    valid = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:32]
    return Parts(
        name=name,
        role=role,
        kind="categorical",
        bins=bins,
        counts=binned,
        rows=valid + missing,
        missing=missing,
        distinct=float(len(counts)),
        top=tuple((text, count / valid) for text, count in ordered),
    )


def _count(value: float, file: str, key: str) -> int:
    if not (math.isfinite(value) and value >= 0):
        raise BaselineError(file, key, "a count of 0 or more", str(value))
    return round(value)
