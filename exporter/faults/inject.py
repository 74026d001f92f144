"""Inject: one fault into the values of one column, for measuring what is found and what is named.

Promises: the same generator state gives the same values. Entries that were missing stay missing, but for
``swapped`` and ``replayed``, whose entries are those of elsewhere. Entries that the fault does not touch stay
as they were, and *values* itself is never written to. Each entry is touched or not by a draw of its own, so a
fault means the same in batches of one row and of a million.
Refuses: faults that a column's kind can not have, and strengths that mean nothing (``ValueError``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np

from exporter.faults.facts import Array, ColumnFacts, Floats
from exporter.faults.strength import CONVERSIONS, Flood, Strength, parse_strength
from exporter.faults.vocabulary import Fault, fault

Entries: TypeAlias = "Array | Sequence[object]"

#: What ``auto`` means for a collapse: factor on the spread of numbers, share of the most frequent class.
COLLAPSED_SPREAD: Final = 0.05
COLLAPSED_SHARE: Final = 0.98
#: A continuous column has no step of its own: ``auto`` leaves it about this many steps per deviation.
_STEPS_PER_DEVIATION: Final = 10.0
#: A conversion that is not defined for more than this share of a column is no fault the column can have.
_UNDEFINED: Final = 0.01


@dataclass(frozen=True, slots=True)
class _Job:
    """One injection: what every fault's function gets."""

    fault: Fault
    strength: Strength
    values: Array
    """A copy: float64 with NaN, or object with None; shape (n,)."""
    present: np.ndarray[Any, np.dtype[np.bool_]]
    rng: np.random.Generator
    facts: ColumnFacts
    other: Entries | None
    earlier: Entries | None

    def some(self, share: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which present entries are touched, each with probability *share*."""
        drawn = self.rng.random(self.values.size) < share
        return np.asarray(drawn & self.present)

    @property
    def number(self) -> float:
        assert isinstance(self.strength, (int, float))
        return float(self.strength)


def inject(
    values: Entries,
    name: str,
    strength: Strength = None,
    *,
    rng: np.random.Generator,
    facts: ColumnFacts,
    other: Entries | None = None,
    earlier: Entries | None = None,
) -> Array:
    """*values* with the fault *name*: float64 with NaN for numbers, else an object array with None.

    *values* are of shape (n,), or a sequence: numbers (NaN missing) or texts (None missing), as *facts* says.
    *strength* is what `parse_strength` answers, or such a text; the fault's default when None. *other* are
    the other column's entries of the same rows (``swapped``). *earlier* are entries of before: what is sent
    again (``replayed``; ``frozen``: its last rows; the first of *values* when left out), and what a changed
    population is drawn from (``population_change``; the whole column when left out).

    Raises ValueError for a fault or a strength that this column can not have.

    >>> facts = ColumnFacts.of(np.arange(101.0))
    >>> rng = np.random.default_rng(0)
    >>> inject(np.array([1.0, np.nan, 3.0]), "scale", "10", rng=rng, facts=facts).tolist()
    [10.0, nan, 30.0]
    >>> inject(np.array([1.0, 99.0]), "clipping", "0.2", rng=rng, facts=facts).tolist()
    [1.0, 80.0]
    """
    entry = fault(name)
    if strength is None or isinstance(strength, str):
        strength = parse_strength(entry, strength)
    table, expected = (_NUMERIC, "numbers") if facts.kind == "numeric" else (_CATEGORICAL, "categories")
    if entry.name not in table:
        raise ValueError(f"{entry.name}: a column of {expected} can not have this fault")
    copied = _entries(values, facts)
    present = ~np.isnan(copied) if copied.dtype == np.float64 else _present(copied)
    job = _Job(entry, strength, copied, present, rng, facts, other, earlier)
    return table[entry.name](job)


def _entries(values: Entries, facts: ColumnFacts) -> Array:
    if facts.kind == "numeric":
        if not isinstance(values, np.ndarray):
            values = [math.nan if value is None else value for value in values]
        try:
            return np.array(values, dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError("inject: expected a column of numbers, found other entries among them") from None
    made = np.empty(len(values), dtype=object)
    made[:] = [None if value is None or value != value else value for value in values]
    return made


def _present(entries: Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.array([entry is not None for entry in entries], dtype=np.bool_)


# Any column


def _null_surge(job: _Job) -> Array:
    job.values[job.some(job.number)] = np.nan if job.values.dtype == np.float64 else None
    return job.values


def _type_change(job: _Job) -> Array:
    # Texts where numbers were; lists where texts were, which numbers would be read as.
    touched = job.some(job.number)
    made = np.empty(job.values.size, dtype=object)
    numeric = job.facts.kind == "numeric"
    for at, value in enumerate(job.values.tolist()):
        if not job.present[at]:
            made[at] = None
        elif touched[at]:
            made[at] = repr(value) if numeric else [value]
        else:
            made[at] = value
    return made


def _swapped(job: _Job) -> Array:
    if job.other is None or len(job.other) != job.values.size:
        raise ValueError(f"swapped: expected the {job.values.size} entries of the other column")
    if isinstance(job.other, np.ndarray) and job.other.dtype.kind in "biuf":
        made: Array = job.other.astype(np.float64)
        if job.facts.kind == "numeric":
            return made
        texts = np.empty(made.size, dtype=object)
        texts[:] = [None if value != value else value for value in made.tolist()]
        return texts
    made = np.empty(job.values.size, dtype=object)
    made[:] = list(job.other)
    return made


def _frozen(job: _Job) -> Array:
    source = job.values if job.earlier is None else _entries(job.earlier, job.facts)
    present = ~np.isnan(source) if source.dtype == np.float64 else _present(source)
    rows = int(job.number)
    known = source[present]
    moment = known[:rows] if job.earlier is None else known[-rows:]
    if moment.size:
        job.values[job.present] = np.resize(moment, int(job.present.sum()))
    return job.values


def _replayed(job: _Job) -> Array:
    if job.earlier is None or not len(job.earlier):
        raise ValueError("replayed: expected the entries of an earlier time")
    source = _entries(job.earlier, job.facts)
    # As many rows as now, in their order: every i-th when there were more, some twice when fewer.
    return source[np.arange(job.values.size) * source.size // max(job.values.size, 1)]


def _stuck(job: _Job) -> Array:
    job.values[job.present] = _value(job, str(job.strength))
    return job.values


def _flood(job: _Job) -> Array:
    flood = job.strength if isinstance(job.strength, Flood) else Flood(job.number)
    job.values[job.some(flood.share)] = _value(job, flood.value)
    return job.values


def _value(job: _Job, text: str | None) -> float | str:
    """The value that *text* means: ``median`` is the most frequent category of texts."""
    if job.facts.kind == "categorical":
        return job.facts.categories[0][0] if text in (None, "median") else str(text)
    if text is None:
        return 0.0
    if text == "median":
        return job.facts.median
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{job.fault.name}: expected a number or median, found {text!r}") from None


# Numbers


def _shift(job: _Job) -> Array:
    return job.values + job.number * job.facts.deviation


def _scale(job: _Job) -> Array:
    if not isinstance(job.strength, str):
        return job.values * job.number
    convert = CONVERSIONS[job.strength]
    with np.errstate(all="ignore"):
        undefined = 1.0 - float(np.mean(np.isfinite(convert(job.facts.ordered))))
        if undefined > _UNDEFINED:
            raise ValueError(f"scale: {job.strength} is not defined for {undefined:.0%} of the column")
        return convert(job.values)


def _clipping(job: _Job) -> Array:
    ordered, share = job.facts.ordered, job.number
    limit = float(np.quantile(ordered, 1 - share if share > 0 else -share, method="nearest"))
    return np.minimum(job.values, limit) if share > 0 else np.maximum(job.values, limit)


def _precision(job: _Job) -> Array:
    if job.strength is not None:
        step = job.number
    else:
        deviation = job.facts.deviation
        if job.facts.step is not None:
            step = 10 * job.facts.step
        elif deviation > 0:
            step = 10.0 ** math.floor(math.log10(deviation / _STEPS_PER_DEVIATION))
        else:
            step = math.inf
        if step > 2 * deviation:
            raise ValueError(f"precision: expected a column that varies by more than its steps, found {step}")
    # Division by a whole number rounds to the nearest float of "0.3", multiplication with 0.1 does not.
    if step < 1 and (1 / step).is_integer():
        return np.round(job.values * (1 / step)) / (1 / step)
    return np.round(job.values / step) * step


def _population_of_numbers(job: _Job) -> Array:
    pool = job.facts.ordered if job.earlier is None else _entries(job.earlier, job.facts)
    pool = np.sort(pool[np.isfinite(pool)])
    if pool.size:
        ranks = tilted(job.rng.random(job.values.size), job.number)
        drawn = pool[np.minimum((ranks * pool.size).astype(np.int64), pool.size - 1)]
        job.values[job.present] = drawn[job.present]
    return job.values


def _collapse_of_numbers(job: _Job) -> Array:
    factor = COLLAPSED_SPREAD if job.strength is None else job.number
    return job.facts.median + factor * (job.values - job.facts.median)


# Categories


def _unseen(job: _Job) -> Array:
    known = {name for name, _ in job.facts.categories}
    job.values[job.some(job.number)] = _new_name("new", known)
    return job.values


def _merge(job: _Job) -> Array:
    count = int(job.number)
    if len(job.facts.categories) <= count:
        found = f"{len(job.facts.categories)}"
        raise ValueError(f"category_merge: expected more than {count} categories, found {found}")
    names = [name for name, _ in job.facts.categories[:count]]
    job.values[np.isin(job.values, names) & job.present] = names[0]
    return job.values


def _split(job: _Job) -> Array:
    known = {name for name, _ in job.facts.categories}
    top = job.facts.categories[0][0]
    job.values[job.some(job.number) & (job.values == top)] = _new_name(top, known)
    return job.values


def _population_of_categories(job: _Job) -> Array:
    if job.earlier is None:
        pairs = sorted(job.facts.categories)
    else:
        earlier = _entries(job.earlier, job.facts)
        earlier = earlier[_present(earlier)]
        if not earlier.size:
            return job.values
        pairs = sorted(ColumnFacts.of(earlier.tolist()).categories)
    # The rank of a category is its place by name: a tilt that knows nothing of how frequent each is.
    upto = np.cumsum([share for _, share in pairs])
    ranks = tilted(job.rng.random(job.values.size), job.number)
    at = np.minimum(np.searchsorted(upto, ranks, side="right"), len(pairs) - 1)
    names = np.empty(len(pairs), dtype=object)
    names[:] = [name for name, _ in pairs]
    job.values[job.present] = names[at][job.present]
    return job.values


def _collapse_of_categories(job: _Job) -> Array:
    share = COLLAPSED_SHARE if job.strength is None else job.number
    job.values[job.some(share)] = job.facts.categories[0][0]
    return job.values


def _new_name(stem: str, known: set[str]) -> str:
    number = 2
    while f"{stem}_{number}" in known:
        number += 1
    return f"{stem}_{number}"


def tilted(uniform: Floats, strength: float) -> Floats:
    """Ranks in (0, 1) whose mean lies *strength* standard deviations of a rank (0.289) above one half.

    *uniform* are uniform draws, shape (n,); the density is that of an exponential, the least change that
    moves the mean.

    >>> bool(abs(tilted(np.linspace(0, 1, 10_001), 1.0).mean() - (0.5 + 12 ** -0.5)) < 1e-3)
    True
    """
    target = 0.5 + strength / math.sqrt(12)
    low, high = -400.0, 400.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _tilted_mean(middle) < target else (low, middle)
    rate = (low + high) / 2
    if abs(rate) < 1e-9:
        return uniform
    # The inverse of the distribution (e^(rate·r) - 1) / (e^rate - 1), without overflow for either sign.
    if rate > 0:
        return np.asarray(1 + np.log(uniform + (1 - uniform) * math.exp(-rate)) / rate)
    return np.asarray(-(1 + np.log((1 - uniform) + uniform * math.exp(rate)) / -rate) + 1)


def _tilted_mean(rate: float) -> float:
    if abs(rate) < 1e-6:
        return 0.5 + rate / 12
    return (1 / (1 - math.exp(-rate)) if rate > -300 else 0.0) - 1 / rate


_ANY: Final[Mapping[str, Callable[[_Job], Array]]] = MappingProxyType(
    {
        "swapped": _swapped,
        "stuck": _stuck,
        "flood": _flood,
        "null_surge": _null_surge,
        "type_change": _type_change,
        "frozen": _frozen,
        "replayed": _replayed,
    }
)
_NUMERIC: Final[Mapping[str, Callable[[_Job], Array]]] = MappingProxyType(
    {
        **_ANY,
        "shift": _shift,
        "scale": _scale,
        "clipping": _clipping,
        "precision": _precision,
        "population_change": _population_of_numbers,
        "collapse": _collapse_of_numbers,
    }
)
_CATEGORICAL: Final[Mapping[str, Callable[[_Job], Array]]] = MappingProxyType(
    {
        **_ANY,
        "unseen_category": _unseen,
        "category_merge": _merge,
        "category_split": _split,
        "population_change": _population_of_categories,
        "collapse": _collapse_of_categories,
    }
)
