"""Values: an Arrow column as what a recorder would have been given for the same entries.

The builder of baselines reads the same files with `exporter.baseline.entries`, and so does this; what differs
is the form: the builder counts at once, the monitor wants values.

| kind | array of one column, shape (n,) | missing | no such value |
|---|---|---|---|
| numeric | float64; object where some entry is no number | NaN, None | `NO_VALUE` |
| categorical | object: texts | None | `NO_VALUE` |
| boolean | float64: 0 and 1 | NaN | 2 |
| text | object: texts or bytes | None | |
| embedding | object: lists, or float64 of shape (n, width) | None | |

Promises: a value is counted as the builder counted its like: same category, same bin, missing or mismatched.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

from exporter.baseline import entries
from exporter.rows import Values
from exporter.schema import Kind

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

#: Stands for an entry that does not fit its column's kind: neither a number nor a text, so it fits none.
NO_VALUE: Final = 0j
#: The same among booleans, of which the monitor takes anything but 0 and 1 for a mismatch.
NEITHER: Final = 2.0
_TEXTS: Final = (
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary),
)


def read_values(array: pa.Array, kind: Kind, canonical: bool) -> Array:
    """*array* as a column of *kind*; see the table above.

    *canonical* says that texts are numbers which a CSV writer wrote out, as `entries.categories` has it.

    >>> read_values(pa.array(["1", "x", None]), "numeric", False)
    array([1.0, 0j, None], dtype=object)
    >>> read_values(pa.array(["UA", None]), "categorical", False)
    array(['UA', None], dtype=object)
    """
    if kind == "numeric":
        read = entries.numbers(array, kind)
        return _with_mismatches(read.values, read.mismatched)
    if kind in ("categorical", "boolean"):
        found = entries.categories(array, kind, canonical)
        names: Array = np.empty(len(found.names) + 1, dtype=object)
        names[:-1] = found.names
        if kind == "boolean":
            names = np.array([{"true": 1.0, "false": 0.0}[name] for name in found.names] + [np.nan])
        values: Array = names[found.codes]
        values[found.mismatched] = NEITHER if kind == "boolean" else NO_VALUE
        return values
    if kind == "embedding":
        return _rows(array)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if not any(is_text(array.type) for is_text in _TEXTS):
        array = array.cast(pa.string())
    return _objects(array.to_pylist())


def _with_mismatches(values: Array, mismatched: Array) -> Array:
    if not mismatched.any():
        return values
    missing = np.isnan(values) & ~mismatched
    mixed = values.astype(object)
    mixed[mismatched] = NO_VALUE
    mixed[missing] = None
    return mixed


def _rows(array: pa.Array) -> Array:
    """Embeddings as a matrix where all have one width, else as lists."""
    if pa.types.is_fixed_size_list(array.type) and not array.null_count:
        flat = array.flatten()
        if not flat.null_count:
            values: Array = np.asarray(flat.cast(pa.float64(), safe=False), dtype=np.float64)
            return values.reshape(len(array), -1)
    return _objects(array.to_pylist())


def _objects(entries_: list[Any]) -> Array:
    made: Array = np.empty(len(entries_), dtype=object)
    for at, entry in enumerate(entries_):  # a slice assignment would take lists of one width for a matrix
        made[at] = entry
    return made


def as_values(array: Array) -> Values:
    """*array* as the monitor takes it: numbers as they are, all else as a list."""
    return array if array.dtype.kind in "biuf" else array.tolist()


def numbers_written_out(array: pa.Array) -> bool | None:
    """Whether the texts of *array*, of CSV, are numbers; None while all are missing."""
    found = entries.infer(array, from_csv=True)
    return None if found is None else found == "numeric"


def joined(parts: list[Array]) -> Array:
    """*parts* of one column, one after the other."""
    if len(parts) == 1:
        return parts[0]
    if len({part.dtype for part in parts}) > 1 or len({part.ndim for part in parts}) > 1:
        parts = [part if part.dtype == object else _objects_of(part) for part in parts]
    return np.concatenate(parts)


def _objects_of(part: Array) -> Array:
    """Numbers as objects: NaN, missing, becomes None among them."""
    if part.ndim > 1:
        return _objects(part.tolist())
    made = part.astype(object)
    made[np.isnan(part)] = None
    return made
