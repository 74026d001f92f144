"""Comparing two versions that had traffic in the same hours, column by column, and what the difference means.

| features between the versions | predictions between them | against the past | cause |
|---|---|---|---|
| differ | differ or not | | ``routing``: they get different traffic, so different answers mean nothing |
| equal | differ | | ``new_version``: the same data, other answers |
| equal | equal | the same features moved in both | ``upstream_data``: the data moved, whoever answers |
| equal | equal | | ``none`` |

Promises: pure, and without a baseline, too. Columns of other bins or in one version alone are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from exporter.baseline import BaselineColumn
from exporter.baseline.calibration import DEFAULT_ALPHA
from exporter.hourly import HourTable
from exporter.rows import Role
from exporter.verdict.pair import Pair, compare_pair

ColumnKey: TypeAlias = tuple[Role, str]
Cause: TypeAlias = Literal["none", "new_version", "upstream_data", "routing"]

CAUSES: Final[tuple[Cause, ...]] = ("none", "new_version", "upstream_data", "routing")
#: Columns that a sentence names.
_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Compared:
    """Two versions in one window."""

    cause: Cause
    columns: Mapping[ColumnKey, Pair] = field(default_factory=dict)
    """Those that both have and that have rows enough."""
    moved: tuple[ColumnKey, ...] = ()
    """Columns that moved in both alike."""

    @property
    def differing(self) -> tuple[ColumnKey, ...]:
        """Columns that differ, the highest score first."""
        keys = [key for key, pair in self.columns.items() if pair.score > 1]
        return tuple(sorted(keys, key=lambda key: (-self.columns[key].score, key)))


def compare_versions(
    one: Mapping[ColumnKey, HourTable],
    other: Mapping[ColumnKey, HourTable],
    *,
    moved: Collection[ColumnKey] = (),
    baseline: Mapping[ColumnKey, BaselineColumn] | None = None,
    window: str = "1h",
    alpha: float = DEFAULT_ALPHA,
) -> Compared | None:
    """Compare version *one* with the *other* over the hours at hand; None where nothing can be compared.

    *moved* are the columns that are abnormal in both by themselves. *alpha* is per column and window.

    >>> compare_versions({}, {}) is None
    True
    """
    found: dict[ColumnKey, Pair] = {}
    for key in one.keys() & other.keys():
        mine, its = one[key], other[key]
        if mine.bins.shape[1] != its.bins.shape[1]:
            continue
        known = baseline.get(key) if baseline is not None else None
        calibration = known.calibration if known is not None else None
        pair = compare_pair(
            mine,
            its,
            (mine.hours, its.hours),
            calibration=calibration,
            window=window,
            alpha=alpha,
            means=known is None,
        )
        if pair is not None:
            found[key] = pair
    if not found:
        return None
    differ = {role for (role, _), pair in found.items() if pair.score > 1}
    alike = tuple(sorted(key for key in moved if key in found and found[key].score <= 1))
    cause: Cause = "none"
    if "feature" in differ:
        cause = "routing"
    elif "prediction" in differ:
        cause = "new_version"
    elif any(role == "feature" for role, _ in alike):
        cause = "upstream_data"
    return Compared(cause, dict(sorted(found.items())), alike)


def sentence(compared: Compared, version: str, other: str) -> str:
    """What it means, for people.

    >>> sentence(Compared("none"), "2", "1")
    ''
    """
    differing = [name for role, name in compared.differing if role == "feature"]
    answers = [name for role, name in compared.differing if role == "prediction"]
    if compared.cause == "routing":
        return f"{version} and {other} get different traffic: {_named(differing)}"
    if compared.cause == "new_version":
        return f"the same features, other answers of {version} than of {other}: {_named(answers)}"
    if compared.cause == "upstream_data":
        moved = [name for role, name in compared.moved if role == "feature"]
        return f"the data moved for {version} and {other} alike: {_named(moved)}"
    return ""


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
