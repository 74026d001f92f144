"""SageMaker Model Monitor: ``statistics.json`` and ``constraints.json``.

Format: Amazon's developer guide, "Schema for Statistics" and "Schema for Constraints". A numeric feature has
ten buckets of equal width and usually a KLL sketch: one list of values for each level, each worth 2^level
rows. With the sketch, bins are cut as ``baseline build`` cuts them (rank error about 0.1 % at its k = 2048);
without, the buckets are the bins.

Refuses: what does not hold what the guide says (`BaselineError`). Unknown keys are passed over, since
containers of one's own may add some.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final, Literal

import msgspec
import numpy as np

from exporter.baseline.assemble import Parts
from exporter.baseline.edges import category_bins
from exporter.baseline.errors import BaselineError
from exporter.baseline.imports.reading import Count, read_json, whole
from exporter.baseline.weighted import Floats, Integers, weighted_bins, weighted_quantiles, weighted_top
from exporter.rows import Role
from exporter.sketch.bins import NumericBins
from exporter.sketch.moments import Moments

_TOP: Final = 32
_TOP_SHARE: Final = 0.001


class _Common(msgspec.Struct, frozen=True):
    num_present: Count
    num_missing: Count = 0


class _Bucket(msgspec.Struct, frozen=True):
    lower_bound: float
    upper_bound: float
    count: Count


class _Parameters(msgspec.Struct, frozen=True):
    c: float = 0.64
    k: float = 2048.0


class _Sketch(msgspec.Struct, frozen=True):
    parameters: _Parameters = _Parameters()
    data: list[list[float]] = []


class _Kll(msgspec.Struct, frozen=True):
    buckets: list[_Bucket] = []
    sketch: _Sketch | None = None


class _NumberDistribution(msgspec.Struct, frozen=True):
    kll: _Kll | None = None


class _Numbers(msgspec.Struct, frozen=True):
    common: _Common
    mean: float | str | None = None
    std_dev: float | str | None = None
    min: float | str | None = None
    max: float | str | None = None
    distribution: _NumberDistribution | None = None


class _Value(msgspec.Struct, frozen=True):
    value: str
    count: Count


class _Categorical(msgspec.Struct, frozen=True):
    buckets: list[_Value] = []


class _TextDistribution(msgspec.Struct, frozen=True):
    categorical: _Categorical | None = None


class _Texts(msgspec.Struct, frozen=True):
    common: _Common
    distinct_count: Count | None = None
    distribution: _TextDistribution | None = None


class _Feature(msgspec.Struct, frozen=True):
    name: str
    inferred_type: Literal["Integral", "Fractional", "String", "Unknown"]
    numerical_statistics: _Numbers | None = None
    string_statistics: _Texts | None = None


class _Dataset(msgspec.Struct, frozen=True):
    item_count: Count


class _Statistics(msgspec.Struct, frozen=True):
    features: list[_Feature]
    dataset: _Dataset | None = None


class NumberConstraints(msgspec.Struct, frozen=True):
    """Of a number."""

    is_non_negative: bool = False


class TextConstraints(msgspec.Struct, frozen=True):
    """Of a text."""

    domains: list[str] = []


class DistributionConstraints(msgspec.Struct, frozen=True):
    """When a distance is drift."""

    perform_comparison: str = "Enabled"
    comparison_threshold: float = 0.1
    comparison_method: Literal["Simple", "Robust"] = "Robust"
    categorical_comparison_threshold: float = 0.1
    categorical_drift_method: Literal["LInfinity", "ChiSquared"] = "LInfinity"


class MonitoringConfig(msgspec.Struct, frozen=True):
    """Thresholds; the shares are those that must match (reports say "Expected match: 100.0%" for 1.0)."""

    evaluate_constraints: str = "Enabled"
    datatype_check_threshold: float = 1.0
    domain_content_threshold: float = 1.0
    distribution_constraints: DistributionConstraints = DistributionConstraints()


class FeatureConstraints(msgspec.Struct, frozen=True):
    """What one feature must satisfy."""

    name: str
    inferred_type: Literal["Integral", "Fractional", "String", "Unknown"] = "Unknown"
    completeness: float | None = None
    num_constraints: NumberConstraints | None = None
    string_constraints: TextConstraints | None = None


class Constraints(msgspec.Struct, frozen=True):
    """``constraints.json``."""

    features: list[FeatureConstraints]
    monitoring_config: MonitoringConfig = MonitoringConfig()


def read_constraints(path: Path) -> Constraints:
    """The constraints in the file at *path*; raises `BaselineError`."""
    return read_json(path, Constraints, "SageMaker's constraints.json")


def read_statistics(path: Path, role_of: dict[str, Role], notes: list[str]) -> tuple[list[Parts], int]:
    """The columns of ``statistics.json`` and the number of rows; raises `BaselineError`."""
    statistics = read_json(path, _Statistics, "SageMaker's statistics.json")
    parts: list[Parts] = []
    seen: set[str] = set()
    for at, feature in enumerate(statistics.features):
        key = f"features[{at}]"
        if feature.name in seen:
            raise BaselineError(str(path), f"{key}.name", "each feature once", f"{feature.name!r} twice")
        seen.add(feature.name)
        role = role_of.get(feature.name, "feature")
        part = None
        if feature.numerical_statistics is not None:
            part = _numeric(feature, feature.numerical_statistics, role, str(path), key, notes)
        elif feature.string_statistics is not None:
            part = _textual(feature, feature.string_statistics, role, notes)
        else:
            notes.append(f"{feature.name}: left out, the file has neither numbers nor texts of it")
        if part is not None:
            parts.append(part)
    rows = max((part.rows for part in parts), default=0)
    if statistics.dataset is not None:
        rows = whole(statistics.dataset.item_count)
    return parts, rows


def _numeric(
    feature: _Feature, numbers: _Numbers, role: Role, file: str, key: str, notes: list[str]
) -> Parts | None:
    present, missing = whole(numbers.common.num_present), whole(numbers.common.num_missing)
    kll = numbers.distribution.kll if numbers.distribution is not None else None
    at = f"{key}.numerical_statistics.distribution.kll"
    low, high = _number(numbers.min), _number(numbers.max)
    integral = feature.inferred_type == "Integral"
    groups: tuple[Floats, Floats, Integers] | None = None
    bins: NumericBins
    if kll is not None and kll.sketch is not None and any(kll.sketch.data):
        groups = _sketched(kll.sketch.data, low, high, present, f"{at}.sketch.data", file)
        bins = weighted_bins(*groups, integral)
        counts = np.bincount(bins.index(groups[0]), weights=groups[2], minlength=bins.size).astype(np.int64)
    elif kll is not None and kll.buckets:
        bins, counts = _bucketed(kll.buckets, integral, f"{at}.buckets", file)
        notes.append(f"{feature.name}: no sketch in the file, so its {len(kll.buckets)} buckets are the bins")
    else:
        notes.append(f"{feature.name}: left out, the file has no distribution of it")
        return None
    mean, deviation = _number(numbers.mean), _number(numbers.std_dev)
    moments = None
    if low is not None and high is not None and mean is not None:
        held = min(max(mean, low), high)
        moments = Moments(present, held, (deviation or 0.0) ** 2 * present, low, high)
    return Parts(
        name=feature.name,
        role=role,
        kind="numeric",
        bins=bins,
        counts=counts,
        rows=present + missing,
        missing=missing,
        distinct=float(present if groups is None else np.unique(groups[0]).size),
        moments=moments,
        quantiles=None if groups is None else weighted_quantiles(*groups),
        top=() if groups is None else weighted_top(*groups, _TOP, _TOP_SHARE),
    )


def _sketched(
    data: list[list[float]], low: float | None, high: float | None, present: int, key: str, file: str
) -> tuple[Floats, Floats, Integers]:
    """Values, again values, and counts that add up to *present*, ascending."""
    values = np.array([value for level in data for value in level], dtype=np.float64)
    weights = np.array([1 << at for at, level in enumerate(data) for _ in level], dtype=np.float64)
    if not np.isfinite(values).all():
        raise BaselineError(file, key, "finite numbers", str(values[~np.isfinite(values)][0]))
    for end in (low, high):  # a sketch may have lost the extremes; one row each puts them back
        if end is not None and not (values == end).any():
            values, weights = np.append(values, end), np.append(weights, 1.0)
    distinct, inverse = np.unique(values, return_inverse=True)
    upto = np.cumsum(np.bincount(inverse, weights=weights))
    counts = np.diff(np.rint(upto / upto[-1] * max(present, 1)), prepend=0).astype(np.int64)
    some = counts > 0
    some[[0, -1]] = True
    return distinct[some], distinct[some], np.maximum(counts[some], 0)


def _bucketed(
    buckets: list[_Bucket], integral: bool, key: str, file: str
) -> tuple[NumericBins, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """The buckets, which are [low, high) but for the last, [low, high], and an empty bin at either end."""
    edges = [buckets[0].lower_bound]
    counts = [0, whole(buckets[0].count)]
    for at, bucket in enumerate(buckets):
        if not (math.isfinite(bucket.lower_bound) and bucket.lower_bound <= bucket.upper_bound < math.inf):
            found = f"{bucket.lower_bound} and {bucket.upper_bound}"
            raise BaselineError(file, f"{key}[{at}]", "two finite bounds, low then high", found)
        if at and bucket.lower_bound < buckets[at - 1].upper_bound * (1 - 1e-12):
            raise BaselineError(
                file, f"{key}[{at}].lower_bound", "buckets that ascend", str(bucket.lower_bound)
            )
        if at and bucket.lower_bound > edges[-1]:
            edges.append(bucket.lower_bound)
            counts.append(whole(bucket.count))
        elif at:  # a constant column has ten buckets at one place
            counts[-1] += whole(bucket.count)
    top = buckets[-1].upper_bound
    edges.append(
        top + 1 if integral and top.is_integer() and top + 1 > top else math.nextafter(top, math.inf)
    )
    return NumericBins(np.array(edges)), np.array([*counts, 0], dtype=np.int64)


def _textual(feature: _Feature, texts: _Texts, role: Role, notes: list[str]) -> Parts | None:
    present, missing = whole(texts.common.num_present), whole(texts.common.num_missing)
    categorical = texts.distribution.categorical if texts.distribution is not None else None
    if categorical is None or not categorical.buckets:
        notes.append(f"{feature.name}: left out, the file has no categories of it")
        return None
    counts: dict[str, int] = {}
    for bucket in categorical.buckets:
        counts[bucket.value] = counts.get(bucket.value, 0) + whole(bucket.count)
    distinct = whole(texts.distinct_count) if texts.distinct_count is not None else len(counts)
    complete = sum(counts.values()) >= present and distinct <= len(counts)
    if not complete:
        notes.append(
            f"{feature.name}: the file names {len(counts)} of its values, so unseen ones go unnoticed"
        )
    bins = category_bins(counts, None, counts)
    binned, _ = bins.count(list(counts), list(counts.values()))
    binned[-1] += max(0, present - int(binned.sum()))
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_TOP]
    return Parts(
        name=feature.name,
        role=role,
        kind="categorical",
        bins=bins,
        counts=binned,
        rows=present + missing,
        missing=missing,
        distinct=float(distinct),
        top=tuple((name, count / max(present, 1)) for name, count in ordered),
        known_complete=complete,
    )


def _number(value: float | str | None) -> float | None:
    """A finite number; None for nothing and for the "NaN" that Spark writes."""
    if isinstance(value, str) or value is None or not math.isfinite(value):
        return None
    return float(value)
