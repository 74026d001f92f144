"""Assembling a column of a baseline from counts that somebody else made: a learner, or another tool's file.

The one place where imports and learning meet the baseline's own form. With an `HourTable` the column is
calibrated by the same fit as ``modelmeter baseline build``; without, it is uncalibrated, and drift of it
gives tickets, never a page.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from exporter import __version__
from exporter.baseline.baseline import BaselineColumn
from exporter.baseline.blind import blind_below
from exporter.baseline.calibration import DEFAULT_ALPHA
from exporter.baseline.fit import fit
from exporter.hourly import HourTable, Integers
from exporter.rows import Role
from exporter.schema import Kind
from exporter.sketch.bins import Bins, CategoryBins
from exporter.sketch.moments import Moments
from exporter.sketch.quantile import DEFAULT_K, Quantiles

#: Hours that the file carries on, so that the first live hour has a past.
RECENT_HOURS: Final = 8 * 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What is known of a column; see `BaselineColumn` for the meaning of each."""

    name: str
    role: Role
    kind: Kind
    bins: Bins
    counts: Integers
    rows: int
    missing: int
    mismatched: int = 0
    infinite: int = 0
    distinct: float
    moments: Moments | None = None
    quantiles: Quantiles | None = None
    top: tuple[tuple[float | str, float], ...] = ()
    known_complete: bool = True


def builder(how: str) -> str:
    """`Origin.builder` of a baseline that was not built from a table, such as ``modelmeter 0.1, learnt``."""
    return f"modelmeter {__version__}, {how}"


def assemble(
    parts: Parts, table: HourTable | None = None, alpha: float = DEFAULT_ALPHA, blind: bool = True
) -> BaselineColumn:
    """The baseline's column; calibrated when a *table* of wall clock hours is long enough.

    *blind* says whether to find what it is blind below, from 200 quantiles; half a second a column.
    """
    moments = parts.moments
    counts = parts.counts.copy()
    counts.setflags(write=False)
    calibration = recent = None
    if table is not None and table.hours.size:
        calibration = fit(
            table,
            numeric=not isinstance(parts.bins, CategoryBins),
            known=parts.known_complete,
            top=parts.top,
            alpha=alpha,
        )
        last = table.part(table.hours > table.hours[-1] - RECENT_HOURS)
        recent = replace(last, unseen=np.zeros_like(last.unseen))  # the baseline knows all of its categories
    column = BaselineColumn(
        name=parts.name,
        role=parts.role,
        kind=parts.kind,
        bins=parts.bins,
        counts=counts,
        rows=parts.rows,
        missing=parts.missing,
        mismatched=parts.mismatched,
        infinite=parts.infinite,
        distinct=parts.distinct,
        range=None if moments is None or not moments.count else (moments.minimum, moments.maximum),
        moments=moments,
        quantiles=parts.quantiles,
        top=parts.top,
        known_complete=parts.known_complete,
        calibration=calibration,
        recent=recent,
    )
    if table is None or calibration is None or not blind:
        return column
    values = np.empty(0)
    if parts.quantiles is not None:
        values = parts.quantiles.quantile((np.arange(DEFAULT_K) + 0.5) / DEFAULT_K)
    return replace(column, blind_below=blind_below(column, table, values))
