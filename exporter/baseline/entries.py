"""Entries: an Arrow column as numbers or as categories, with the meanings a live profile gives them.

`exporter.profile` reads what the wire held, this module what a file held; both take their table of meanings
from `exporter.profile.textual` and `exporter.profile.numeric`, so that a baseline and live traffic count
alike. One thing differs: CSV has only texts, so here texts are parsed, which the wire's are not.

Promises: never raises for a value; what does not fit the kind is a mismatch, counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exporter.profile.numeric import to_single
from exporter.profile.textual import TEXT_CHARACTERS, category_text
from exporter.schema import Kind

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Booleans: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"
Indices: TypeAlias = "np.ndarray[Any, np.dtype[np.intp]]"

#: Of the texts of a CSV column this share must read as numbers for it to be numeric; the rest are mismatches.
NUMBER_SHARE: Final = 0.95
_LEADING_ZERO: Final = r"^\s*[+-]?0\d"
_TRUTH: Final = {"true": "true", "false": "false", "1": "true", "0": "false", "1.0": "true", "0.0": "false"}


@dataclass(frozen=True, slots=True)
class Numbers:
    """A batch of a numeric, text or embedding column."""

    values: Floats
    """Shape (rows,): the number, the length in characters or the norm; NaN where missing or mismatched."""
    mismatched: Booleans
    """Shape (rows,)."""


@dataclass(frozen=True, slots=True)
class Categories:
    """A batch of a categorical or boolean column."""

    names: list[str]
    """Different ones."""
    codes: Indices
    """Position in `names`, shape (rows,); -1 where missing or mismatched."""
    mismatched: Booleans


def infer(array: pa.Array, from_csv: bool) -> Kind | str | None:
    """The kind of a column from *array*, its first entries that are not all missing.

    None while everything is missing; a sentence that is no kind says why the column can not be monitored.

    | found | kind |
    |---|---|
    | whole or decimal numbers, however few different ones | numeric (heavy values have bins of their own) |
    | booleans; CSV: true and false in any case | boolean |
    | CSV texts, 95 % of them numbers and none with a leading zero (a postal code) | numeric |
    | texts | categorical; the builder makes it text when there are too many different ones |
    | lists of numbers | embedding |
    | times, texts that are all ISO 8601 times, structures | not monitored |
    """
    kind = array.type
    if pa.types.is_dictionary(kind):
        array, kind = array.dictionary_decode(), kind.value_type
    if array.null_count == len(array):
        return None
    if pa.types.is_boolean(kind):
        return "boolean"
    if _is_number(kind):
        return "numeric"
    if _is_text(kind):
        return _infer_texts(array.drop_null(), from_csv)
    if _is_list(kind):
        return "embedding" if _is_number(kind.value_type) else f"it holds lists of {kind.value_type}"
    if pa.types.is_temporal(kind):
        return "it holds times"
    return f"it holds values of type {kind}"


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


def _infer_texts(texts: pa.Array, from_csv: bool) -> Kind | str:
    if pa.types.is_binary(texts.type) or pa.types.is_large_binary(texts.type):
        return "categorical"
    if from_csv:
        words = set(pc.unique(pc.utf8_lower(pc.utf8_trim_whitespace(texts[:10_000]))).to_pylist())
        if words <= {"true", "false"}:
            return "boolean"
        numbers = int(np.count_nonzero(~parse_numbers(texts)[1]))
        zeros = pc.any(pc.match_substring_regex(texts, _LEADING_ZERO)).as_py()
        if numbers >= NUMBER_SHARE * len(texts) and not zeros:
            return "numeric"
    # A time has a dash in its fifth place; asking for that first keeps a cast, and its error, off every other
    # text.
    if pc.all(pc.match_substring_regex(texts, r"^\s*\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?$")).as_py():
        return "it holds times"
    return "categorical"


def numbers(array: pa.Array, kind: Kind) -> Numbers:
    """*array* as a column of *kind* numeric, text or embedding.

    >>> numbers(pa.array(["1.5", None, "n/a", "inf"]), "numeric")
    Numbers(values=array([1.5, nan, nan, inf]), mismatched=array([False, False,  True, False]))
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    missing = np.asarray(pc.is_null(array))
    if kind == "embedding":
        return _norms(array)
    if kind == "text":
        array = _as_texts(array)
        lengths = pc.utf8_length(array) if not _is_bytes(array.type) else pc.binary_length(array)
        return Numbers(_to_float64(lengths), np.zeros(len(array), dtype=bool))
    if _is_number(array.type):
        return Numbers(_to_float64(array), np.zeros(len(array), dtype=bool))
    if pa.types.is_boolean(array.type):
        return Numbers(_to_float64(array.cast(pa.int8())), np.zeros(len(array), dtype=bool))
    if _is_text(array.type) and not _is_bytes(array.type):
        values, failed = parse_numbers(array)
        return Numbers(values, failed & ~missing)
    return Numbers(np.full(len(array), np.nan), ~missing)


def categories(array: pa.Array, kind: Kind, canonical: bool) -> Categories:
    """*array* as a column of *kind* categorical or boolean.

    *canonical* says that the texts are numbers written out, by a CSV writer to whom 3 may be "3.0": they then
    become the texts that live numbers become.

    >>> categories(pa.array(["UA", None, "AA", "UA"]), "categorical", False).codes
    array([ 0, -1,  1,  0])
    """
    missing = np.asarray(pc.is_null(array))
    if not pa.types.is_dictionary(array.type):
        try:
            array = array.dictionary_encode()
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # structures have no dictionary
            return Categories([], np.full(len(array), -1), ~missing)
    codes = np.asarray(pc.fill_null(array.indices.cast(pa.int64()), -1), dtype=np.intp)
    raw = array.dictionary
    values: list[Any] = list(raw.to_numpy(zero_copy_only=False)) if _is_number(raw.type) else raw.to_pylist()
    if canonical and _is_text(raw.type) and not _is_bytes(raw.type):
        parsed, failed = parse_numbers(raw)
        values = [
            text if bad else number for text, bad, number in zip(values, failed, parsed.tolist(), strict=True)
        ]
    position: dict[str, int] = {}
    lookup = np.full(len(values) + 1, -1, dtype=np.intp)  # the last one is what code -1 finds
    for at, value in enumerate(values):
        name = _name(value, kind)
        if name is not None:
            lookup[at] = position.setdefault(name, len(position))
    found = lookup[codes]
    null = np.zeros(len(values) + 1, dtype=bool)
    null[:-1] = [value is None or value != value for value in values]
    null[-1] = True
    return Categories(list(position), found, (found < 0) & ~null[codes])


def texts(array: pa.Array) -> list[object]:
    """Each entry of a text column: a text, bytes or None.

    >>> texts(pa.array([1.5, None]))
    ['1.5', None]
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    found: list[object] = _as_texts(array).to_pylist()
    return found


def _as_texts(array: pa.Array) -> pa.Array:
    return array if _is_text(array.type) else array.cast(pa.string())


def different_texts(array: pa.Array) -> list[str]:
    """Each text in *array* once."""
    texts = pc.unique(array).drop_null().to_pylist()
    return [text if isinstance(text, str) else category_text(text) or "" for text in texts]


def _name(value: object, kind: Kind) -> str | None:
    # What `category_text` makes of most values; asking it takes 8 µs, and a column may have a million names.
    if isinstance(value, str) and len(value) <= TEXT_CHARACTERS and value.isascii() and kind != "boolean":
        return value
    try:
        name = category_text(value)
    except TypeError:
        return None
    if name is None or kind != "boolean":
        return name
    return _TRUTH.get(name.strip().lower())


def parse_numbers(texts: pa.Array) -> tuple[Floats, Booleans]:
    """The numbers that *texts* are (NaN for null and for no number), and which are none; both shape (n,).

    >>> parse_numbers(pa.array(["1e3", " 2 ", "x", None]))
    (array([1000.,    2.,   nan,   nan]), array([False, False,  True, False]))
    """
    try:
        return _to_float64(texts.cast(pa.float64())), np.zeros(len(texts), dtype=bool)
    except pa.ArrowInvalid:
        pass
    # Some text is none. Asking one by one is slow, so ask the different ones, each once.
    encoded = pc.utf8_trim_whitespace(texts).dictionary_encode()
    values = np.full(len(encoded.dictionary) + 1, np.nan)
    failed = np.zeros(len(encoded.dictionary) + 1, dtype=bool)
    for at, text in enumerate(encoded.dictionary.to_pylist()):
        try:
            # Arrow would have taken neither of what float() takes beyond it.
            values[at] = float(text) if text.isascii() and "_" not in text else _refuse(text)
        except ValueError:
            failed[at] = True
    codes = np.asarray(pc.fill_null(encoded.indices.cast(pa.int64()), -1), dtype=np.intp)
    return values[codes], failed[codes]


def _refuse(text: str) -> float:
    raise ValueError(text)


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _to_float64(array: pa.Array) -> Floats:
    return np.array(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def vectors(array: pa.Array, dimension: int) -> tuple[Floats, Indices]:
    """The lists of *dimension* finite numbers, shape (n, dimension), and which entries they are, shape (n,).

    >>> found, at = vectors(pa.array([[3.0, 4.0], None, [1.0], [1.0, None]]), 2)
    >>> found.tolist(), at.tolist()
    ([[3.0, 4.0]], [0])
    """
    if not (_is_list(array.type) and _is_number(array.type.value_type)):
        return np.zeros((0, dimension)), np.zeros(0, dtype=np.intp)
    lengths = _lengths(array)
    at = np.flatnonzero(lengths == dimension)
    flat = _to_float64(array.flatten())
    if at.size * dimension < flat.size:
        starts = (np.cumsum(lengths) - lengths)[at]
        flat = flat[starts[:, np.newaxis] + np.arange(dimension)]
    found = flat.reshape(at.size, dimension)
    finite = np.isfinite(found).all(axis=1)
    return (found, at) if finite.all() else (found[finite], at[finite])


def usual_length(array: pa.Array) -> int:
    """The most frequent length of the lists that are not empty, the shortest of several; 0 of none."""
    lengths = _lengths(array) if _is_list(array.type) else np.zeros(0, dtype=np.int64)
    different, counts = np.unique(lengths[lengths > 0], return_counts=True)
    return int(different[counts.argmax()]) if different.size else 0


def _lengths(array: pa.Array) -> Any:
    """Numbers in each list, int64, shape (rows,); 0 of null."""
    lengths = np.array(pc.fill_null(pc.list_value_length(array), 0), dtype=np.int64)
    lengths[np.asarray(pc.is_null(array))] = 0
    return lengths


def _norms(array: pa.Array) -> Numbers:
    """The L2 norm of each list; NaN for null, for an empty list and for one with a null or NaN in it."""
    null = np.asarray(pc.is_null(array))
    if not _is_list(array.type):
        return Numbers(np.full(len(array), np.nan), ~null)
    lengths = _lengths(array)
    with np.errstate(over="ignore"):  # a norm beyond float64 is inf, as it is live
        squares = _to_float64(array.flatten()) ** 2
        sums = np.bincount(np.repeat(np.arange(len(array)), lengths), weights=squares, minlength=len(array))
    return Numbers(np.where(lengths > 0, to_single(np.sqrt(sums)), np.nan), np.zeros(len(array), dtype=bool))
