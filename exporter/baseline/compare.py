"""Comparing two baselines: what moved from one to the other, in one sentence a column, furthest first.

Promises: symmetric in what it needs of both files; where bins differ the second's counts are put into the
first's bins (numbers through the quantile sketch, categories by name), and `Change.rebinned` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from exporter.baseline.baseline import Baseline, BaselineColumn, ColumnKey
from exporter.baseline.calibration import DEFAULT_ALPHA, EFFECT_FLOOR_PSI, RATE_EFFECT_FLOOR, freeman_tukey
from exporter.baseline.tail import chi_square_quantile
from exporter.rows import Role
from exporter.sketch.bins import CategoryBins, Counts, NumericBins
from exporter.statistics import jensen_shannon_distance, psi
from exporter.verdict.describe import describe
from exporter.verdict.naming.words import percent

Status: TypeAlias = Literal["new", "vanished", "retyped", "moved", "same"]
_ORDER: Final[tuple[Status, ...]] = ("vanished", "new", "retyped", "moved", "same")
#: Categories named in a sentence; the lists of a `Change` are whole.
_NAMED: Final = 3
#: Beyond chance, in PSI: the rebinned counts come from 200 quantiles, each of which may lie in the wrong bin.
_REBINNING: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of one column from baseline a to baseline b."""

    role: Role
    name: str
    status: Status
    psi: float | None = None
    """None where the column is in one of them alone, or of another kind."""
    jensen_shannon: float | None = None
    missing_before: float | None = None
    missing_now: float | None = None
    """Shares of the entries."""
    new_categories: tuple[str, ...] = ()
    vanished_categories: tuple[str, ...] = ()
    rebinned: bool = False
    sentence: str


def compare(a: Baseline, b: Baseline) -> list[Change]:
    """The changes from *a* to *b*: vanished, new and retyped columns, then the others by falling PSI."""
    keys = [*a.columns, *(key for key in b.columns if key not in a.columns)]
    changes = [_change(key, a.columns.get(key), b.columns.get(key)) for key in keys]
    return sorted(
        changes, key=lambda change: (_ORDER.index(change.status), -(change.psi or 0.0), change.name)
    )


def _change(key: ColumnKey, before: BaselineColumn | None, now: BaselineColumn | None) -> Change:
    role, name = key
    if before is None or now is None:
        if now is None:
            return Change(role=role, name=name, status="vanished", sentence="is in the first alone")
        sentence = f"is in the second alone, {now.kind}"
        return Change(role=role, name=name, status="new", sentence=sentence)
    counts = rebin(now, before)
    if counts is None:
        sentence = f"was {before.kind}, is {now.kind}"
        return Change(role=role, name=name, status="retyped", sentence=sentence)
    new, vanished = _categories(before, now), _categories(now, before)
    rebinned = before.bins.id != now.bins.id
    value = psi(before.counts, counts) if counts.sum() and before.valid else 0.0
    distance = jensen_shannon_distance(before.counts, counts) if counts.sum() and before.valid else 0.0
    parts = []
    if value > _chance(before, counts) + (_REBINNING if rebinned else 0.0):
        parts.append(describe(before, now.quantiles, counts))
    if _missing_moved(before, now):
        parts.append(f"missing {percent(before.missing_share)} → {percent(now.missing_share)}")
    if new:
        parts.append(f"{len(new)} new {_plural(len(new))}: {_listed(new)}")
    if vanished:
        parts.append(f"{len(vanished)} vanished {_plural(len(vanished))}: {_listed(vanished)}")
    return Change(
        role=role,
        name=name,
        status="moved" if parts else "same",
        psi=value,
        jensen_shannon=distance,
        missing_before=before.missing_share,
        missing_now=now.missing_share,
        new_categories=new,
        vanished_categories=vanished,
        rebinned=rebinned,
        sentence="; ".join(parts) if parts else "no more than chance",
    )


def rebin(column: BaselineColumn, target: BaselineColumn) -> Counts | None:
    """*column*'s counts over the bins of *target*, shape (K,); None for numbers against categories."""
    ours, theirs = column.bins, target.bins
    if ours.id == theirs.id:
        return column.counts
    if isinstance(theirs, NumericBins) and isinstance(ours, NumericBins) and column.quantiles is not None:
        # Bins are closed below: what lies below an edge is what does not pass the float before it.
        with np.errstate(over="ignore"):  # before the smallest float comes -inf: nothing lies below it
            below = column.quantiles.cdf(np.nextafter(theirs.edges, -np.inf))
        shares = np.diff(np.concatenate([[0.0], below, [1.0]]))
        return np.asarray(np.rint(shares * column.valid), dtype=np.int64)
    if isinstance(theirs, CategoryBins) and isinstance(ours, CategoryBins):
        known = dict(zip(ours.categories, column.counts.tolist(), strict=False))
        known.update((str(name), round(share * column.valid)) for name, share in column.top)
        counts = [known.get(name, 0) for name in theirs.categories]
        return np.array([*counts, max(0, column.valid - sum(counts))], dtype=np.int64)
    return None


def _chance(before: BaselineColumn, counts: Counts) -> float:
    """The PSI that chance and the effect floor explain between samples of these sizes."""
    degrees = before.bins.size - 1
    chance = 1 / before.valid + 1 / int(counts.sum())
    return max(chi_square_quantile(DEFAULT_ALPHA, degrees) * chance, EFFECT_FLOOR_PSI + degrees * chance)


def _missing_moved(before: BaselineColumn, now: BaselineColumn) -> bool:
    residual = freeman_tukey(now.missing, before.missing_share * now.rows, now.rows)
    noise = 1 / (4 * now.rows) + 1 / (4 * before.rows)
    return residual**2 > max(RATE_EFFECT_FLOOR, 16 * noise)


def _categories(old: BaselineColumn, new: BaselineColumn) -> tuple[str, ...]:
    """Those that *new* knows and *old* does not, by name; none where a dictionary is not whole."""
    if not (isinstance(old.bins, CategoryBins) and isinstance(new.bins, CategoryBins)):
        return ()
    if not (old.known_complete and new.known_complete):
        return ()
    return tuple(sorted(new.bins.known - old.bins.known))


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown}, …"


def _plural(count: int) -> str:
    return "category" if count == 1 else "categories"
