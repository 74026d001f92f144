"""Numbers: which one change accounts best for what became of a column's numbers.

Every fault is tried on the points of before; each leaves something unexplained: a distance of ranks, values
that repeat and should not (or should and do not), rows beyond the ends, and facts that no day brings by
nature (`Facts`). The least, with a small charge for what was fitted, wins; and it has to explain at least
half of the change.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from exporter.faults import UNNAMED
from exporter.verdict.naming.atoms import STUCK, coarser_step, rounded
from exporter.verdict.naming.cloud import Cloud, atom_difference, distance, held_by, off_step
from exporter.verdict.naming.lines import along, conversions, factors, matches, shifts
from exporter.verdict.naming.mixture import clipped, excesses, limited, tilts
from exporter.verdict.naming.named import Named
from exporter.verdict.naming.words import number, percent, unit_of
from exporter.verdict.picture import Picture

#: How much heavier a repeated value weighs than a distance of ranks: natural data move, single values do not.
ATOMS: Final = 2.0
#: How much heavier a row beyond the ends weighs.
BEYOND: Final = 2.0
#: Rows that should lie beyond the ends of now before their absence counts.
ABSENT: Final = 5.0
#: What it leaves unexplained not to know a fact: more than the days of most columns differ by.
FACT: Final = 0.25
#: And a coarser step, which no nature makes.
GRID: Final = 0.5
#: Share of the change that may remain unexplained.
UNEXPLAINED: Final = 0.5
#: Charges: for a parameter that was fitted or one of a list, for one of many accounts tried, for an unlikely
#: one.
FITTED: Final = 0.01
CHOSEN: Final = 0.03
FAR: Final = 0.1
#: What may remain when the account is so good that no other is asked for.
EXPLAINED: Final = 0.3
#: Rows that should lie beyond a limit and do not, when it is one.
_BEYOND_ROWS: Final = 1.5
#: Steps to the spread from which on quantiles fit a factor well enough to know each value's step.
_COARSE: Final = 1e-4


@dataclass(frozen=True, slots=True)
class Facts:
    """What is to be seen of now that no day brings by nature, so that an account has to explain it."""

    new: Mapping[float, float]
    """Values that came from nowhere, with their shares."""
    step: float | None
    """The coarser step on which all values lie."""
    same: bool
    """Whether exact values of before come again though it is on no step."""
    shifts: tuple[float, ...]
    """Amounts by which the exact values of before come again."""
    factors: tuple[float, ...]
    """Factors by which they do."""

    @classmethod
    def of(
        cls, before: Cloud, now: Cloud, was: Picture, became: Picture, new: Mapping[float, float]
    ) -> Facts:
        """Those of two pictures and their clouds; *new* are the values that came from nowhere."""
        kept, moved = matches(before, was, became)
        return cls(new, coarser_step(before, now), kept, *moved)

    def unknown(self, expected: Cloud, *, line: bool = False, exact: bool = False) -> float:
        """What *expected* knows nothing of; *line*: all values moved, *exact*: to values that come again."""
        left = 0.0
        if any(held_by(expected, value) < share / 3 for value, share in self.new.items()):
            left += FACT
        if self.step is not None:
            left += GRID * expected.off(self.step)
        if (self.same and line) or ((self.shifts or self.factors) and not exact):
            left += FACT
        return left


@dataclass(frozen=True, slots=True)
class Guess:
    """One account of the change, and what it leaves unexplained."""

    named: Named
    left: float
    charge: float

    @property
    def cost(self) -> float:
        """What is compared: the least wins."""
        return self.left + self.charge


def left_over(now: Cloud, expected: Cloud, off: float = 0.0, tolerance: float = 0.0) -> float:
    """What *expected* does not explain of *now*, facts apart; *off* is the share of values off the step."""
    # Of the days before no value lay beyond their ends: a distance of ranks hardly sees such rows. Nor does
    # it see that none is left where some should be.
    beyond = now.share_below(expected.low) + now.share_above(expected.high)
    absent = expected.share_below(now.low) + expected.share_above(now.high)
    absent = max(0.0, absent - ABSENT / max(now.rows, 1))
    repeated = atom_difference(now, expected, tolerance)
    return distance(now, expected) + ATOMS * repeated + BEYOND * (beyond + absent) + off


def by_chance(before: Picture, now: Picture) -> float:
    """The distance that sampling alone makes on average, and the sketches' error of a rank.

    The mean of |Brownian bridge| is √(π/32) = 0.313, and `distance` is twice a mean difference of ranks.
    """
    known = [picture.quantiles for picture in (before, now) if picture.quantiles is not None]
    rows = sum(1 / max(sketch.count, 1) for sketch in known)
    return 2 * 0.313 * math.sqrt(rows) + sum(sketch.error() / 2.576 for sketch in known)


def guesses(
    before: Cloud,
    now: Cloud,
    facts: Facts,
    others: Mapping[str, Cloud],
    prediction: bool,
) -> list[Guess]:
    """All accounts, in no order."""
    return [
        *_lines(before, now, facts),
        *_mixtures(before, now, facts),
        *_steps(before, now, facts),
        *_swaps(before, now, facts, others),
        *_spreads(before, now, facts, prediction),
    ]


def unexplained(before: Cloud, now: Cloud, facts: Facts) -> float:
    """The whole change: what "nothing happened" leaves."""
    return left_over(now, before, _off(now, before.step)) + facts.unknown(before)


def _off(now: Cloud, step: float | None, skip: float | None = None) -> float:
    """Share of the rows that are no multiple of *step*, the value *skip* apart."""
    return 0.0 if step is None else now.off(step, skip=skip)


def _lines(before: Cloud, now: Cloud, facts: Facts) -> Iterator[Guess]:
    low, was, high = before.quantile(np.array([0.05, 0.5, 0.95])).tolist()
    median, width = float(now.quantile(np.array([0.5]))[0]), high - low
    for amount in shifts(before, now, facts.shifts):
        expected = along(before, lambda x, a=amount: x + a)  # type: ignore[misc]
        if expected is not None:
            off = 0.0 if before.step is None else off_step(now.points - amount, before.step, 0.02)
            sign = "+" if amount > 0 else "-"
            text = f"all values {sign}{number(abs(amount))}"
            # So far away is more likely another unit than an offset.
            charge = FITTED if abs(amount) <= 6 * width else FAR
            left = left_over(now, expected, off)
            left += facts.unknown(expected, line=True, exact=amount in facts.shifts)
            yield Guess(Named("shift", text), left, charge)
    for factor in factors(before, now, facts.factors):
        expected = along(before, lambda x, f=factor: x * f)  # type: ignore[misc]
        if expected is not None:
            off = _off_factor(before, now, factor)
            text = f"all values × {number(factor)}"
            unit = unit_of(factor)
            if unit:
                text += f", as {unit} would be"
            left = left_over(now, expected, off)
            left += facts.unknown(expected, line=True, exact=factor in facts.factors)
            yield Guess(Named("scale", text, factor), left, FITTED)
    for conversion in conversions(before, now):
        expected = along(before, conversion.line)
        if expected is not None:
            off = 0.0
            if before.step is not None:
                with np.errstate(all="ignore"):
                    origin = conversion.back(now.points)
                off = off_step(origin, before.step, 0.02) if np.isfinite(origin).all() else 1.0
            text = f"median {number(was)} → {number(median)}, as {conversion.text} would be"
            left = left_over(now, expected, off) + facts.unknown(expected, line=True)
            yield Guess(Named("scale", text), left, FITTED)


def _off_factor(before: Cloud, now: Cloud, factor: float) -> float:
    """Share of the rows of now that no multiple of before's step leads to by *factor*."""
    if before.step is None:
        return 0.0
    off = off_step(now.points / factor, before.step, 0.02)
    spread = before.high - before.low
    if off > 0.03 and before.step < _COARSE * spread:
        # Cents in amounts of thousands: quantiles do not fit a factor well enough to say where each goes. But
        # amounts that still are in cents were hardly multiplied.
        return FACT if now.off(before.step, 1e-6) <= 0.02 else 0.0
    return off


def _mixtures(before: Cloud, now: Cloud, facts: Facts) -> Iterator[Guess]:
    limits = limited(before, now)
    for value, share in excesses(before, now)[:4]:
        # All entries with one value, where that is not called stuck: the nature of a column of one an hour.
        if now.atoms.get(value, 0.0) >= STUCK:
            continue
        # A flood leaves what lay beyond the value there, and none of so many rows is left.
        if value in limits and limits[value] * (1 - share) * now.rows >= _BEYOND_ROWS:
            continue
        expected = before.with_atom(value, share)
        held = now.atoms.get(value, 0.0)
        text = f"share of {number(value)}: {percent(held_by(before, value))} → {percent(held)}"
        left = left_over(now, expected, _off(now, before.step, value)) + facts.unknown(expected)
        yield Guess(Named("flood", text), left, FITTED)
    for value, beyond in limits.items():
        if beyond * now.rows < _BEYOND_ROWS:
            continue
        high = value == now.high
        held = held_by(now, value)
        text = (
            f"nothing {'above' if high else 'below'} {number(value)}, where {percent(held)} of the values are"
        )
        for expected in clipped(before, value, held, high=high):
            left = left_over(now, expected, _off(now, before.step, value)) + facts.unknown(expected)
            yield Guess(Named("clipping", text), left, FITTED)
    off = _off(now, before.step)
    for rate, expected in tilts(before, now):
        side = "high" if rate > 0 else "low"
        left = left_over(now, expected, off) + facts.unknown(expected)
        yield Guess(Named("population_change", f"the same values, more of the {side} ones"), left, CHOSEN)


def _steps(before: Cloud, now: Cloud, facts: Facts) -> Iterator[Guess]:
    if facts.step is None:
        return
    text = f"{percent(1.0)} of the values are multiples of {number(facts.step)}"
    for expected in rounded(before, facts.step):
        yield Guess(Named("precision", text), left_over(now, expected) + facts.unknown(expected), FITTED)


def _swaps(before: Cloud, now: Cloud, facts: Facts, others: Mapping[str, Cloud]) -> Iterator[Guess]:
    # Among many columns one looks like anything: of two accounts that fit, what happened to this one alone.
    charge = CHOSEN + 0.01 * math.log1p(len(others))
    for name, other in others.items():
        left = left_over(now, other, _off(now, other.step)) + facts.unknown(other)
        yield Guess(Named("swapped", f"the values look like those of {name}"), left, charge)


def _spreads(before: Cloud, now: Cloud, facts: Facts, prediction: bool) -> Iterator[Guess]:
    ranks = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    was, became = before.quantile(ranks), now.quantile(ranks)
    for low, high in ((0, 4), (1, 3)):
        width = was[high] - was[low]
        if width > 0:
            factor = float((became[high] - became[low]) / width)
            if 0 < factor <= 0.3:
                middle, to = float(was[2]), float(became[2])
                expected = along(before, lambda x, f=factor, m=middle, t=to: t + f * (x - m))  # type: ignore[misc]
                if expected is not None and abs(to - middle) <= width:
                    name = "collapse" if prediction else UNNAMED
                    text = f"spread {number(factor)} × that of before"
                    left = left_over(now, expected) + facts.unknown(expected, line=True)
                    yield Guess(Named(name, text), left, 2 * CHOSEN)


def same_values(before: Cloud, now: Cloud) -> bool:
    """Whether now holds values of before alone: on its step, within its ends, none new that repeats."""
    within = (now.points >= before.low) & (now.points <= before.high)
    inside = float(now.weights[within].sum()) >= 0.99
    return inside and _off(now, before.step) <= 0.05 and not repeats(before, now)


def repeats(before: Cloud, now: Cloud) -> bool:
    """Whether a value took a twentieth of the rows that before had hardly any of it."""
    return any(
        share >= 0.05 and now.atoms.get(value, 0.0) > 3 * before.atoms.get(value, 0.0)
        for value, share in excesses(before, now)
    )
