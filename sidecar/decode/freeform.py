"""Freeform: JSON that follows no protocol, read by its form where that leaves no doubt.

What is a row, in this order (the first that holds):

1. The document is a list of objects or of lists: these are the rows.
2. Exactly one member of the document, or if none has one, of the objects in it, is such a list
   (``{"rows": [{"age": 31}, …]}``, ``{"data": {"instances": [[1, 2]]}}``): its elements are the rows,
   other members are not read.
3. An object of lists of scalars, two or more, all of one length: a column each.
4. An object of scalars and lists of scalars is one row, a member a column; so is a list of scalars, and
   an object that is all that the document holds.

Anything else, as two lists of rows or objects beside scalars, is ``bad_json``: then the configuration
must say where the columns are (`models[].columns[].path`).

In an answer the number of rows asked for is known: lists of so many scalars are a value for each row.

Columns are named as their keys; rows that are lists as the key of their list; what has no key as the
caller says. Rows of objects: a key that a row lacks is missing there.
"""

from __future__ import annotations

from typing import Any

from sidecar.decode.kserve_v1 import columns, tensor
from sidecar.decode.outcome import DecodeError
from sidecar.decode.tensor import Tensor

_NESTED = (dict, list)


def tensors(field: str, document: Any, asked: int | None = None) -> list[Tensor]:
    """What *document* holds; *field* names what has no key; *asked*, of an answer, is the request's rows.

    Raises DecodeError.

    >>> [(made.name, made.shape, made.data) for made in tensors("", {"rows": [{"a": 1}, {"a": 2}], "id": 7})]
    [('a', (2,), [1, 2])]
    >>> [(made.name, made.shape) for made in tensors("x", {"late": [0.5, 0.1]}, 2)]
    [('late', (2,))]
    """
    if type(document) is list:
        return [_vector(field, document, asked)] if _flat(document) else table(field, document)
    if type(document) is not dict:
        if document is None:
            raise DecodeError("bad_json", "expected rows, got null")
        return [Tensor(field, (1,), "", [document])]
    inner = [value for value in document.values() if type(value) is dict]
    for level in ([document], inner):
        tables = [
            (name, value)
            for members in level
            for name, value in members.items()
            if type(value) is list and not _flat(value)
        ]
        if len(tables) == 1:
            return table(*tables[0])
        if tables:
            raise DecodeError("bad_json", f"{len(tables)} lists could be the rows")
    if inner:
        if len(document) > 1:
            raise DecodeError("bad_json", "objects stand beside other members")
        [document] = inner
    return _members(document, asked)


def table(field: str, rows: list[Any]) -> list[Tensor]:
    """*rows* that are objects, lists or scalars, as tensors; raises DecodeError.

    >>> [(made.name, made.data) for made in table("x", [{"a": 1}, {"a": 2}])]
    [('a', [1, 2])]
    """
    if rows and type(rows[0]) is dict:
        return [tensor(name, values) for name, values in columns(rows).items()]
    return [tensor(field, rows)]


def _flat(values: list[Any]) -> bool:
    """Whether a list is of scalars, or empty."""
    return not values or type(values[0]) not in _NESTED


def _members(row: dict[str, Any], asked: int | None) -> list[Tensor]:
    """An object of scalars and lists of scalars."""
    if not row or any(type(value) is dict for value in row.values()):
        raise DecodeError("bad_json", "expected scalars and lists of them")
    lengths = {len(value) if type(value) is list else -1 for value in row.values()}
    if len(row) > 1 and len(lengths) == 1 and -1 not in lengths and asked in (None, *lengths):
        return [Tensor(name, (len(values),), "", values) for name, values in row.items()]
    return [
        _vector(name, value, asked) if type(value) is list else Tensor(name, (1,), "", [value])
        for name, value in row.items()
    ]


def _vector(name: str, values: list[Any], asked: int | None) -> Tensor:
    """Scalars: a value for each row that was *asked* for, else one row."""
    if len(values) in (1, asked) or (asked or 1) > 1:
        return Tensor(name, (len(values),), "", values)
    return Tensor(name, (1, len(values)), "", values)
