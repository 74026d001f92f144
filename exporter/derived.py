"""Derived columns: what texts and embeddings become beside their length and their norm.

| column | of it | kind |
|---|---|---|
| text `t` | `t.tokens` | numeric |
| | `t.ascii`, `t.digits`, `t.punctuation`: shares of the characters | numeric |
| | `t.script`, `t.language` | categorical |
| embedding `e` with a frame | `e.cosine` to the baseline's centroid | numeric |
| | `e.projection_0` … `e.projection_3`, in units of the baseline's bandwidth | numeric |

The one declaration that building a baseline, recording and replaying go by; class probabilities, of which
`exporter.profile.probabilities` makes columns, are the third of its kind. Six and five columns, so that a
page budget is not spread thin: of 17 faults put into paragraphs of docstrings (HTML, JSON, mojibake, masks,
lost digits or blanks, …), in windows of 200, the shares of letters and of white space found none that these
six do not.

Promises: as many entries as were given, whatever they are; what is missing or does not fit is missing (NaN,
None) in each. Numbers of vectors are rounded to 24 bits: products of matrices differ in their last digits by
how many rows go into one, and bins must not. In batches of 1,000: 8 µs a text of 100 characters, 0.1 µs one
that was in the batch before; 1 µs a vector of 768 numbers in an array, 13 µs in lists. Alone, either takes 40
µs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from exporter.embedding import Frame, features, vectors_of
from exporter.embedding.frame import SHOWN, Floats, Positions
from exporter.profile import category_text
from exporter.profile.numeric import to_single
from exporter.profile.probabilities import CONFIDENCE, ENTROPY, stem_of
from exporter.rows import Values
from exporter.schema import Kind
from exporter.text import text_features

_TEXT: Final[Mapping[str, Kind]] = {
    "tokens": "numeric",
    "ascii": "numeric",
    "digits": "numeric",
    "punctuation": "numeric",
    "script": "categorical",
    "language": "categorical",
}
_EMBEDDING: Final[Mapping[str, Kind]] = {
    "cosine": "numeric",
    **{f"projection_{at}": "numeric" for at in range(SHOWN)},
}
ENDINGS: Final[Mapping[Kind, Mapping[str, Kind]]] = {"text": _TEXT, "embedding": _EMBEDDING}
"""Kind of a column → ending → kind of the derived column."""


class OfVectors(NamedTuple):
    """What a batch of an embedding gave."""

    columns: dict[str, Values]
    """Derived column → its entries, shape (n,)."""
    vectors: Floats
    """Those that are vectors of the frame's dimension, shape (m, d)."""


def derived_names(name: str, kind: Kind) -> tuple[str, ...]:
    """What the column *name* of that *kind* may have derived of it.

    >>> derived_names("e", "embedding")
    ('e.cosine', 'e.projection_0', 'e.projection_1', 'e.projection_2', 'e.projection_3')
    """
    return tuple(f"{name}.{ending}" for ending in ENDINGS.get(kind, ()))


def origin_of(name: str) -> str:
    """The column that *name*, were it derived of a text or an embedding, would be of; else itself.

    >>> origin_of("e.projection_0"), origin_of("e.length")
    ('e', 'e.length')
    """
    origin, dot, ending = name.rpartition(".")
    return origin if dot and (ending in _TEXT or ending in _EMBEDDING) else name


def is_derived(name: str, known: Collection[str]) -> bool:
    """Whether *name* is derived of some of *known*.

    >>> [is_derived(name, {"t", "p[0]"}) for name in ("t.tokens", "p.entropy", "x.tokens", "t")]
    [True, True, False, False]
    """
    origin = origin_of(name)
    if origin != name:
        return origin in known
    stem = stem_of(name)
    return name in (stem + CONFIDENCE, stem + ENTROPY) and f"{stem}[0]" in known


def of_texts(name: str, values: Values) -> dict[str, Values]:
    """The columns derived of the text column *name*, whose entries are *values*.

    >>> found = of_texts("t", ["It is the 1st of May and not a day to work.", None, 7, ["no text"]])
    >>> found["t.tokens"].tolist(), found["t.language"]
    ([12.0, nan, 1.0, nan], ['en', None, 'und', None])
    """
    texts = _texts(values)
    place = {text: at for at, text in enumerate(dict.fromkeys(text for text in texts if text is not None))}
    read = text_features(list(place))
    at = np.array([-1 if text is None else place[text] for text in texts], dtype=np.intp)
    columns: dict[str, Values] = {}
    for ending, kind in _TEXT.items():
        found = getattr(read, ending)
        if kind == "numeric":
            columns[f"{name}.{ending}"] = np.append(found, np.nan)[at]
        else:
            labels = [*found, None]
            columns[f"{name}.{ending}"] = [labels[position] for position in at.tolist()]
    return columns


def _texts(values: Values) -> list[str | None]:
    """The text of each entry, as `exporter.profile.textual` reads it, but whole; None where there is none."""
    if isinstance(values, np.ndarray):
        if values.ndim != 1:
            return [None] * len(values)
        values = values.tolist()
    return [value if type(value) is str else None if value is None else _text(value) for value in values]


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    try:
        return category_text(value)
    except TypeError:
        return None


def of_vectors(name: str, frame: Frame, values: Sequence[object] | Values) -> OfVectors:
    """The columns derived of the embedding *name*, whose entries are *values*: lists, or rows of an array.

    >>> frame = Frame(np.array([1.0, 0.0]), 2.0)
    >>> of_vectors("e", frame, [[3.0, 4.0], None, [1.0, 2.0, 3.0]]).columns["e.cosine"].tolist()
    [0.6000000238418579, nan, nan]
    """
    found = vectors_of(values, frame.dimension)
    return OfVectors(placed(name, frame, found.values, found.rows, len(values)), found.values)


def placed(name: str, frame: Frame, vectors: Floats, rows: Positions, count: int) -> dict[str, Values]:
    """The same of finite *vectors*, shape (m, d), that stand in *rows*, shape (m,), of *count*."""
    columns: dict[str, Values] = {}
    with np.errstate(over="ignore", invalid="ignore"):  # squares of 1e200 are inf, and inf - inf is missing
        read = features(frame, vectors)
        for ending in _EMBEDDING:
            entries = np.full(count, np.nan)
            entries[rows] = to_single(read[ending])
            columns[f"{name}.{ending}"] = entries
    return columns
