"""Bins: fixed edges or categories, frozen by a baseline, over which observations are counted.

Promises: counting is exact, and counts over equal bins (equal ``id``) add up exactly, over batches, slots,
restarts and pods. Every value has a bin: the outer numeric bins are open to ±inf, and the last category
bin is "other". Labels sort as text in bin order.
Refuses: edges that are not finite and strictly ascending, categories that repeat (``ValueError``).
NaN has no bin; the caller counts it as missing first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, Self, TypeAlias

import numpy as np

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Counts: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
Indices: TypeAlias = "np.ndarray[Any, np.dtype[np.intp]]"

#: Longest category shown in a label. Prometheus has no limit by default, but agents and dashboards cut or
#: reject very long ones (Grafana Mimir: 2,048 bytes for all of a series' values); the number before it
#: keeps labels apart.
LABEL_CHARACTERS: Final = 80


@dataclass(frozen=True, slots=True, eq=False)
class NumericBins:
    """Bins (-inf, e0), [e0, e1), …, [e_last, inf) over the real numbers.

    `edges` is float64, shape (K - 1,), finite, strictly ascending, at least one; it is copied and made
    read-only, and -0.0 becomes 0.0. A bin [v, nextafter(v)) holds one exact value: an atom.

    >>> bins = NumericBins(np.array([80.0, 250.0, np.nextafter(250.0, np.inf), 4984.0]))
    >>> bins.labels
    ('00 < 80', '01 [80, 250)', '02 = 250', '03 (250, 4984)', '04 >= 4984')
    >>> bins.count(np.array([-np.inf, 79.5, 80, 250, 250, 250.5, np.inf])).tolist()
    [2, 1, 2, 1, 1]
    """

    edges: Floats
    id: str = field(init=False)
    """8 hex digits: SHA-256 of the edges as little-endian float64."""
    labels: tuple[str, ...] = field(init=False)
    """One per bin, such as ``03 [100, 250)``."""

    def __post_init__(self) -> None:
        edges = np.array(self.edges, dtype=np.float64) + 0.0  # a copy; -0.0 + 0.0 is 0.0
        if edges.ndim != 1 or edges.size == 0:
            raise ValueError(f"bin edges: expected at least one in a row, found shape {edges.shape}")
        if not np.isfinite(edges).all():
            raise ValueError(f"bin edges: expected finite numbers, found {edges[~np.isfinite(edges)][0]}")
        if (edges[1:] <= edges[:-1]).any():
            at = int(np.argmax(edges[1:] <= edges[:-1]))
            raise ValueError(
                f"bin edges: expected ascending numbers, found {edges[at]} before {edges[at + 1]}"
            )
        edges.setflags(write=False)
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "id", _digest(b"numeric", edges.astype("<f8").tobytes()))
        object.__setattr__(self, "labels", _interval_labels(edges))

    @property
    def size(self) -> int:
        """K, the number of bins: one more than edges."""
        return int(self.edges.size) + 1

    def index(self, values: Floats) -> Indices:
        """The bin of each of *values* (float64, any shape, without NaN): 0 … K - 1, of the same shape."""
        return np.asarray(np.searchsorted(self.edges, values, side="right"), dtype=np.intp)

    def count(self, values: Floats) -> Counts:
        """How many of *values* (float64, shape (n,), without NaN) fall in each bin: int64, shape (K,)."""
        return np.bincount(self.index(values), minlength=self.size).astype(np.int64, copy=False)

    def count_sorted(self, ascending: Floats) -> Counts:
        """The same as `count` for ascending values: K binary searches instead of n (1.5 µs for any n)."""
        below = np.searchsorted(ascending, self.edges, side="left")
        return np.diff(below, prepend=0, append=ascending.size).astype(np.int64, copy=False)

    def to_json(self) -> dict[str, Any]:
        """A plain document; JSON writes each float with the digits that read back the same."""
        return {"edges": self.edges.tolist()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The bins that `to_json` wrote."""
        return cls(np.array(document["edges"], dtype=np.float64))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NumericBins) and np.array_equal(self.edges, other.edges)

    def __hash__(self) -> int:
        return hash(self.id)


@dataclass(frozen=True, slots=True, eq=False)
class CategoryBins:
    """One bin for each of `categories`, and a last one, "other", for everything else.

    `known` is the whole dictionary of the baseline: a category in it but without a bin of its own is
    "other", yet not unseen. It always includes `categories`.

    >>> bins = CategoryBins(("AA", "UA"), frozenset({"AA", "UA", "HA"}))
    >>> bins.labels
    ('00 AA', '01 UA', '02 other')
    >>> counts, unseen = bins.count(["AA", "HA", "??"], [5, 1, 2])
    >>> counts.tolist(), unseen
    ([5, 0, 3], 2)
    """

    categories: tuple[str, ...]
    known: frozenset[str] = frozenset()
    id: str = field(init=False)
    """8 hex digits: SHA-256 of the categories in order. `known` is no part of it, since it moves no count."""
    labels: tuple[str, ...] = field(init=False)
    _position: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        position = {category: at for at, category in enumerate(self.categories)}
        if len(position) != len(self.categories):
            twice = next(c for at, c in enumerate(self.categories) if position[c] != at)
            raise ValueError(f"categories: expected each once, found {twice!r} twice")
        document = json.dumps(self.categories, ensure_ascii=True).encode()
        object.__setattr__(self, "known", self.known.union(self.categories))
        object.__setattr__(self, "id", _digest(b"category", document))
        object.__setattr__(self, "labels", _numbered([*map(_readable, self.categories), "other"]))
        object.__setattr__(self, "_position", position)

    @property
    def size(self) -> int:
        """K, the number of bins: one more than categories."""
        return len(self.categories) + 1

    def count(self, strings: Sequence[str], weights: Sequence[int] | None = None) -> tuple[Counts, int]:
        """Observations in each bin, int64, shape (K,), and how many of them are of no known category.

        `weights` says how often each of *strings* was seen; once when left out.
        """
        counts = [0] * self.size
        unseen = 0
        other = len(self.categories)
        if weights is None:
            weights = (1,) * len(strings)
        for string, weight in zip(strings, weights, strict=True):
            at = self._position.get(string, other)
            counts[at] += weight
            if at == other and string not in self.known:
                unseen += weight
        return np.array(counts, dtype=np.int64), unseen

    def to_json(self) -> dict[str, Any]:
        """A plain document; `known` lists only what has no bin of its own, in order."""
        return {"categories": list(self.categories), "known": sorted(self.known.difference(self.categories))}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The bins that `to_json` wrote."""
        return cls(tuple(document["categories"]), frozenset(document["known"]))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CategoryBins):
            return False
        return (self.categories, self.known) == (other.categories, other.known)

    def __hash__(self) -> int:
        return hash(self.id)


Bins: TypeAlias = NumericBins | CategoryBins


def bins_from_json(document: Mapping[str, Any]) -> Bins:
    """The bins that either class wrote with ``to_json``.

    Raises ValueError when the document is of neither kind, KeyError when a part of it is absent.

    >>> bins_from_json({"edges": [0.5]}).labels
    ('00 < 0.5', '01 >= 0.5')
    """
    if "edges" in document:
        return NumericBins.from_json(document)
    if "categories" in document:
        return CategoryBins.from_json(document)
    raise ValueError(f"bins: expected a key edges or categories, found {sorted(document)}")


def _digest(domain: bytes, content: bytes) -> str:
    return hashlib.sha256(domain + b"\0" + content).hexdigest()[:8]


def _numbered(texts: Sequence[str]) -> tuple[str, ...]:
    # At least two digits, so that labels keep their shape when a baseline gains a few bins.
    width = max(2, len(str(len(texts) - 1)))
    return tuple(f"{at:0{width}d} {text}" for at, text in enumerate(texts))


def _readable(category: str) -> str:
    """*category* on one line, cut at `LABEL_CHARACTERS`."""
    if not category.isprintable():
        category = category.encode("unicode_escape").decode("ascii")
    if len(category) > LABEL_CHARACTERS:
        category = category[: LABEL_CHARACTERS - 1] + "…"
    return category


def _interval_labels(edges: Floats) -> tuple[str, ...]:
    # after[i]: edge i is the float right after edge i - 1, hence bin i is the one value edge i - 1.
    after = np.concatenate(([False], edges[1:] == np.nextafter(edges[:-1], np.inf)))
    names = _edge_names(edges, after)
    texts = [f"< {names[0]}"]
    for at in range(1, edges.size):
        if after[at]:
            texts.append(f"= {names[at - 1]}")
        elif after[at - 1]:
            texts.append(f"({names[at - 2]}, {names[at]})")
        else:
            texts.append(f"[{names[at - 1]}, {names[at]})")
    texts.append(f"> {names[-2]}" if after[-1] else f">= {names[-1]}")
    return _numbered(texts)


def _edge_names(edges: Floats, after: np.ndarray[Any, np.dtype[np.bool_]]) -> list[str]:
    """Each edge in as few significant digits, from 6 up, as keep those that are shown apart."""
    for digits in range(6, 18):
        names = [_edge_name(edge, digits) for edge in edges.tolist()]
        shown = [float(name) for name, hidden in zip(names, after, strict=True) if not hidden]
        if all(low < high for low, high in pairwise(shown)):
            return names
    return names  # 17 digits tell any two floats apart, so the loop has returned


def _edge_name(edge: float, digits: int) -> str:
    if edge.is_integer() and abs(edge) < 1e15:
        return str(int(edge))
    return f"{edge:.{digits}g}"
