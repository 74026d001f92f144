"""Name: the fault that best accounts for how a column differs from what it was.

Promises: always answers, whatever the pictures hold; a name of `exporter.faults.FAULTS` only where the
evidence is beyond chance and the account explains most of the change, else `UNNAMED` with what moved most.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from exporter.faults import UNNAMED
from exporter.rows import Role
from exporter.sketch.bins import CategoryBins
from exporter.verdict.naming.atoms import name_frozen, name_stuck
from exporter.verdict.naming.categories import name_categories, name_collapse, name_unseen
from exporter.verdict.naming.cloud import Cloud
from exporter.verdict.naming.mixture import newcomers
from exporter.verdict.naming.named import Named
from exporter.verdict.naming.numbers import (
    EXPLAINED,
    UNEXPLAINED,
    Facts,
    by_chance,
    guesses,
    repeats,
    same_values,
    unexplained,
)
from exporter.verdict.naming.rates import name_rates
from exporter.verdict.naming.words import percent
from exporter.verdict.picture import Picture

#: Detectors (exporter.verdict.engine) of an earlier time's values, of one value that takes more, of values
#: that repeat, of entries without a value.
_REPLAYED: Final = frozenset({"replayed"})
_VALUES: Final = frozenset({"spike", "bin"})
_REPEATS: Final = frozenset({"stuck", "spike", "spread", "frozen", "replayed"})
#: A category has a bin of its own: that bin gained.
_REPEATS_TEXT: Final = _REPEATS | {"bin", "shape"}
#: Share of other new values from which one of them is no account of what happened.
_ALL_NEW: Final = 0.25
_RATES: Final = frozenset({"missing", "mismatched"})


def name_fault(
    before: Picture,
    now: Picture,
    *,
    detectors: tuple[str, ...] = (),
    role: Role = "feature",
    others: Mapping[str, Picture] | None = None,
) -> Named:
    """What happened between *before* (the last seven days, else the baseline) and *now*, an incident's rows.

    *detectors* are those that fired, highest first. *others* are the model's other columns over the rows of
    *before*: a column that looks like one of them was swapped.
    """
    rates = name_rates(before, now, detectors)
    if rates is not None and detectors and _RATES.issuperset(detectors):
        return rates[0]  # nothing else is to be explained
    values = _name_values(before, now, detectors, role, others or {})
    if rates is None:
        return values
    named, size = rates
    # Both moved: the larger change names the incident, since weather that delays flights also cancels some.
    if values.fault == UNNAMED or (detectors and detectors[0] in _RATES):
        return named
    return named if size >= 0.25 * _moved(before, now) else values


def _name_values(
    before: Picture, now: Picture, detectors: tuple[str, ...], role: Role, others: Mapping[str, Picture]
) -> Named:
    unnamed = Named(UNNAMED, moved_bins(before, now))
    if not before.valid or not now.valid:
        return unnamed
    prediction = role == "prediction"
    categorical = isinstance(before.bins, CategoryBins)
    found = name_collapse(before, now) if prediction and categorical else None
    # Stuck at what nobody knew is an unseen category; and where no detector of repeats fired though others
    # did, one value a window is this column's nature.
    repeats = _REPEATS_TEXT if categorical else _REPEATS
    if not (categorical and 2 * now.unseen > now.valid) and (not detectors or repeats & set(detectors)):
        found = found or name_stuck(before, now)
    if found is None and "frozen" in detectors:
        found = name_frozen(before, now) or Named("frozen", "hour after hour the same values")
    if found is None and _REPLAYED & set(detectors):
        found = name_frozen(before, now) or Named("replayed", "the values of an earlier time")
    if found is None and categorical:
        found = name_unseen(before, now, others, "unseen" in detectors) or name_frozen(before, now)
        found = found or name_categories(before, now, others)
    elif found is None:
        with np.errstate(all="ignore"):  # factors between the smallest and the largest floats overflow
            found = _name_numbers(before, now, others, prediction, detectors)
    return found or unnamed


def _name_numbers(
    before: Picture,
    now: Picture,
    others: Mapping[str, Picture],
    prediction: bool,
    detectors: tuple[str, ...],
) -> Named | None:
    new = dict(newcomers(before, now, bool(_VALUES & set(detectors))))
    was, became = Cloud.of(before), Cloud.of(now, new)
    if was is None or became is None:
        return None
    facts = Facts.of(was, became, before, now, new)
    ends = (became.low, became.high)
    change = unexplained(was, became, facts)
    if change <= 1.5 * by_chance(before, now):
        return name_frozen(before, now, ends)
    clouds = {
        name: cloud
        for name, picture in others.items()
        if _overlap(picture, became) and (cloud := Cloud.of(picture)) is not None
    }
    tried = sorted(guesses(was, became, facts, clouds, prediction), key=lambda guess: guess.cost)
    best = tried[0] if tried else None
    if best is not None and best.left <= EXPLAINED * change:
        return best.named
    # Repeats of one moment look a little like many things, so they come after what explains the change well.
    found = name_frozen(before, now, ends) if facts.step is None else None
    if found is not None:
        return found
    if best is not None and best.left <= UNEXPLAINED * change:
        return best.named
    others_new = sum(new.values()) - max(new.values(), default=0.0)
    if (new or repeats(was, became)) and others_new <= _ALL_NEW:
        # A value came from nowhere, on a day that is unusual in other ways too.
        best = next((guess for guess in tried if guess.named.fault in ("flood", "clipping")), None)
        if best is not None:
            return best.named
    if same_values(was, became):
        return Named("population_change", f"the same values in other shares: {moved_bins(before, now)}")
    return None


def _overlap(other: Picture, now: Cloud) -> bool:
    """Whether the inner nine tenths of both have numbers in common: else they can not have been swapped."""
    if other.quantiles is None or not other.quantiles.count:
        return False
    low, high = other.quantiles.quantile([0.05, 0.95]).tolist()
    own = now.quantile(np.array([0.05, 0.95])).tolist()
    return bool(low <= own[1] and own[0] <= high)


def _moved(before: Picture, now: Picture) -> float:
    """Σ (√p - √q)² over the bins, less what chance makes of so few rows."""
    if before.counts.shape != now.counts.shape or not before.valid or not now.valid:
        return 0.0
    squares = float(((np.sqrt(now.shares) - np.sqrt(before.shares)) ** 2).sum())
    return max(0.0, squares - (before.counts.size - 1) / 4 * (1 / now.valid + 1 / before.valid))


def moved_bins(before: Picture, now: Picture, most: int = 2) -> str:
    """The bins that moved most, in half a sentence."""
    if before.counts.shape != now.counts.shape or not before.valid or not now.valid:
        return "no values to compare"
    change = now.shares - before.shares
    parts = []
    for at in np.argsort(-np.abs(change), kind="stable")[:most]:
        label = before.bins.labels[at].split(" ", 1)[1]
        name = f'"{label}"' if isinstance(before.bins, CategoryBins) else f"values {label}"
        parts.append(f"share of {name} {percent(before.shares[at])} → {percent(now.shares[at])}")
    return ", ".join(parts)
