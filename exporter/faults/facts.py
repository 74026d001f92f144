"""ColumnFacts: what a whole column looks like, as far as the injection of a fault has to know it.

Promises: made once per column, from its reference values, so that a fault injected batch by batch means the
same in each; nothing in it depends on the order of the values.
Refuses: a column without values (``ValueError``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, TypeAlias

import numpy as np

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

#: Values kept for ranks and quantiles; every i-th of the ascending ones when there are more.
_SAMPLE: Final = 10_000
#: Share of the values that must be multiples of a step for it to be the column's own (detection.md 2.1).
_ON_STEP: Final = 0.7
_STEPS: Final = tuple(float(f"1e{power}") for power in range(9, -10, -1))


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """One column's reference values in a few numbers; of a column of texts only `categories` and `kind`.

    >>> facts = ColumnFacts.of(np.array([1.0, 2.0, 3.0, np.nan]))
    >>> facts.kind, facts.mean, facts.median, facts.step
    ('numeric', 2.0, 2.0, 1.0)
    >>> ColumnFacts.of(["UA", "AA", None, "UA"]).categories
    (('UA', 0.6666666666666666), ('AA', 0.3333333333333333))
    """

    kind: Literal["numeric", "categorical"]
    mean: float
    deviation: float
    """Standard deviation."""
    median: float
    """The smallest value that half of all do not exceed: one that occurs."""
    step: float | None
    """The largest power of ten of which 70 % of the values are multiples; None down to a thousandth of the
    deviation: then the column is continuous."""
    ordered: Floats
    """Finite values, ascending, at most 10,000 of them evenly spaced by rank."""
    categories: tuple[tuple[str, float], ...]
    """Texts with their shares of the valid entries, most frequent first, then by name."""

    @classmethod
    def of(cls, values: Array | Sequence[object]) -> Self:
        """The facts of *values*, float64 with NaN, or texts with None (shape (n,) or a sequence)."""
        if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
            return cls._of_numbers(values.astype(np.float64))
        present = [value for value in values if value is not None and value == value]
        if present and not any(isinstance(value, str) for value in present):
            return cls._of_numbers(np.array(present, dtype=np.float64))
        counts = Counter(str(value) for value in present)
        if not counts:
            raise ValueError("facts of a column: expected values, found none")
        total = sum(counts.values())
        ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        shares = tuple((name, count / total) for name, count in ordered)
        return cls("categorical", np.nan, np.nan, np.nan, None, np.empty(0), shares)

    @classmethod
    def _of_numbers(cls, values: Floats) -> Self:
        ascending = np.sort(values[np.isfinite(values)])
        if not ascending.size:
            raise ValueError("facts of a column: expected finite values, found none")
        if ascending.size > _SAMPLE:
            at = np.linspace(0, ascending.size - 1, _SAMPLE).round().astype(np.int64)
            ordered = ascending[at]
        else:
            ordered = ascending
        deviation = float(ascending.std())
        return cls(
            "numeric",
            float(ascending.mean()),
            deviation,
            float(ascending[(ascending.size - 1) // 2]),
            _step(ordered, deviation),
            ordered,
            (),
        )


def _step(values: Floats, deviation: float) -> float | None:
    for step in _STEPS:
        if step < deviation / 1000:
            return None
        if np.mean(on_step(values, step)) >= _ON_STEP and np.any(values != 0):
            return step
    return None


def on_step(values: Floats, step: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which of *values* are whole multiples of *step*, but for what float64 can not tell.

    >>> on_step(np.array([0.3, 0.35, -2.0]), 0.1).tolist()
    [True, False, True]
    """
    with np.errstate(invalid="ignore"):  # of inf: not a multiple
        ratio = values / step
        return np.asarray(np.abs(ratio - np.round(ratio)) <= 1e-9 * np.abs(ratio))
