"""Columns: what a tensor's elements are called, and many exchanges' elements as one array per column.

Names, for a tensor ``x`` of shape [n, …] with k elements a row:

* k = 1: one column ``x``; k up to `WIDEST`: ``x[0]`` to ``x[k-1]``, row-major; k above: one embedding ``x``.
* A `ColumnSpec` renames. With `index` it means that element (also of an embedding, of which then only the
  elements so declared are followed); without, the whole tensor; ``monitored: false`` drops what it means.
  A specification called ``x[3]`` without `tensor` means element 3 of ``x``, as the wire would call it.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from exporter.rows import FreeText, Values
from exporter.schema import ColumnSpec
from sidecar.decode.tensor import Tensor, array_from_raw

WIDEST = 64
"""Elements a row that become columns of their own; above they are one embedding."""

_ELEMENT = re.compile(r"(?P<tensor>.+)\[(?P<index>0|[1-9][0-9]{0,8})\]\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a tensor: its element's position in a row, its name, whether somebody declared it."""

    index: int
    name: str
    declared: bool


@dataclass(frozen=True, slots=True)
class Field:
    """What becomes of one tensor. Equal fields of equal names may be put behind one another."""

    datatype: str
    raw: bool
    """The data are bytes, not a list."""
    width: int
    """Elements a row."""
    embedding: bool
    """Its only column holds the whole row."""
    columns: tuple[Column, ...]


class Naming:
    """The declared columns of one model and role, by tensor.

    >>> naming = Naming([ColumnSpec(name="age", tensor="x", index=1)])
    >>> [column.name for column in naming.field(Tensor("x", (5, 2), "FP32", b"")).columns]
    ['x[0]', 'age']
    """

    def __init__(self, specs: Iterable[ColumnSpec]) -> None:
        self._whole: dict[str, ColumnSpec] = {}
        self._elements: dict[str, dict[int, ColumnSpec]] = {}
        for spec in specs:
            tensor = spec.name if spec.tensor is None else spec.tensor
            if spec.index is not None:
                self._elements.setdefault(tensor, {})[spec.index] = spec
                continue
            self._whole[tensor] = spec
            element = _ELEMENT.match(tensor)
            if element is not None:
                self._elements.setdefault(element["tensor"], {})[int(element["index"])] = spec

    def field(self, tensor: Tensor) -> Field:
        """What becomes of *tensor*."""
        width = prod(tensor.shape[1:])
        whole = self._whole.get(tensor.name)
        elements = self._elements.get(tensor.name, {})
        embedding = (width > WIDEST and not elements) or (whole is not None and whole.kind == "embedding")
        base = tensor.name if whole is None else whole.name
        columns = []
        if embedding or width == 1:
            spec = whole if whole is not None or embedding else elements.get(0)
            columns = [(0, base if spec is None else spec.name, spec)]
        elif width > WIDEST:
            columns = [(index, spec.name, spec) for index, spec in sorted(elements.items()) if index < width]
        else:
            for index in range(width):
                spec = elements.get(index)
                columns.append((index, f"{base}[{index}]" if spec is None else spec.name, spec or whole))
        return Field(
            tensor.datatype,
            type(tensor.data) is bytes,
            width,
            embedding,
            tuple(
                Column(index, name, spec is not None)
                for index, name, spec in columns
                if spec is None or spec.monitored
            ),
        )


def values_of(field: Field, parts: list[Any], rows: int) -> Iterator[tuple[str, Values]]:
    """The columns of *rows* rows: *parts* are raw bytes one after the other, or the values of a list.

    Arrays are writable and contiguous. A list column becomes an array when all of it are numbers, None
    counting as NaN; else it is a list of what the wire held. Text is never parsed into numbers.
    """
    if field.raw:
        numbers: np.ndarray[Any, np.dtype[Any]] | None = array_from_raw(
            field.datatype, bytearray().join(parts)
        )
    else:
        numbers = as_array(parts, field.datatype)
    width = field.width
    if field.embedding:
        [column] = field.columns
        if numbers is not None:
            yield column.name, numbers.reshape(rows, width)
        else:
            yield column.name, [parts[start : start + width] for start in range(0, rows * width, width)]
    elif numbers is None:
        for column in field.columns:
            entries = parts[column.index :: width] if width > 1 else parts
            if field.datatype == "TEXT":
                entries = FreeText(entries)
            own = as_array(entries, field.datatype) if width > 1 else None
            yield column.name, entries if own is None else own
    elif width == 1:
        [column] = field.columns
        yield column.name, numbers
    else:
        indexes = [column.index for column in field.columns]
        by_row = numbers.reshape(rows, width)
        by_column = np.ascontiguousarray((by_row if len(indexes) == width else by_row[:, indexes]).T)
        for column, entries in zip(field.columns, by_column, strict=True):
            yield column.name, entries


_NONE = type(None)
_DTYPES: dict[str, type[np.generic]] = {"d": np.float64, "q": np.int64, "Q": np.uint64}


def as_array(values: Sequence[Any], datatype: str) -> np.ndarray[Any, np.dtype[Any]] | None:
    """A list of JSON numbers as one array, or None when it holds anything else.

    `array.array` and not NumPy converts, since ``np.array([1.5, "2.5"], float)`` would parse the text.
    Where a datatype is declared, true and false among numbers count as 1 and 0; in plain JSON they make
    the column a list.

    >>> as_array([1, None, 2.5], ""), as_array([1.5, "2.5"], "FP32"), as_array([1, 2], "INT64").dtype.name
    (array([1. , nan, 2.5]), None, 'int64')
    """
    if datatype in ("BYTES", "TEXT"):
        return None
    if datatype in ("", "BOOL"):
        kinds = set(map(type, values))
        if kinds == {bool}:
            return np.array(values, dtype=bool)
        if not kinds <= {int, float, _NONE} or kinds <= {_NONE}:
            return None
        typecode = "d" if float in kinds else "q"
    else:
        typecode = "d" if "F" in datatype else "Q" if datatype == "UINT64" else "q"
    try:
        return np.frombuffer(array(typecode, values), _DTYPES[typecode])
    except (TypeError, OverflowError):
        pass  # a float or None among integers; None among floats; text; beyond 64 bits
    try:
        if None in values:
            nan = float("nan")
            values = [nan if value is None else value for value in values]
        return np.frombuffer(array("d", values), np.float64)
    except (TypeError, OverflowError):
        return None
