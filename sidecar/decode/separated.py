"""CSV: a table of text as tensors, its columns named by its first line or by their position.

CSV has no types, and the wire does not tell whether there is a header. The rules:

* The first line is a header when there is another line, and none of its fields is empty, a number, true
  or false, or twice there. The first field may be empty, as pandas leaves it above an index, and is
  called what pandas calls it on reading: ``Unnamed: 0``. The content type's parameter ``header=present``
  or ``header=absent`` (RFC 4180) decides instead where it is given. MLflow asks for a header, SageMaker
  forbids one. **The doubtful case** is a table without a header whose first row is text alone: it is
  taken for names. Declare its columns by position (``tensor: features, index: 0``) and the table is known
  to have none.
* With a header each column is a tensor of that name; without, all are one tensor [rows, columns].
* A column is numeric when all its fields that are not empty are numbers (``007``, ``1e3``, ``nan`` and
  ``-inf`` are), boolean when all are ``true`` or ``false`` (also ``True``, ``TRUE``), else text; an empty
  field is missing. Column by column and body by body, as pandas does it for MLflow; `NA` and `null` are
  text.
* Fields may be quoted, and then hold commas, line breaks and doubled quotes. Empty lines are skipped.
  Lines of differing length are ``bad_tensor``.

Cost of 1,000 rows of 20 columns: 0.8 ms of numbers, 1.6 ms with text among them, 2.2 ms with quotes.
Numbers alone are read as JSON, twice as fast as `float` of each and as `numpy.loadtxt`; without a quote
in the body lines need not be looked at one by one.
"""

from __future__ import annotations

import csv
import io
from itertools import chain, islice
from typing import Any

import msgspec
import numpy as np

from exporter.schema import Limits
from sidecar.decode.content import JSON_FLOOR
from sidecar.decode.outcome import DecodeError
from sidecar.decode.tensor import Tensor

MOST_COLUMNS = 16_384
"""Columns of a table that is not of numbers alone; each takes 2 µs, of one row or many."""

_NUMBERS = msgspec.json.Decoder(list[float | None])
_NUMERALS = b"0123456789+-.eE, \n"
_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False, "": None}
_INDEX = "Unnamed: 0"
_ROWS_AT_ONCE = 1024
# Of quoted tables: a list per row takes more memory than its text, so not all of them exist at one time.


def header_of(content_type: bytes) -> bool | None:
    """Whether a content type promises a header line; None when it does not say.

    >>> header_of(b"text/csv; charset=utf-8; header=absent"), header_of(b"text/csv")
    (False, None)
    """
    for parameter in content_type.lower().split(b";")[1:]:
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"header":
            return {b"present": True, b"absent": False}.get(value.strip(b' \t"'))
    return None


def tensors(field: str, body: bytes, limits: Limits, header: bool | None = None) -> list[Tensor]:
    """The table *body*; *field* names its tensor when it has no header. Raises DecodeError.

    *header* says whether it has one, None that the rule above decides.

    >>> [(tensor.name, tensor.shape, tensor.data) for tensor in tensors("", b"a,b\\n1,UA\\n,DL\\n", Limits())]
    [('a', (2,), [1.0, None]), ('b', (2,), ['UA', 'DL'])]
    >>> [(tensor.name, tensor.shape, tensor.data) for tensor in tensors("x", b"1,2\\n3,4", Limits())]
    [('x', (2, 2), [1.0, 2.0, 3.0, 4.0])]
    """
    if len(body) > JSON_FLOOR and len(body) > limits.body_bytes:
        raise DecodeError("too_large", f"CSV: expected at most {JSON_FLOOR} bytes, got {len(body)}")
    if b"\r" in body:
        body = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    body = body.removeprefix(b"\xef\xbb\xbf").strip(b"\n")
    if not body:
        raise DecodeError("bad_json", "CSV: expected a line, got none")
    if b'"' in body:
        return _quoted(field, body, header)
    while b"\n\n" in body:
        body = body.replace(b"\n\n", b"\n")
    first, _, rest = body.partition(b"\n")
    width = first.count(b",") + 1
    _check_lines(body, width)
    numeric = not first.translate(None, _NUMERALS)
    names = None if numeric and header is None else _names(_text(first).split(","), bool(rest), header)
    if names is not None:
        body = rest
    if body and not body.translate(None, _NUMERALS):
        flat = _read_numbers(body)
        if flat is not None:
            return (
                _named(names, [flat[j::width] for j in range(width)])
                if names
                else [_whole(field, width, flat)]
            )
    flat_text = _text(body).replace("\n", ",").split(",") if body else []
    return _made(field, names, width, flat_text, b"_" in body)


def _check_lines(body: bytes, width: int) -> None:
    """Raises DecodeError unless every line has *width* fields: each *width*-th separator ends a line."""
    if width == 1:
        if b"," in body:
            raise DecodeError("bad_tensor", "CSV: lines differ in length")
        return
    characters = np.frombuffer(body, np.uint8)
    separators = characters[np.flatnonzero((characters == 44) | (characters == 10))]
    ends = np.flatnonzero(separators == 10)
    expected = np.arange(width - 1, len(separators), width)
    if (len(separators) + 1) % width or len(ends) != len(expected) or (ends != expected).any():
        raise DecodeError("bad_tensor", "CSV: lines differ in length")


def _read_numbers(body: bytes) -> list[Any] | None:
    """All fields of a table of numbers, None when JSON would write one of them otherwise (``.5``)."""
    flat = body.replace(b"\n", b",")
    try:
        return _NUMBERS.decode(b"[" + flat + b"]")
    except ValueError:
        pass  # at the first empty field, if there is one; looking for one before costs as much as reading
    flat = (b"," + flat + b",").replace(b",,", b",null,").replace(b",,", b",null,")
    try:
        return _NUMBERS.decode(b"[" + flat[1:-1] + b"]")
    except ValueError:
        return None


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DecodeError("bad_json", f"CSV: {error}") from None


def _quoted(field: str, body: bytes, header: bool | None) -> list[Tensor]:
    """A table with quotes in it, read row by row."""
    rows = filter(None, csv.reader(io.StringIO(_text(body), newline=""), strict=True))
    flat: list[str] = []
    try:
        first = next(rows, None)
        second = next(rows, None)
        if first is None:
            raise DecodeError("bad_json", "CSV: expected a line, got none")
        width = len(first)
        names = _names(first, second is not None, header)
        seen = [] if second is None else [second]
        every = chain([first, *seen] if names is None else seen, rows)
        while several := list(islice(every, _ROWS_AT_ONCE)):
            if set(map(len, several)) != {width}:
                raise DecodeError("bad_tensor", "CSV: lines differ in length")
            flat += chain.from_iterable(several)
    except csv.Error as error:
        raise DecodeError("bad_json", f"CSV: {error}") from None
    return _made(field, names, width, flat, b"_" in body)


def _names(first: list[str], more: bool, header: bool | None) -> list[str] | None:
    """The names in the *first* line, or None when it is a row; *more* lines follow."""
    names = [name.strip() for name in first]
    if more and len(names) > 1 and not names[0]:
        names[0] = _INDEX
    if header is None:
        header = more and all(names) and len(set(names)) == len(names) and not any(map(_is_value, names))
    return names if header else None


def _is_value(field: str) -> bool:
    """A number, true or false."""
    if field in _TRUTHS:
        return True
    try:
        float(field)
    except ValueError:
        return False
    return True


def _made(
    field: str, names: list[str] | None, width: int, flat: list[str], underscores: bool
) -> list[Tensor]:
    if width > MOST_COLUMNS:
        raise DecodeError("too_large", f"CSV: expected at most {MOST_COLUMNS} columns, got {width}")
    columns = [_typed(flat[j::width], underscores) for j in range(width)]
    if names is not None:
        return _named(names, columns)
    mixed: list[Any] = [None] * len(flat)
    for j, column in enumerate(columns):
        mixed[j::width] = column
    return [_whole(field, width, mixed)]


def _named(names: list[str], columns: list[list[Any]]) -> list[Tensor]:
    return [Tensor(name, (len(column),), "", column) for name, column in zip(names, columns, strict=True)]


def _whole(field: str, width: int, flat: list[Any]) -> Tensor:
    rows = len(flat) // width
    return Tensor(field, (rows, width) if width > 1 else (rows,), "", flat)


def _typed(column: list[str], underscores: bool) -> list[Any]:
    """The fields of a column as numbers, as truths, or as they are; None for empty ones.

    *underscores*: some field of the table has one.
    """
    gaps = "" in column
    try:
        numbers = [float(text) if text else None for text in column] if gaps else list(map(float, column))
    except ValueError:
        pass
    else:
        if not (underscores and "_" in "".join(column)):  # Python's own way to write 1_000
            return numbers
    if column[0] in _TRUTHS and _TRUTHS.keys() >= set(column):
        return list(map(_TRUTHS.get, column))
    return [text or None for text in column] if gaps else column
