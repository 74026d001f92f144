"""Protocol buffers, as far as a whylogs profile needs them: fields of one message, by number.

The running recorder reads protobuf with Google's library (`sidecar.decode`, its only importer); an import
reads a handful of messages once, without having their declarations.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TypeAlias

Field: TypeAlias = "int | bytes"


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins at *at*, and where the next thing begins. Raises ValueError when cut short.

    >>> varint(bytes([0b1010_1100, 0b0000_0010]), 0)
    (300, 2)
    """
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError(f"protobuf: expected a number at byte {at}")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data: bytes) -> Iterator[tuple[int, Field]]:
    """Number and content of each field: numbers as int, all else as bytes (8 of a double).

    >>> list(fields(bytes([0x08, 0x05, 0x12, 0x02]) + b"hi"))
    [(1, 5), (2, b'hi')]
    """
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
            yield key >> 3, value
            continue
        if kind == 2:
            size, at = varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"protobuf: expected wire type 0, 1, 2 or 5, found {kind}")
        if at + size > len(data):
            raise ValueError(f"protobuf: expected {size} bytes at byte {at}, found {len(data) - at}")
        yield key >> 3, data[at : at + size]
        at += size


def double(data: Field) -> float:
    """The float64 in eight bytes."""
    if not isinstance(data, bytes) or len(data) != 8:
        raise ValueError("protobuf: expected a double")
    return float(struct.unpack("<d", data)[0])


def signed(value: Field) -> int:
    """An int64 that was written as an unsigned number."""
    if not isinstance(value, int):
        raise ValueError("protobuf: expected a number")
    return value - (1 << 64) if value >= 1 << 63 else value


def message(value: Field) -> bytes:
    """The bytes of a message within a message."""
    if not isinstance(value, bytes):
        raise ValueError("protobuf: expected a message, found a number")
    return value


def numbers(value: Field) -> list[int]:
    """Repeated numbers, packed or one by one."""
    if isinstance(value, int):
        return [value]
    found, at = [], 0
    while at < len(value):
        number, at = varint(value, at)
        found.append(number)
    return found
