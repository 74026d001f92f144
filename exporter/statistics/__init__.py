"""Statistics: how far one distribution is from another. Each is declared once, in `STATISTICS`.

Functions take counts or points and return a number; they know no profile, no window, no sketch and no metric.
``docs/statistics.md`` is what ``python -m exporter.statistics`` prints.
"""

from __future__ import annotations

from exporter.statistics.chance import effective_rows, sketch_rows
from exporter.statistics.chi_square import (
    ChiSquare,
    chi_square,
    chi_square_p_value,
    chi_square_survival,
    chi_square_test,
)
from exporter.statistics.declared import ALL_KINDS, BY_NAME, STATISTICS, Statistic, StatisticKind
from exporter.statistics.distance import (
    hellinger_distance,
    jensen_shannon_distance,
    kullback_leibler_divergence,
    psi,
    smoothed_shares,
    total_variation_distance,
)
from exporter.statistics.interval import Interval, rate_interval
from exporter.statistics.ordered import (
    Points,
    binned_kolmogorov_smirnov_distance,
    both_distances,
    kolmogorov_smirnov_distance,
    normed_wasserstein_distance,
    of_values,
    standard_deviation,
    wasserstein_distance,
)

__all__ = [
    "ALL_KINDS",
    "BY_NAME",
    "STATISTICS",
    "ChiSquare",
    "Interval",
    "Points",
    "Statistic",
    "StatisticKind",
    "binned_kolmogorov_smirnov_distance",
    "both_distances",
    "chi_square",
    "chi_square_p_value",
    "chi_square_survival",
    "chi_square_test",
    "effective_rows",
    "hellinger_distance",
    "jensen_shannon_distance",
    "kolmogorov_smirnov_distance",
    "kullback_leibler_divergence",
    "normed_wasserstein_distance",
    "of_values",
    "psi",
    "rate_interval",
    "sketch_rows",
    "smoothed_shares",
    "standard_deviation",
    "total_variation_distance",
    "wasserstein_distance",
]
