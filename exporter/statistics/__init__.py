"""Statistics: how far one distribution is from another. Each is declared once, in `STATISTICS`.

Functions take counts and return a number; they know no profile, no window and no metric.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from exporter.statistics.distance import Counted, jensen_shannon_distance, psi, smoothed_shares

#: Kinds of column a statistic applies to: `exporter.schema.Kind`, repeated because statistics know no schema.
StatisticKind = Literal["numeric", "categorical", "boolean", "text", "embedding"]
ALL_KINDS: Final[frozenset[StatisticKind]] = frozenset(
    {"numeric", "categorical", "boolean", "text", "embedding"}
)


@dataclass(frozen=True, slots=True)
class Statistic:
    """One statistic: what a reader of its number has to know."""

    name: str
    """As in the metric's name: ``psi`` for ``modelmeter_column_psi``."""
    definition: str
    """One sentence with the formula, for the metric's help, the tables and the status page."""
    direction: Literal["larger is further", "smaller is further"]
    range: tuple[float, float]
    """Least and largest value."""
    kinds: frozenset[StatisticKind]
    """Kinds of column it is computed for."""
    function: Callable[[Counted, Counted], float]
    """(expected counts, observed counts) → the number."""
    source: str
    """Where the definition comes from."""


STATISTICS: Final[tuple[Statistic, ...]] = (
    Statistic(
        name="psi",
        definition=(
            "Population stability index: sum over bins of (o - e) ln(o / e), where e and o are the bin's"
            " shares in the baseline and in the window, half a count per bin added first."
        ),
        direction="larger is further",
        range=(0.0, math.inf),
        kinds=ALL_KINDS,
        function=psi,
        source="Siddiqi 2006, Credit Risk Scorecards, ch. 6; smoothing: Krichevsky, Trofimov 1981",
    ),
    Statistic(
        name="jensen_shannon_distance",
        definition=(
            "Jensen-Shannon distance, base 2: root of the mean of the two relative entropies, in bits, of"
            " the bin shares in the baseline and in the window to their average, half a count per bin added"
            " first."
        ),
        direction="larger is further",
        range=(0.0, 1.0),
        kinds=ALL_KINDS,
        function=jensen_shannon_distance,
        source="Lin 1991, IEEE Trans. Inf. Theory 37; Endres, Schindelin 2003, IEEE Trans. Inf. Theory 49",
    ),
)

__all__ = [
    "ALL_KINDS",
    "STATISTICS",
    "Statistic",
    "StatisticKind",
    "jensen_shannon_distance",
    "psi",
    "smoothed_shares",
]
