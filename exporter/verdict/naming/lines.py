"""Lines: what all numbers went through alike: a shift, a factor, a conversion, a narrower spread.

Each is a candidate: the points of before, moved. Parameters come from the quantiles, from pairs of frequent
values (exact, where the quantiles' are a sketch's), and from the list of units.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np

from exporter.verdict.naming.cloud import Cloud, off_step
from exporter.verdict.naming.words import UNITS
from exporter.verdict.picture import Picture

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Line: TypeAlias = Callable[[Floats], Floats]

_RANKS: Final = np.arange(1, 20) / 20
_PAIRS: Final = 3
#: Values that come again, at least, and not by chance.
_VOTES: Final = 5
#: Multiples of a step tried at either side of the one a factor leads to.
_REACH: Final = 12


@dataclass(frozen=True, slots=True)
class Conversion:
    """A conversion that is no factor."""

    name: str
    text: str
    line: Line
    back: Line


CONVERSIONS: Final = (
    Conversion(
        "celsius_to_fahrenheit",
        "degrees Celsius sent as Fahrenheit",
        lambda x: x * 1.8 + 32.0,
        lambda y: (y - 32.0) / 1.8,
    ),
    Conversion(
        "fahrenheit_to_celsius",
        "degrees Fahrenheit sent as Celsius",
        lambda x: (x - 32.0) / 1.8,
        lambda y: y * 1.8 + 32.0,
    ),
    Conversion("log", "their logarithm", lambda x: np.log(x), lambda y: np.exp(y)),
    Conversion("log1p", "the logarithm of one more", lambda x: np.log1p(x), lambda y: np.expm1(y)),
    Conversion("log10", "their decimal logarithm", lambda x: np.log10(x), lambda y: 10.0**y),
    Conversion("exp", "their exponential", lambda x: np.exp(x), lambda y: np.log(y)),
)
CONVERSION_OF: Final[Mapping[str, Conversion]] = MappingProxyType({c.name: c for c in CONVERSIONS})


def matches(
    before: Cloud, was: Picture, became: Picture
) -> tuple[bool, tuple[tuple[float, ...], tuple[float, ...]]]:
    """Whether the frequent values of before come again, and the shifts and factors by which others would.

    Values identify themselves where there are no steps: a price list, a model's answers to few inputs. Of 64
    by 64 pairs many have one difference only when all moved by it.
    """
    if before.step is not None:
        return False, ((), ())
    old, new = _numbers(was), _numbers(became)
    if min(old.size, new.size) < _VOTES:
        return False, ((), ())
    needed = max(_VOTES, 0.4 * min(old.size, new.size))
    if np.isin(new, old).sum() >= needed:
        return True, ((), ())
    with np.errstate(all="ignore"):
        ratios = new[:, None] / old[None, :]
    return False, (_common(new[:, None] - old[None, :], needed), _common(ratios, needed))


def _numbers(picture: Picture) -> Floats:
    """The values that were seen more than once."""
    values = [v for v, s in picture.top if not isinstance(v, str) and s * picture.valid > 1.5 and v]
    return np.array([value for value in values if math.isfinite(value)], dtype=np.float64)


def _common(found: Floats, needed: float) -> tuple[float, ...]:
    flat = np.sort(found[np.isfinite(found)], axis=None)
    if flat.size < needed:
        return ()
    # Floats that went through a fault differ in their last digits.
    ends = np.flatnonzero(np.diff(flat) > 1e-9 * np.maximum(np.abs(flat[1:]), 1e-3))
    bounds = np.concatenate([[0], ends + 1, [flat.size]])
    sizes = np.diff(bounds)
    best = int(np.argmax(sizes))
    return (float(flat[bounds[best]]),) if sizes[best] >= needed else ()


def shifts(before: Cloud, now: Cloud, exact: Iterable[float] = ()) -> list[float]:
    """Amounts by which all numbers may have moved: the likeliest few, and *exact* ones."""
    difference = now.quantile(_RANKS) - before.quantile(_RANKS)
    estimates = [float(np.median(difference)), float(difference.mean()), float(np.median(difference[:9]))]
    ends = [now.low - before.low, now.high - before.high]
    pairs = [n - b for n in _heaviest(now) for b in _heaviest(before)]
    groups = (
        ([*estimates, *ends, *pairs], 5),
        (same_remainder(before, now, tuple(estimates[:2])), 2),
    )
    return _likeliest(before, now, groups, lambda x, a: x + a, exact, 0.0)


def factors(before: Cloud, now: Cloud, exact: Iterable[float] = ()) -> list[float]:
    """Factors by which all numbers may have been multiplied: the likeliest few, and *exact* ones."""
    was, became = before.quantile(_RANKS), now.quantile(_RANKS)
    ratios = became[was != 0] / was[was != 0]
    estimates = [float(np.median(ratios))] if ratios.size else []
    if was[14] > was[4]:
        estimates.append(float((became[14] - became[4]) / (was[14] - was[4])))
    lattice = on_lattice(before, now, tuple(estimates))
    ends = [new / old for new, old in ((now.low, before.low), (now.high, before.high)) if old]
    pairs = [n / b for n in _heaviest(now) for b in _heaviest(before) if b]
    groups = (
        ([*estimates, *ends, *pairs], 5),
        (lattice, 4),
        ([] if before.step is None or now.step is None else [now.step / before.step], 1),
        ([*(unit for unit, _ in UNITS), -1.0, 10.0, 0.1], 3),
    )
    return _likeliest(before, now, groups, lambda x, f: x * f, exact, 1.0)


def conversions(before: Cloud, now: Cloud, most: int = 2) -> list[Conversion]:
    """The conversions that bring the quantiles of before nearest to the ranks they have now."""
    origin = before.quantile(_RANKS)
    with np.errstate(all="ignore"):
        moved = np.array([conversion.line(origin) for conversion in CONVERSIONS])
    wrong = _wrong(now, np.nan_to_num(moved, nan=-np.inf))
    return [CONVERSIONS[at] for at in np.argsort(wrong, kind="stable")[:most].tolist()]


def _wrong(now: Cloud, moved: Floats) -> Floats:
    """How far the ranks in *now* of each row of moved quantiles are from what they were, shape (rows,)."""
    ranks = np.sort(now.cdf(moved.ravel()).reshape(moved.shape), axis=1)
    return np.asarray(np.abs(ranks - _RANKS[None, :]).mean(axis=1))


def _likeliest(
    before: Cloud,
    now: Cloud,
    groups: Iterable[tuple[Iterable[float], int]],
    line: Callable[[Floats, Floats], Floats],
    exact: Iterable[float],
    nothing: float,
) -> list[float]:
    """Of each group so many parameters as bring the quantiles nearest to their ranks, and *exact* ones."""
    origin = before.quantile(_RANKS)[None, :]
    kept = set(exact)
    for parameters, most in groups:
        near = 0.01 * abs(nothing)
        tried = sorted({p for p in parameters if math.isfinite(p) and p and abs(p - nothing) > near})
        if len(tried) > most:
            with np.errstate(all="ignore"):
                moved = np.nan_to_num(line(origin, np.array(tried)[:, None]))
            wrong = _wrong(now, moved)
            tried = [tried[at] for at in np.argsort(wrong, kind="stable")[:most].tolist()]
        kept |= set(tried)
    return sorted(kept)


def on_lattice(before: Cloud, now: Cloud, near: Sequence[float]) -> Iterator[float]:
    """Factors close to those *near* that carry the multiples of before's step to the values of now.

    Natural data move while a fault is on, so quantiles fit a factor to a few per cent only. Whole numbers
    times 1.609 are multiples of 1.609 whatever they are: each value v of now is k steps for a whole k.
    """
    step = before.step
    values = now.points[now.points != 0]
    if step is None or not values.size:
        return
    size = np.abs(values)
    picked = [float(values[np.argmin(np.abs(size - np.quantile(size, rank)))]) for rank in (0.0, 0.1, 0.3)]
    found: set[float] = set()
    for value in picked:
        for factor in near:
            if not factor:
                continue
            ratio = value / (factor * step)
            if not abs(ratio) < 2.0**53:  # NaN and inf as well
                continue
            steps = round(ratio)
            reach = min(_REACH, max(1, round(0.15 * abs(steps))))
            found.update(
                exact
                for whole in range(steps - reach, steps + reach + 1)
                if whole and abs((exact := value / (whole * step)) / factor - 1) <= 0.2
            )
    if found:
        tried = np.array(sorted(found))
        ratios = values[:, np.newaxis] / (tried * step)[np.newaxis, :]
        wrong = (np.abs(ratios - np.round(ratios)) > 0.02).mean(axis=0)
        yield from tried[wrong <= 0.03].tolist()


def same_remainder(before: Cloud, now: Cloud, near: Sequence[float]) -> Iterator[float]:
    """Shifts close to those *near* that carry the multiples of before's step to the values of now."""
    if before.step is None or not now.points.size:
        return
    remainder = float(now.points[now.points.size // 2]) % before.step
    if off_step(now.points - remainder, before.step, 0.02) > 0.03:
        return
    for amount in filter(math.isfinite, near):
        for steps in (0, 1, -1):
            yield remainder + before.step * (round((amount - remainder) / before.step) + steps)


def _heaviest(cloud: Cloud) -> list[float]:
    return sorted(cloud.atoms, key=lambda value: -cloud.atoms[value])[:_PAIRS]


def along(before: Cloud, line: Line) -> Cloud | None:
    """The points of *before* after *line*; None when it is not defined for a hundredth of them."""
    with np.errstate(all="ignore"):
        values = line(before.points)
        keys = np.array(list(before.atoms), dtype=np.float64)
        images = line(keys)
        ends = sorted(line(np.array([before.low, before.high])).tolist())
    fine = np.isfinite(values)
    if before.weights[~fine].sum() > 0.01 or not fine.any():
        return None
    values = np.where(fine, values, values[fine].min())
    atoms: dict[float, float] = {}
    for image, share in zip(images.tolist(), before.atoms.values(), strict=True):
        if math.isfinite(image):
            atoms[image] = atoms.get(image, 0.0) + share
    if not all(math.isfinite(end) for end in ends):
        ends = [float(values.min()), float(values.max())]
    return before.moved(values, atoms, (ends[0], ends[1]))
