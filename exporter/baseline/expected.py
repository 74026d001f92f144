"""Expected: the page budget as false alarms per window and detector, and back: the pages to be expected.

Promises: closed forms. A budget of A false pages a month over F columns, D detectors and E windows a month is
alpha = A / (F · D · E) for each; what a baseline of few windows can not support raises it, and the pages.
"""

from __future__ import annotations

from typing import Final

from exporter.baseline.baseline import Baseline
from exporter.baseline.calibration import DEFAULT_ALPHA

#: Detectors of a column that alarm by a probability: shape, bin, four rates, spike, spread. The others (far,
#: frozen, replayed, stuck) have no probability of their own.
DETECTORS: Final = 8
#: Windows a month of 30.4 days.
WINDOWS_A_MONTH: Final = {"1h": 730.5, "1d": 30.4375}


def alpha_of(page_budget: float, columns: int, window: str) -> float:
    """False alarms per detector, column and window of this length that *page_budget* pages a month leave.

    Hours and days have half of the budget each.

    >>> round(alpha_of(1.0, 20, "1d"), 6)
    0.000103
    """
    return page_budget / 2 / (max(columns, 1) * DETECTORS * WINDOWS_A_MONTH[window])


def false_pages(baseline: Baseline, page_budget: float = 1.0) -> float | None:
    """False pages a month to be expected, were all windows independent; None where nothing is calibrated.

    An upper bound: a page needs three references, alarms come in runs, and a run is one page.
    """
    total = 0.0
    found = False
    for column in baseline.columns.values():
        if column.calibration is None:
            continue
        for window, one in column.calibration.windows.items():
            found = True
            alpha = one.supported(min(alpha_of(page_budget, len(baseline.columns), window), DEFAULT_ALPHA))
            total += alpha * DETECTORS * WINDOWS_A_MONTH[window]
    return total if found else None
