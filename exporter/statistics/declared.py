"""Declared: every statistic for people once: what it is, whence, and what chance alone gives."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from exporter.statistics import chance
from exporter.statistics.chi_square import chi_square, chi_square_p_value
from exporter.statistics.distance import (
    hellinger_distance,
    jensen_shannon_distance,
    kullback_leibler_divergence,
    psi,
    total_variation_distance,
)
from exporter.statistics.ordered import (
    binned_kolmogorov_smirnov_distance,
    kolmogorov_smirnov_distance,
    normed_wasserstein_distance,
    wasserstein_distance,
)

#: Kinds of column a statistic applies to: `exporter.schema.Kind`, repeated because statistics know no schema.
StatisticKind = Literal["numeric", "categorical", "boolean", "text", "embedding"]
ALL_KINDS: Final[frozenset[StatisticKind]] = frozenset(
    {"numeric", "categorical", "boolean", "text", "embedding"}
)
ORDERED: Final[frozenset[StatisticKind]] = frozenset({"numeric", "text", "embedding"})
"""Kinds with numbers: a text by its length, an embedding by its norm. Categories have no order."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """One statistic: what a reader of its number has to know."""

    name: str
    """As in the metric's name: ``psi`` for ``modelmeter_column_psi``; that of `function`."""
    title: str
    """As people call it."""
    definition: str
    """One sentence, for the tables and the status page."""
    formula: str
    """Over shares e (baseline) and o (window) of each bin, or F and G (shares at or below x)."""
    direction: Literal["larger is further", "smaller is further"]
    range: tuple[float, float]
    """Least and largest value."""
    unit: str
    """Empty for a plain number."""
    symmetric: bool
    """The same when baseline and window are exchanged."""
    of: Literal["counts", "points"]
    """What both sides are: counts over the same bins, or `Points`."""
    kinds: frozenset[StatisticKind]
    """Kinds of column it is computed for."""
    function: Callable[[Any, Any], float]
    """(expected, observed) → the number."""
    chance: Callable[..., float]
    """(expected, rows) → its mean over windows of so many rows in which nothing has changed; of points also
    (expected, rows, expected_rows, error): see `exporter.statistics.chance.kolmogorov_smirnov_chance`."""
    chance_formula: str
    """The leading term of that mean, for N rows in the baseline, n in the window, K bins."""
    source: str
    """Where the definition comes from."""
    metric: str = ""
    """The family that shows it, without prefix; empty when none does."""


STATISTICS: Final[tuple[Statistic, ...]] = (
    Statistic(
        name="psi",
        title="Population stability index (PSI)",
        definition=(
            "How far the bins' shares moved, small bins as much as large ones; half a count per bin added"
            " first."
        ),
        formula="Σ (o - e) ln(o / e)",
        direction="larger is further",
        range=(0.0, math.inf),
        unit="",
        symmetric=True,
        of="counts",
        kinds=ALL_KINDS,
        function=psi,
        chance=chance.psi_chance,
        chance_formula="(K - 1)(1/n + 1/N)",
        source="Siddiqi 2006, Credit Risk Scorecards, ch. 6; smoothing: Krichevsky, Trofimov 1981",
        metric="column_psi",
    ),
    Statistic(
        name="jensen_shannon_distance",
        title="Jensen-Shannon distance",
        definition=(
            "Root of the mean relative entropy, in bits, of both sides to their average m; half a count per"
            " bin added first. Some tools show its square, the divergence, under the same name."
        ),
        formula="√(½ Σ e log₂(e / m) + ½ Σ o log₂(o / m)), m = (e + o) / 2",
        direction="larger is further",
        range=(0.0, 1.0),
        unit="",
        symmetric=True,
        of="counts",
        kinds=ALL_KINDS,
        function=jensen_shannon_distance,
        chance=chance.jensen_shannon_chance,
        chance_formula="√((K - 1)(1/n + 1/N) / (8 ln 2))",
        source="Lin 1991, IEEE Trans. Inf. Theory 37; Endres, Schindelin 2003, IEEE Trans. Inf. Theory 49",
        metric="column_jensen_shannon_distance",
    ),
    Statistic(
        name="kullback_leibler_divergence",
        title="Kullback-Leibler divergence",
        definition=(
            "Nats lost on average per row by who expects the baseline; half a count per bin added first."
            " PSI is the sum of both directions."
        ),
        formula="Σ o ln(o / e)",
        direction="larger is further",
        range=(0.0, math.inf),
        unit="nats",
        symmetric=False,
        of="counts",
        kinds=ALL_KINDS,
        function=kullback_leibler_divergence,
        chance=chance.kullback_leibler_chance,
        chance_formula="½ (K - 1)(1/n + 1/N)",
        source="Kullback, Leibler 1951, Ann. Math. Stat. 22",
    ),
    Statistic(
        name="hellinger_distance",
        title="Hellinger distance",
        definition="Distance of the square roots of the shares; needs no smoothing.",
        formula="√(½ Σ (√o - √e)²)",
        direction="larger is further",
        range=(0.0, 1.0),
        unit="",
        symmetric=True,
        of="counts",
        kinds=ALL_KINDS,
        function=hellinger_distance,
        chance=chance.hellinger_chance,
        chance_formula="√((K - 1)(1/n + 1/N) / 8)",
        source="Hellinger 1909, J. reine angew. Math. 136",
    ),
    Statistic(
        name="total_variation_distance",
        title="Total variation distance",
        definition="Share of the rows that would have to change their bin; needs no smoothing.",
        formula="½ Σ |o - e|",
        direction="larger is further",
        range=(0.0, 1.0),
        unit="",
        symmetric=True,
        of="counts",
        kinds=ALL_KINDS,
        function=total_variation_distance,
        chance=chance.total_variation_chance,
        chance_formula="½ Σ √(2 e (1 - e)(1/n + 1/N) / π)",
        source="Levin, Peres 2017, Markov Chains and Mixing Times, proposition 4.2",
    ),
    Statistic(
        name="chi_square",
        title="Chi-square",
        definition=(
            "Pearson's statistic of two samples; it grows with n, so windows of other n do not compare. A"
            " category that only one side has counts fully."
        ),
        formula="n N Σ (o - e)² / (n o + N e)",
        direction="larger is further",
        range=(0.0, math.inf),
        unit="",
        symmetric=True,
        of="counts",
        kinds=ALL_KINDS,
        function=chi_square,
        chance=chance.chi_square_chance,
        chance_formula="K - 1",
        source="Pearson 1900, Philosophical Magazine 50; two samples: Cramér 1946, section 30.6",
    ),
    Statistic(
        name="chi_square_p_value",
        title="Chi-square, p-value",
        definition=(
            "Probability of at least this chi-square when nothing has changed; says how surprised to be, not"
            " how far it is: at large n everything is significant."
        ),
        formula="P(χ² with K - 1 degrees of freedom > chi-square)",
        direction="smaller is further",
        range=(0.0, 1.0),
        unit="",
        symmetric=True,
        of="counts",
        kinds=ALL_KINDS,
        function=chi_square_p_value,
        chance=chance.p_value_chance,
        chance_formula="½",
        source="Pearson 1900; survival function: Abramowitz & Stegun 26.4.4-5",
    ),
    Statistic(
        name="binned_kolmogorov_smirnov_distance",
        title="Kolmogorov-Smirnov distance, at the edges of the bins",
        definition="Largest difference of the shares below an edge; at most that of the values.",
        formula="max over i of |Σ_{j ≤ i} (o_j - e_j)|",
        direction="larger is further",
        range=(0.0, 1.0),
        unit="",
        symmetric=True,
        of="counts",
        kinds=ORDERED,
        function=binned_kolmogorov_smirnov_distance,
        chance=chance.binned_kolmogorov_smirnov_chance,
        chance_formula="below 0.87 √(1/n + 1/N)",
        source="Kolmogorov 1933, G. Ist. Ital. Attuari 4; Smirnov 1939, Bull. Moscow Univ. 2",
    ),
    Statistic(
        name="kolmogorov_smirnov_distance",
        title="Kolmogorov-Smirnov distance",
        definition=(
            "Largest difference of the shares at or below a value; from 200 quantiles of either side, so in"
            " steps of 0.005."
        ),
        formula="max over x of |G(x) - F(x)|",
        direction="larger is further",
        range=(0.0, 1.0),
        unit="",
        symmetric=True,
        of="points",
        kinds=ORDERED,
        function=kolmogorov_smirnov_distance,
        chance=chance.kolmogorov_smirnov_chance,
        chance_formula="0.87 √(1/n + 1/N); less with few values",
        source="Kolmogorov 1933, G. Ist. Ital. Attuari 4; Smirnov 1939, Bull. Moscow Univ. 2",
        metric="column_kolmogorov_smirnov_distance",
    ),
    Statistic(
        name="wasserstein_distance",
        title="Wasserstein distance",
        definition="Average way by which a row would have to move; a shift by c is |c|.",
        formula="∫ |G(x) - F(x)| dx",
        direction="larger is further",
        range=(0.0, math.inf),
        unit="that of the column",
        symmetric=True,
        of="points",
        kinds=ORDERED,
        function=wasserstein_distance,
        chance=chance.wasserstein_chance,
        chance_formula="√(2/π) √(1/n + 1/N) ∫ √(F (1 - F)) dx",
        source="Vallender 1974, Theory Probab. Appl. 18",
    ),
    Statistic(
        name="normed_wasserstein_distance",
        title="Wasserstein distance, normed",
        definition=(
            "Wasserstein distance by the standard deviation of the baseline, so that columns compare: a"
            " shift by half a standard deviation is 0.5."
        ),
        formula="∫ |G(x) - F(x)| dx / σ_F",
        direction="larger is further",
        range=(0.0, math.inf),
        unit="standard deviations of the baseline",
        symmetric=False,
        of="points",
        kinds=ORDERED,
        function=normed_wasserstein_distance,
        chance=chance.normed_wasserstein_chance,
        chance_formula="1.29 √(1/n + 1/N) of a normal column",
        source="Evidently, Wasserstein distance (normed); without its floor of 0.001 under the deviation",
        metric="column_wasserstein_distance",
    ),
)

BY_NAME: Final = {statistic.name: statistic for statistic in STATISTICS}
