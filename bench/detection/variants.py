"""Which faults are injected, at which strengths, and which names count as right for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from bench.detection.streams import Stream, Values
from exporter.faults import ColumnFacts
from exporter.verdict.picture import Picture

Level: TypeAlias = Literal["gross", "medium", "small", "limit"]

#: Share from which all entries are said to have one value.
ONE_VALUE: Final = 0.97
#: Share of the usual values from which those of one moment are too many to be one.
MOMENT: Final = 0.5


@dataclass(frozen=True, slots=True)
class Variant:
    """One fault at one strength, in the words of ``--inject``."""

    fault: str
    strength: str
    level: Level
    size: float | None = None
    """The strength as a number on the scale of *blind below*; None for faults without one."""

    @property
    def key(self) -> str:
        """Such as ``shift 1`` or ``flood 0.1@-1``.

        >>> Variant("shift", "1", "gross", 1.0).key
        'shift 1'
        """
        return f"{self.fault} {self.strength}".strip()


def right_names(variant: Variant, before: Picture, now: Picture, *, prediction: bool) -> frozenset[str]:
    """Names that are right for *variant*, which made *now* of a column that looked like *before*.

    The injected one, and what the definitions of `exporter.faults` say of faults that nobody can tell apart.
    """
    fault, names = variant.fault, {variant.fault}
    one = bool(now.top) and now.top[0][1] >= ONE_VALUE
    if one and fault in ("flood", "frozen"):
        names.add("stuck")
    top = before.top[0][0] if before.top else None
    if one and prediction and before.kind == "categorical" and now.top[0][0] == top:
        names |= {"collapse"} if fault in ("flood", "frozen", "stuck") else set()
    few = before.kind == "categorical" and len(before.top) <= 2
    if few and fault in ("population_change", "frozen"):
        names.add("flood")
    if fault == "category_split" and len(before.top) == 1:
        names.add("unseen_category")
    if fault == "frozen" and (now.distinct or 0) > MOMENT * (before.distinct or 0):
        names.add("population_change")
    if fault == "replayed" and float(variant.strength) % 24:
        names.add("population_change")
    return frozenset(names)


NUMERIC: Final = (
    Variant("shift", "1", "gross", 1.0),
    Variant("scale", "1.609", "gross", 1.609),
    Variant("scale", "1000", "gross", 1000.0),
    Variant("scale", "celsius_to_fahrenheit", "gross"),
    Variant("swapped", "", "gross"),
    Variant("stuck", "median", "gross"),
    Variant("flood", "0.2", "gross", 0.2),
    Variant("flood", "0.1@-1", "gross", 0.1),
    Variant("flood", "0.3@median", "gross", 0.3),
    Variant("clipping", "0.2", "gross", 0.2),
    Variant("clipping", "-0.2", "gross", 0.2),
    Variant("null_surge", "0.1", "gross", 0.1),
    Variant("null_surge", "0.5", "gross", 0.5),
    Variant("type_change", "1", "gross"),
    Variant("population_change", "1", "gross"),
    Variant("shift", "0.5", "medium", 0.5),
    Variant("scale", "1.25", "medium", 1.25),
    Variant("flood", "0.05", "medium", 0.05),
    Variant("clipping", "0.05", "medium", 0.05),
    Variant("precision", "auto", "medium"),
    Variant("null_surge", "0.02", "medium", 0.02),
    Variant("type_change", "0.05", "medium", 0.05),
    Variant("frozen", "20", "medium"),
    Variant("replayed", "12", "medium"),
    Variant("shift", "0.25", "small", 0.25),
    Variant("replayed", "24", "small"),
)
CATEGORICAL: Final = (
    Variant("swapped", "", "gross"),
    Variant("stuck", "median", "gross"),
    Variant("flood", "0.2", "gross", 0.2),
    Variant("null_surge", "0.1", "gross", 0.1),
    Variant("null_surge", "0.5", "gross", 0.5),
    Variant("type_change", "1", "gross"),
    Variant("unseen_category", "0.1", "gross", 0.1),
    Variant("unseen_category", "1", "gross", 1.0),
    Variant("category_merge", "2", "gross"),
    Variant("category_split", "0.5", "gross"),
    Variant("population_change", "1", "gross"),
    Variant("flood", "0.05", "medium", 0.05),
    Variant("null_surge", "0.02", "medium", 0.02),
    Variant("unseen_category", "0.02", "medium", 0.02),
    Variant("frozen", "20", "medium"),
    Variant("replayed", "12", "medium"),
    Variant("replayed", "24", "small"),
)
COLLAPSE: Final = Variant("collapse", "auto", "gross")


def of_column(stream: Stream, name: str, facts: ColumnFacts) -> tuple[Variant, ...]:
    """The variants that column *name* can have: only predictions collapse, and a swap needs a second
    column.
    """
    chosen = list(NUMERIC if facts.kind == "numeric" else CATEGORICAL)
    if name in stream.predictions:
        chosen.append(COLLAPSE)
    if other_of(stream, name, facts) is None:
        chosen = [one for one in chosen if one.fault != "swapped"]
    return tuple(chosen)


def other_of(stream: Stream, name: str, facts: ColumnFacts) -> str | None:
    """The column whose values come when *name* is swapped: the next one of its kind, None without one."""
    names = list(stream.columns)
    alike = [
        other for other in names if (stream.columns[other].dtype == object) == (facts.kind == "categorical")
    ]
    if len(alike) < 2:
        return None
    return alike[(alike.index(name) + 1) % len(alike)]


def limits(blind_below: Mapping[str, float | None], facts: ColumnFacts) -> tuple[Variant, ...]:
    """The faults at exactly the strength below which the column is said to be blind.

    >>> facts = ColumnFacts.of(np.arange(9.0))
    >>> [one.key for one in limits({"shift": 0.5, "flood": None}, facts)]
    ['shift 0.5']
    """
    return tuple(
        Variant(fault, f"{strength:g}", "limit", strength)
        for fault, strength in blind_below.items()
        if strength is not None
    )


def no_op(before: Values, after: Values) -> bool:
    """Whether an injection left everything as it was: nothing to find then."""
    if before.dtype != object and after.dtype != object:
        return bool(np.array_equal(before, after, equal_nan=True))
    return bool(
        len(before) == len(after) and all(a is b or a == b for a, b in zip(before, after, strict=True))
    )
