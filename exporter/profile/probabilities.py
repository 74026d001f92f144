"""Class probabilities: prediction columns ``p[0]`` … ``p[K-1]`` that are the shares of K classes in each row.

Two columns are derived of them: ``p.confidence``, the largest probability, and ``p.entropy``, Shannon's
entropy in bits divided by log2 K, that of K equal shares: 0 is certain, 1 knows nothing. A model that meets
what it has never seen shows it there first, whatever class it then answers.

Source: Hendrycks & Gimpel 2017, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples";
Shannon 1948, "A Mathematical Theory of Communication".

Promises: no Python statement per row; a row with a missing or wrong entry is missing in both (NaN).
Refuses: scores of two classes in one column (K = 1), logits and anything else that does not sum to 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from exporter.rows import Values

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

CONFIDENCE: Final = ".confidence"
ENTROPY: Final = ".entropy"
#: How far from 1 a row may sum: sixteen bits round a thousand classes to within it.
TOLERANCE: Final = 1e-3
#: Share of the complete rows that must be probabilities for the columns to be.
MOSTLY: Final = 0.99

_ELEMENT: Final = re.compile(r"(?P<stem>.+)\[(?P<index>0|[1-9][0-9]{0,4})\]\Z", re.DOTALL)
_KNOWN_LAYOUTS: Final = 64


def stem_of(name: str) -> str:
    """What a column is an element of, or derived of; its own name where it is neither.

    >>> [stem_of(name) for name in ("p[2]", "p.entropy", "age")]
    ['p', 'p', 'age']
    """
    match = _ELEMENT.match(name)
    return match["stem"] if match else name.removesuffix(CONFIDENCE).removesuffix(ENTROPY)


class Measured(NamedTuple):
    """Of the rows of one batch."""

    confidence: Floats
    """Shape (rows,), NaN where a row is no distribution over classes."""
    entropy: Floats
    """0 … 1, shape (rows,), NaN likewise."""
    complete: int
    """Rows without a missing entry."""
    fitting: int
    """Those of them that are probabilities."""

    @property
    def are_probabilities(self) -> bool:
        """Whether nearly all complete rows are."""
        return self.complete > 0 and self.fitting >= MOSTLY * self.complete


def families(names: Iterable[str]) -> dict[str, list[str]]:
    """The columns ``stem[0]`` … ``stem[K-1]``, K at least 2 and none left out, by their stem.

    >>> families(["p[1]", "p[0]", "q[0]", "r[1]", "r[2]"])
    {'p': ['p[0]', 'p[1]']}
    """
    found: dict[str, dict[int, str]] = {}
    for name in names:
        if match := _ELEMENT.match(name):
            found.setdefault(match["stem"], {})[int(match["index"])] = name
    return {
        stem: [members[at] for at in range(len(members))]
        for stem, members in found.items()
        if len(members) > 1 and max(members) == len(members) - 1
    }


def measure(columns: Sequence[Floats]) -> Measured:
    """Confidence and entropy of each row of *columns*, K arrays of shape (rows,).

    >>> found = measure([np.array([0.5, 1.0, 3.0, np.nan]), np.array([0.5, 0.0, -2.0, 1.0])])
    >>> found.confidence.tolist(), found.entropy.tolist()
    ([0.5, 1.0, nan, nan], [1.0, 0.0, nan, nan])
    >>> found.complete, found.fitting
    (3, 2)
    """
    shares = np.array(columns, dtype=np.float64)
    complete = ~np.isnan(shares).any(axis=0)
    with np.errstate(invalid="ignore", over="ignore"):
        fitting = complete & (np.abs(shares.sum(axis=0) - 1.0) <= TOLERANCE)
        fitting &= (shares >= -TOLERANCE).all(axis=0) & (shares <= 1.0 + TOLERANCE).all(axis=0)
    confidence, entropy = np.full(complete.size, np.nan), np.full(complete.size, np.nan)
    if fitting.any():
        some = np.clip(shares[:, fitting], 0.0, 1.0)
        some /= some.sum(axis=0)
        confidence[fitting] = some.max(axis=0)
        logarithms = np.log(some, out=np.zeros_like(some), where=some > 0)
        bits = 0.0 - (some * logarithms).sum(axis=0) / np.log(shares.shape[0])
        entropy[fitting] = np.clip(bits, 0.0, 1.0)
    return Measured(confidence, entropy, int(complete.sum()), int(fitting.sum()))


class ClassProbabilities:
    """Adds the derived columns to the predictions of one model version.

    What columns are is decided once: they are probabilities when *known* to be (their confidence is in the
    baseline), or when the first batch with complete rows is; a tensor of logits is never taken for them later
    because some rows happen to fit. *wanted* says of a derived column whether it is to be followed.

    >>> classes = ClassProbabilities()
    >>> sorted(classes.extended({"p[0]": np.array([0.5]), "p[1]": np.array([0.5])}))
    ['p.confidence', 'p.entropy', 'p[0]', 'p[1]']
    """

    __slots__ = ("_decided", "_layouts", "_wanted")

    def __init__(self, known: Iterable[str] = (), wanted: Callable[[str], bool] = lambda name: True) -> None:
        self._decided = {name.removesuffix(CONFIDENCE): True for name in known if name.endswith(CONFIDENCE)}
        self._wanted = wanted
        self._layouts: dict[tuple[str, ...], dict[str, list[str]]] = {}

    def extended(self, columns: Mapping[str, Values]) -> Mapping[str, Values]:
        """*columns* and what is derived of them; a column of that name that is there already stays."""
        names = tuple(columns)
        found = self._layouts.get(names)
        if found is None:
            if len(self._layouts) >= _KNOWN_LAYOUTS:
                self._layouts.clear()
            found = self._layouts[names] = families(names)
        derived: dict[str, Values] = {}
        for stem, members in found.items():
            if self._decided.get(stem) is False:
                continue
            arrays = _numbers(columns, members)
            if arrays is None:
                continue
            measured = measure(arrays)
            if stem not in self._decided:
                if not measured.complete:
                    continue
                self._decided[stem] = measured.are_probabilities
                if not self._decided[stem]:
                    continue
            for suffix, values in ((CONFIDENCE, measured.confidence), (ENTROPY, measured.entropy)):
                if stem + suffix not in columns and self._wanted(stem + suffix):
                    derived[stem + suffix] = values
        return {**columns, **derived} if derived else columns


def _numbers(columns: Mapping[str, Values], members: Sequence[str]) -> list[Floats] | None:
    """The *members* as numbers; None where one is something else: an embedding, texts."""
    arrays = []
    for name in members:
        values = columns[name]
        if not isinstance(values, np.ndarray):
            try:
                values = np.array(values, dtype=np.float64)  # None becomes NaN
            except (TypeError, ValueError):
                return None
        if values.ndim != 1 or values.dtype.kind not in "fiu":
            return None
        arrays.append(values)
    return arrays
