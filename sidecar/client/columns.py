"""Columns: what a caller has, as the tensors of KServe v2 in JSON.

Promises: what is taken can not be changed any more by the caller; numbers stay numbers and text stays text;
NumPy and pandas are understood without being imported (``tolist``, ``items``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from math import isfinite
from typing import Any

Taken = list[tuple[str, Any]]
"""Name and nested lists, or a scalar, of each column; nobody else holds the lists."""

_NUMBER_BYTES = 32
"""What a number of a list is held to take."""
_INT64 = 1 << 63
_NUMBERS = frozenset({float, int, bool, type(None)})
_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def take(columns: Mapping[str, Any]) -> tuple[Taken, int]:
    """A copy of *columns* (a mapping, or a DataFrame), and about how many bytes it takes.

    >>> take({"a": [1, 2], "b": "x"})
    ([('a', [1, 2]), ('b', 'x')], 97)
    """
    taken: Taken = []
    size = 0
    for name, values in columns.items():
        copy, bytes_held = _copy(values)
        taken.append((name if type(name) is str else str(name), copy))
        size += bytes_held
    return taken, size


def _copy(values: Any) -> tuple[Any, int]:
    """*values* as lists of our own, or the scalar, and about how many bytes they take."""
    kind = type(values)
    if kind in _NUMBERS:
        return values, _NUMBER_BYTES
    if kind is str or kind is bytes:
        return values, _NUMBER_BYTES + len(values)
    if kind is list or kind is tuple:
        first = type(values[0]) if values else float
        if first in _NUMBERS:  # the usual case: nothing is done for each value
            return list(values), _NUMBER_BYTES * len(values)
        copies = [_copy(value) for value in values]
        return [copy for copy, _ in copies], _NUMBER_BYTES + sum(size for _, size in copies)
    if hasattr(values, "tolist"):
        return _copy(values.tolist())
    if isinstance(values, (list, tuple, range)):
        return _copy(list(values))
    return values, _NUMBER_BYTES


def request_body(columns: Taken) -> bytes:
    """The body of an inference request.

    >>> request_body([("a", [1.5, None])]).decode()
    '{"inputs":[{"name":"a","shape":[2],"datatype":"FP64","data":[1.5,null]}]}'
    """
    return _bytes(f'{{"inputs":{_tensors(columns)}}}')


def response_body(columns: Taken, model: str, version: str) -> bytes:
    """The body of its answer."""
    named = f',"model_version":{_json(version)}' if version else ""
    return _bytes(f'{{"model_name":{_json(model)}{named},"outputs":{_tensors(columns)}}}')


def rows(columns: Taken) -> int:
    """How many rows *columns* have; raises ValueError when they differ."""
    lengths = {len(values) if isinstance(values, list) else 1 for _, values in columns}
    if len(lengths) > 1:
        raise ValueError("columns of one length")
    return lengths.pop() if lengths else 0


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _tensors(columns: Taken) -> str:
    return f"[{','.join([_text(name, values) for name, values in columns])}]"


_name = lru_cache(maxsize=4096)(_json)


def _text(name: str, values: Any) -> str:
    """A tensor as JSON; a single number is written here, four times as fast."""
    if type(values) is float and isfinite(values):
        return f'{{"name":{_name(name)},"shape":[1],"datatype":"FP64","data":[{values!r}]}}'
    if type(values) is int and -_INT64 <= values < _INT64:
        return f'{{"name":{_name(name)},"shape":[1],"datatype":"INT64","data":[{values}]}}'
    return _json(_tensor(name, values))


def _tensor(name: str, values: Any) -> dict[str, Any]:
    shape, flat = _flat(values if isinstance(values, list) else [values])
    datatype, data = _typed(flat)
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


def _flat(values: list[Any]) -> tuple[list[int], list[Any]]:
    """Shape and scalars of nested lists; raises ValueError when they are ragged."""
    shape = [len(values)]
    while values and isinstance(values[0], list):
        lengths = {len(value) if isinstance(value, list) else -1 for value in values}
        if len(lengths) > 1:
            raise ValueError("lists of one length")
        shape.append(lengths.pop())
        values = list(chain.from_iterable(values))
    return shape, values


def _typed(values: Sequence[Any]) -> tuple[str, Iterable[Any]]:
    """Datatype and JSON values. What is mixed stays as it is, under BYTES; None is missing."""
    kinds = set(map(type, values))
    kinds.discard(type(None))
    if kinds <= _NUMBERS:
        if float in kinds or not kinds:
            return "FP64", values
        if kinds == {bool}:
            return "BOOL", values
        if all(value is None or -_INT64 <= value < _INT64 for value in values):
            return "INT64", values
        return "FP64", values
    if kinds <= {str}:
        return "BYTES", values
    return _typed_again([_plain(value) for value in values])


def _typed_again(values: Sequence[Any]) -> tuple[str, Iterable[Any]]:
    if set(map(type, values)) <= {int, float, bool, type(None)}:
        return _typed(values)
    return "BYTES", values


def _plain(value: Any) -> Any:
    """A scalar that JSON has."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "backslashreplace")
    if hasattr(value, "item"):  # NumPy's scalars
        value = value.item()
        if value is None or type(value) in (bool, int, float, str):
            return value
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if hasattr(value, "__float__"):  # Decimal, Fraction
        return float(value)
    return str(value)  # dates
