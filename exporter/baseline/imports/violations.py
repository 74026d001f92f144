"""Violations: SageMaker's six checks of ``constraints.json``, applied to what is live.

| check | violated when |
|---|---|
| ``data_type_check`` | less than `datatype_check_threshold` of the present entries is of the type |
| ``completeness_check`` | the share of entries that are present is below the feature's `completeness` |
| ``baseline_drift_check`` | the distance of the distributions passes its threshold |
| ``missing_column_check`` | a constrained column has no rows |
| ``extra_column_check`` | a column is not among the constraints |
| ``categorical_values_check`` | less than `domain_content_threshold` of the values is in the domain |

Distances, over the baseline's bins: numbers by the largest difference of the distribution functions,
``Robust`` with 1.8 √((n + m) / nm) taken off for chance; categories by the largest difference of a share
(``LInfinity``), or by the p-value of χ², which violates when it is *below* the threshold (``ChiSquared``).
Types: a live column tells numbers from texts, not whole numbers from others, so Integral asks for a number.

Source: Amazon's developer guide, "Schema for Violations"; formulas of deequ, which Model Monitor is built on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from exporter.baseline.baseline import Baseline, BaselineColumn
from exporter.baseline.compare import rebin
from exporter.baseline.imports.sagemaker import Constraints, DistributionConstraints, FeatureConstraints
from exporter.baseline.tail import chi_square_survival
from exporter.hourly import HourTable, Integers
from exporter.sketch.bins import CategoryBins

Check: TypeAlias = Literal[
    "data_type_check",
    "completeness_check",
    "baseline_drift_check",
    "missing_column_check",
    "extra_column_check",
    "categorical_values_check",
]
#: deequ's factor: chance alone passes it in 0.3 % of windows.
ROBUST: Final = 1.8


@dataclass(frozen=True, slots=True)
class Violation:
    """As ``constraint_violations.json`` has it."""

    feature_name: str
    constraint_check_type: Check
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A live column: what a `ColumnView`, a window of an `HourTable` or another baseline knows of it."""

    rows: int
    missing: int
    mismatched: int
    counts: Integers | None
    """Over the baseline's bins, shape (K,); None where they are not known."""
    unseen: int = 0
    """Of the counts: in no known category."""


def observed_hours(table: HourTable) -> Observed:
    """All hours of *table* together."""
    return Observed(
        rows=int(table.rows.sum()),
        missing=int(table.missing.sum()),
        mismatched=int(table.mismatched.sum()),
        counts=table.bins.sum(axis=0),
        unseen=int(table.unseen.sum()),
    )


def observed_column(column: BaselineColumn, baseline: BaselineColumn) -> Observed:
    """A column of a second baseline, such as one built from last week, over the bins of the first."""
    unseen = 0
    if isinstance(column.bins, CategoryBins) and isinstance(baseline.bins, CategoryBins):
        known = baseline.bins.known
        unseen = round(sum(share for name, share in column.top if name not in known) * column.valid)
    return Observed(
        rows=column.rows,
        missing=column.missing,
        mismatched=column.mismatched,
        counts=rebin(column, baseline),
        unseen=unseen,
    )


def violations(
    constraints: Constraints, baseline: Baseline, observed: Mapping[str, Observed]
) -> list[Violation]:
    """What of *constraints* the columns *observed*, by name, violate; in the order of the constraints."""
    found: list[Violation] = []
    config = constraints.monitoring_config
    if config.evaluate_constraints != "Enabled":
        return found
    columns = {name: column for (_, name), column in baseline.columns.items()}
    for feature in constraints.features:
        live = observed.get(feature.name)
        if live is None or not live.rows:
            text = f"There is no column {feature.name} in the current dataset."
            found.append(Violation(feature.name, "missing_column_check", text))
            continue
        checks = (
            _type(feature, live, config.datatype_check_threshold),
            _completeness(feature, live),
            _domain(feature, live, config.domain_content_threshold),
            _drift(feature, live, columns.get(feature.name), config.distribution_constraints),
        )
        found.extend(violation for violation in checks if violation is not None)
    declared = {feature.name for feature in constraints.features}
    for name, live in observed.items():
        if name not in declared and live.rows:
            text = f"The column {name} is not in the constraints."
            found.append(Violation(name, "extra_column_check", text))
    return found


def _type(feature: FeatureConstraints, live: Observed, needed: float) -> Violation | None:
    present = live.rows - live.missing
    if feature.inferred_type == "Unknown" or not present:
        return None
    share = 1 - live.mismatched / present
    if share >= needed:
        return None
    text = (
        f"Data type match requirement is not met. Expected data type: {feature.inferred_type}, "
        f"Expected match: {needed:.1%}. Observed: Only {share:.4%} of data is {feature.inferred_type}."
    )
    return Violation(feature.name, "data_type_check", text)


def _completeness(feature: FeatureConstraints, live: Observed) -> Violation | None:
    share = 1 - live.missing / live.rows
    if feature.completeness is None or share >= feature.completeness:
        return None
    text = f"Value completeness {share:.4f} is below the required {feature.completeness:.4f}."
    return Violation(feature.name, "completeness_check", text)


def _domain(feature: FeatureConstraints, live: Observed, needed: float) -> Violation | None:
    valid = 0 if live.counts is None else int(live.counts.sum())
    if feature.string_constraints is None or not feature.string_constraints.domains or not valid:
        return None
    share = 1 - live.unseen / valid
    if share >= needed:
        return None
    text = f"Domain content requirement is not met: {share:.4%} known, {needed:.1%} required."
    return Violation(feature.name, "categorical_values_check", text)


def _drift(
    feature: FeatureConstraints,
    live: Observed,
    baseline: BaselineColumn | None,
    config: DistributionConstraints,
) -> Violation | None:
    if config.perform_comparison != "Enabled" or baseline is None or live.counts is None:
        return None
    n, m = int(live.counts.sum()), baseline.valid
    if not n or not m:
        return None
    if isinstance(baseline.bins, CategoryBins):
        threshold = config.categorical_comparison_threshold
        if config.categorical_drift_method == "ChiSquared":
            value = chi_square_p_value(baseline.counts, live.counts)
            text = f"p-value of the categories {value:.4g} is below the threshold {threshold:g}."
            return Violation(feature.name, "baseline_drift_check", text) if value < threshold else None
        distance = float(np.abs(live.counts / n - baseline.counts / m).max())
    else:
        threshold = config.comparison_threshold
        distance = float(np.abs(np.cumsum(live.counts) / n - np.cumsum(baseline.counts) / m).max())
        if config.comparison_method == "Robust":
            distance = max(0.0, distance - ROBUST * math.sqrt((n + m) / (n * m)))
    if distance <= threshold:
        return None
    text = f"Baseline drift distance: {distance:.4f} exceeds threshold: {threshold:g}."
    return Violation(feature.name, "baseline_drift_check", text)


def chi_square_p_value(expected: Integers, observed: Integers) -> float:
    """P-value of Pearson's test that two samples, counts of shape (K,), have the same shares.

    >>> round(chi_square_p_value(np.array([50, 50]), np.array([40, 60])), 3)
    0.155
    """
    some = (expected + observed) > 0
    table = np.stack((expected[some], observed[some])).astype(np.float64)
    if table.shape[1] < 2:
        return 1.0
    fit = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = float(((table - fit) ** 2 / fit).sum())
    return chi_square_survival(statistic, table.shape[1] - 1)
