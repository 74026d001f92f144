"""Tensors of the Open Inference Protocol: datatypes, raw bytes, nested lists.

Promises: nothing is allocated by what a shape says, only by the bytes that are there; values are not
converted one by one, since a batch of rows is converted at once (`sidecar.decode.batch`).

Sources: kserve/open-inference-protocol ``specification/protocol/inference_rest.md`` (datatypes, shapes);
triton-inference-server/server ``docs/protocol/extension_binary_data.md`` (little-endian, row-major, one
byte per BOOL, four length bytes before each element of BYTES).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Any

import msgspec
import numpy as np

#: Datatype → NumPy's little-endian one. BF16 has none: its 16 bits are the upper half of an FP32.
FIXED_SIZE: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("u1"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "FP16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
ITEM_BYTES: dict[str, int] = {name: dtype.itemsize for name, dtype in FIXED_SIZE.items()}
DATATYPES = frozenset(FIXED_SIZE) | {"BYTES"}

_length = struct.Struct("<I").unpack_from
_WORTH_COMPARING = 256
# Bytes of a raw BYTES tensor from which setting up an array (1.5 µs) pays.

Shape = Annotated[tuple[Annotated[int, msgspec.Meta(ge=0)], ...], msgspec.Meta(max_length=32)]
"""Checked where JSON is read; 32 dimensions are what NumPy allowed until 2.0."""


class Parameters(msgspec.Struct, gc=False):
    """Of a tensor's parameters, those that say where its data are."""

    binary_data_size: int | None = None
    shared_memory_region: str | None = None


class Tensor(msgspec.Struct, gc=False):
    """One input or output of an exchange, also the structure that KServe v2 JSON is read into."""

    name: str
    shape: Shape
    """The first dimension counts rows; an empty shape is one row."""
    datatype: str = ""
    """Of `DATATYPES`; empty for plain JSON, which has no declared types; TEXT, never on the wire, for
    str that a dialect knows to be free text, whose length is profiled."""
    data: Any = None
    """Raw little-endian bytes of a fixed-size datatype, or a flat list in row-major order: JSON values,
    and str or (where not ASCII) bytes for BYTES."""
    parameters: Parameters | None = None

    @property
    def rows(self) -> int:
        """Length of the first dimension."""
        return self.shape[0] if self.shape else 1


def array_from_raw(datatype: str, raw: bytes | bytearray) -> np.ndarray[Any, np.dtype[Any]]:
    """The values of *raw*, shape (elements,); writable when *raw* is a bytearray.

    BOOL becomes bool (any byte but 0 is true), BF16 becomes float32. *raw* holds whole elements.

    >>> array_from_raw("BF16", b"\\x80\\x3f\\x20\\xc0").tolist()
    [1.0, -2.5]
    """
    values: np.ndarray[Any, np.dtype[Any]] = np.frombuffer(raw, FIXED_SIZE[datatype])
    if datatype == "BOOL":
        truths: np.ndarray[Any, np.dtype[Any]] = values != 0
        return truths
    if datatype == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values


def split_bytes(raw: bytes) -> Sequence[str | bytes] | None:
    """The elements of a raw BYTES tensor: str when all of it is ASCII, else bytes; None when it is not one.

    Elements of one length, as airports and country codes are, are told by one comparison of all lengths
    (0.06 µs each); others are walked (0.1 µs each).

    >>> split_bytes(bytes([2, 0, 0, 0, 85, 65, 1, 0, 0, 0, 88])), split_bytes(bytes([2, 0, 0, 0, 85]))
    (['UA', 'X'], None)
    """
    end = len(raw)
    text: str | bytes = raw.decode("ascii") if raw.isascii() else raw
    elements: list[str | bytes] = []
    try:
        if end >= _WORTH_COMPARING:
            (length,) = _length(raw)
            step = length + 4
            if end % step == 0 and (np.ndarray(end // step, "<u4", raw, strides=(step,)) == length).all():
                return [text[start : start + length] for start in range(4, end + 1, step)]
        position = 0
        while position < end:
            (length,) = _length(raw, position)
            start = position + 4
            position = start + length
            elements.append(text[start:position])
    except struct.error:
        return None  # fewer than four bytes were left
    return elements if position == end else None


def flatten(values: list[Any]) -> list[Any] | None:
    """The scalars of nested lists in row-major order; None when lists and scalars are mixed on one level.

    >>> flatten([[1, 2], [3, 4]]), flatten([1, [2]])
    ([1, 2, 3, 4], None)
    """
    while values:
        kinds = set(map(type, values))
        if list not in kinds:
            break
        if len(kinds) > 1:
            return None
        values = list(chain.from_iterable(values))
    return values
