"""Kinds: what sort of column the first values look like, when nobody has declared it."""

from __future__ import annotations

from math import isnan
from typing import Final

import numpy as np

from exporter.rows import FreeText, Values
from exporter.schema import Kind

#: Mean length in characters above which strings are free text and not names of categories.
TEXT_LENGTH: Final = 64


def infer_kind(values: Values) -> Kind | None:
    """The kind that *values*, the first batch of a column, look like; None while all are missing.

    None asks the caller to wait for the next batch: a column that begins with null is not thereby numeric.

    | seen, apart from None | kind |
    |---|---|
    | array (n, width), lists | embedding |
    | bool alone | boolean |
    | numbers, with or without bool | numeric (0 and 1 alone do not make a boolean: counts begin so, too) |
    | strings, bytes, with or without others | categorical, or text above 64 characters on average |
    | `FreeText` | text |

    >>> infer_kind(np.array([1.5])), infer_kind([None, True]), infer_kind(["UA"]), infer_kind([None])
    ('numeric', 'boolean', 'categorical', None)
    """
    if isinstance(values, np.ndarray):
        if values.ndim == 2:
            return "embedding"
        if values.dtype.kind == "b":
            return "boolean" if values.size else None
        if values.dtype.kind in "iuf":
            return "numeric" if values.size and not np.isnan(values).all() else None
        values = values.tolist()
    present = [value for value in values if not _missing(value)]
    if not present:
        return None
    texts = [value for value in present if isinstance(value, (str, bytes))]
    if texts and isinstance(values, FreeText):
        return "text"
    if texts:
        return "text" if sum(map(len, texts)) > TEXT_LENGTH * len(texts) else "categorical"
    if all(isinstance(value, (list, tuple, np.ndarray)) for value in present):
        return "embedding"
    if all(isinstance(value, (bool, np.bool_)) for value in present):
        return "boolean"
    if all(isinstance(value, (bool, int, float, np.number)) for value in present):
        return "numeric"
    return "categorical"


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, (float, np.floating)) and isnan(value))
