"""Categories: which one change accounts best for what became of the shares of a column's categories."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from exporter.sketch.bins import CategoryBins
from exporter.verdict.naming.atoms import shown
from exporter.verdict.naming.named import Named
from exporter.verdict.naming.words import percent
from exporter.verdict.picture import Picture

Shares: TypeAlias = dict[str, float]

#: Unseen categories worth a name (detection.md 2.5), and one vanished: it should have been seen this often.
UNSEEN: Final = 0.005
_UNSEEN_ROWS: Final = 2
_VANISHED_ROWS: Final = 5.0
#: A share p moves from day to day, beyond chance and on the scale of its root, with a variance of this times
#: p (1 - p) at least; what a day moves beyond that is seen in how badly every account fits.
NATURAL: Final = 0.001
#: How much more likely a second name must be than a new category.
_ODDS: Final = 1.5
#: How far the shares of the others, among themselves, may move by nature while one takes from all.
_ALIKE: Final = 0.12
_UNEXPLAINED: Final = 0.4
#: Where a category that is in no list is kept.
_REST: Final = "\0rest"


def name_unseen(
    before: Picture, now: Picture, others: Mapping[str, Picture], told: bool = False
) -> Named | None:
    """Categories that nobody knew: of another column, a second name of one, or new.

    *told* says that the detector of unseen entries fired: then some are enough.
    """
    unseen = _unseen(before, now)
    if told and now.unseen:
        # The last days may have had unseen categories, too; what is new is among those of now.
        unseen = unseen or now.unseen / max(now.valid, 1)
    elif unseen <= UNSEEN or unseen * now.valid < _UNSEEN_ROWS:
        return None
    was, became = shares(before), shares(now)
    fresh = _fresh(before, was, became)
    for name, other in others.items():
        listed = shares(other)
        if fresh and unseen > 0.5 and sum(became[key] for key in fresh if key in listed) > 0.9 * unseen:
            return Named("swapped", f"the values look like those of {name}")
    return _new(fresh, was, became, unseen, now.valid, before.valid)


def name_categories(before: Picture, now: Picture, others: Mapping[str, Picture]) -> Named | None:
    """The account that leaves least of the change, when it leaves little of it; else other shares."""
    was, became = shares(before), shares(now)
    if not was or not became:
        return None
    nothing, chance = difference(became, was), by_chance(was, now.valid)
    found = [*_gains(was, became, now.valid), *_merges(was, became, now.valid), *_swaps(became, others)]
    best = min(found, key=lambda pair: pair[1], default=None)
    if best is not None and best[1] - chance <= _UNEXPLAINED * max(nothing - chance, 0.0):
        return best[0]
    if nothing > 1.5 * chance:
        changed = max(set(was) | set(became), key=lambda name: abs(became.get(name, 0) - was.get(name, 0)))
        return Named("population_change", _moved(changed, was, became))
    return None


def by_chance(expected: Shares, rows: float) -> float:
    """What `difference` is on average between *expected* shares and so many rows drawn from them."""
    return sum(math.sqrt(2 * p * max(1 - p, 0.0) / (math.pi * max(rows, 1))) for p in expected.values()) / 2


def shares(picture: Picture) -> Shares:
    """The listed categories with their shares, and the rest under one key."""
    listed = {str(value): share for value, share in picture.top}
    if isinstance(picture.bins, CategoryBins) and picture.valid:
        # The counts are exact, and may be of other hours than the frequent values (see cloud.py).
        counted = dict(zip(picture.bins.categories, picture.shares.tolist(), strict=False))
        tail = {name: share for name, share in listed.items() if name not in counted}
        left = max(1.0 - sum(counted.values()), 0.0)
        held = max(1.0 - sum(share for name, share in listed.items() if name in counted), 1e-9)
        listed = {name: share for name, share in counted.items() if share > 0}
        listed |= {name: share * min(left / held, 50.0) for name, share in tail.items()}
    rest = 1.0 - sum(listed.values())
    if listed and rest > 1e-6:
        listed[_REST] = rest
    return listed


def difference(one: Shares, other: Shares) -> float:
    """Half the sum of the differences: the share of rows that would have to change.

    >>> difference({"a": 1.0}, {"b": 1.0}), difference({"a": 0.5, "b": 0.5}, {"a": 1.0})
    (1.0, 0.5)
    """
    return 0.5 * sum(abs(one.get(name, 0.0) - other.get(name, 0.0)) for name in set(one) | set(other))


def _unseen(before: Picture, now: Picture) -> float:
    return max(0.0, now.unseen / max(now.valid, 1) - before.unseen / max(before.valid, 1))


def _moved(name: str, was: Shares, became: Shares) -> str:
    text = "other categories" if name == _REST else shown(name)
    return f"share of {text} {percent(was.get(name, 0.0))} → {percent(became.get(name, 0.0))}"


def _gains(was: Shares, became: Shares, rows: int) -> Iterator[tuple[Named, float]]:
    """One category took from all others alike."""
    name = max(was, key=lambda key: became.get(key, 0.0) - was[key])
    held = became.get(name, 0.0)
    gain = (held - was[name]) / max(1 - was[name], 1e-9)
    if gain < 0.02 or name == _REST:
        return
    expected = {key: share * (1 - gain) for key, share in was.items()}
    expected[name] += gain
    if held < 1:
        others = {key: share / (1 - was[name]) for key, share in was.items() if key != name}
        left = {key: share / (1 - held) for key, share in became.items() if key != name}
        if difference(left, others) > _ALIKE + 1.5 * by_chance(others, rows * (1 - held)):
            return
    yield Named("flood", _moved(name, was, became)), difference(became, expected)


def _fresh(before: Picture, was: Shares, became: Shares) -> list[str]:
    """Categories that were not there, most frequent first."""
    known = before.bins.known if isinstance(before.bins, CategoryBins) else frozenset()
    return [name for name in became if name not in known and name not in was and name != _REST]


def _new(fresh: list[str], was: Shares, became: Shares, unseen: float, rows: int, known: int) -> Named:
    """Categories that were not there: from all alike, or from one that got a second name.

    A second name is claimed only on evidence: how much better it fits that one category lost them than that
    all did, in logarithms of a likelihood, and against how badly it fits by itself. Two per cent of unseen
    entries in a column whose shares move by five per cent by nature are never enough.
    """
    text = f"categories unseen before {percent(unseen)}"
    if fresh:
        text += f", most of all {shown(fresh[0])}"
    named = Named("unseen_category", text)
    old = [name for name in was if name != _REST]
    if not 1 <= len(fresh) <= 2 or len(was) < 2 or not old:
        return named
    noise = 0.25 * (1 / max(rows, 1) + 1 / max(known, 1))
    chance = {name: NATURAL * share * (1 - share) + noise for name, share in was.items()}

    def misfit(expected: Shares) -> float:
        roots = {
            name: math.sqrt(max(p, 0.0)) - math.sqrt(became.get(name, 0.0)) for name, p in expected.items()
        }
        return sum(root**2 / chance[name] for name, root in roots.items())

    from_all = {name: share * (1 - unseen) for name, share in was.items()}
    from_one = {name: was | {name: was[name] - unseen} for name in old if unseen <= 1.2 * was[name]}
    if not from_one:
        return named
    # A frequent category is the likelier one to get a second name.
    likely = {name: math.log(was[name]) - 0.5 * misfit(expected) for name, expected in from_one.items()}
    lost = max(likely, key=lambda name: likely[name])
    left = misfit(from_one[lost])
    evidence = 0.5 * (misfit(from_all) - left) / max(1.0, left / (len(was) - 1))
    if evidence + math.log(was[lost]) <= math.log(_ODDS):
        return named
    text = f"{shown(lost)} {percent(was[lost])} → {percent(became.get(lost, 0.0))}"
    return Named("category_split", f"{text}, and {shown(fresh[0])} {percent(became[fresh[0]])}")


def _merges(was: Shares, became: Shares, rows: int) -> Iterator[tuple[Named, float]]:
    """Categories that vanished, and one that gained what they had."""
    gone = [
        name
        for name, share in was.items()
        if name != _REST and share * rows >= _VANISHED_ROWS and became.get(name, 0.0) <= 0.05 * share
    ]
    into = max(became, key=lambda key: became[key] - was.get(key, 0.0))
    if not 1 <= len(gone) <= 4 or into == _REST or into not in was:
        return
    expected = {name: share for name, share in was.items() if name not in gone}
    expected[into] += sum(was[name] for name in gone)
    text = f"{', '.join(shown(name) for name in gone)} gone, {_moved(into, was, became)}"
    yield Named("category_merge", text), difference(became, expected)


def _swaps(became: Shares, others: Mapping[str, Picture]) -> Iterator[tuple[Named, float]]:
    for name, other in others.items():
        if other.kind in ("categorical", "boolean"):
            text = f"the values look like those of {name}"
            yield Named("swapped", text), difference(became, shares(other)) + 0.02


def name_collapse(before: Picture, now: Picture) -> Named | None:
    """Of a prediction: nearly all entries in the class that was most frequent before."""
    if not before.top or not now.top:
        return None
    value, share = now.top[0]
    held = before.top[0][1]
    if value != before.top[0][0] or share < 0.96 or share - held < 0.3 * (1 - held):
        return None
    return Named("collapse", _moved(str(value), {str(value): held}, {str(value): share}))
