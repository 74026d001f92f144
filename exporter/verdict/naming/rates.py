"""Rates: entries that are missing or of another type; the only faults that the values do not show."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

from exporter.verdict.naming.named import Named
from exporter.verdict.naming.words import percent
from exporter.verdict.picture import Picture

#: A rise worth a name: a hundredth, three and a half standard errors, four entries. Five errors
#: (detection.md 2.5) would leave a tenth of an hour of 50 rows without a name.
_RISE: Final = 0.01
_ERRORS: Final = 3.5
_ENTRIES: Final = 4


def name_rates(before: Picture, now: Picture, detectors: Collection[str] = ()) -> tuple[Named, float] | None:
    """The name of a rise in missing or mismatched entries, and its size; None when there is none.

    Where the detector of a rate fired any rise of it has a name: it knows the column's days, and the evidence
    was asked for already. The size is Σ (√share now - √share before)², which compares with that of the bins.
    """
    found: list[tuple[Named, float]] = []
    for detector, fault, was, became, text in (
        ("mismatched", "type_change", before.mismatched, now.mismatched, "of another type"),
        ("missing", "null_surge", before.missing, now.missing, "missing"),
    ):
        old, new = was / max(before.rows, 1), became / max(now.rows, 1)
        seen = became >= _ENTRIES and new - old > _RISE and rise(new, now.rows, old, before.rows) > _ERRORS
        if seen or (detector in detectors and new > old):
            found.append((Named(fault, f"{text} {percent(old)} → {percent(new)}"), hellinger(old, new)))
    return max(found, key=lambda pair: pair[1]) if found else None


def rise(now: float, rows: int, before: float, known: int) -> float:
    """By how many standard errors a share rose, on the scale where its variance is constant."""
    if not rows or not known:
        return 0.0
    return 2 * (math.asin(math.sqrt(now)) - math.asin(math.sqrt(before))) / math.sqrt(1 / rows + 1 / known)


def hellinger(one: float, other: float) -> float:
    """Σ (√p - √q)² of a share and its complement.

    >>> hellinger(0.2, 0.2), hellinger(0.0, 1.0)
    (0.0, 2.0)
    """
    return (math.sqrt(one) - math.sqrt(other)) ** 2 + (math.sqrt(1 - one) - math.sqrt(1 - other)) ** 2
