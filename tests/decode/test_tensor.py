"""Raw bytes as arrays and strings, nested lists as flat ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decode.tensor import FIXED_SIZE, array_from_raw, flatten, split_bytes
from tests.decode.build import NUMPY, raw


@pytest.mark.parametrize("datatype", FIXED_SIZE)
def test_every_bit_pattern_of_one_and_two_bytes_reads_as_numpy_reads_it(datatype: str) -> None:
    data = np.arange(65536, dtype="<u2").tobytes() * 4
    found = array_from_raw(datatype, bytearray(data))
    if datatype == "BF16":
        expected = (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    elif datatype == "BOOL":
        expected = np.frombuffer(data, "u1").astype(bool)
    else:
        expected = np.frombuffer(data, NUMPY[datatype])
    np.testing.assert_array_equal(found, expected)
    assert found.flags.writeable


def test_bf16_keeps_infinities_nans_and_denormals() -> None:
    found = array_from_raw("BF16", bytes.fromhex("807f80ffc07f01000080"))
    assert repr(found.tolist()) == "[inf, -inf, nan, 9.183549615799121e-41, -0.0]"


@given(st.lists(st.binary(max_size=300), max_size=40))
def test_strings_of_any_lengths_come_apart_where_they_were_joined(elements: list[bytes]) -> None:
    found = split_bytes(raw("BYTES", elements))
    assert found is not None
    assert [element.encode() if isinstance(element, str) else element for element in found] == elements
    ascii_only = all(element.isascii() for element in elements) and all(len(e) < 128 for e in elements)
    assert all(isinstance(element, str) for element in found) or not ascii_only


@given(st.integers(0, 20), st.integers(1, 200), st.integers(0, 300), st.integers(0, 255))
def test_strings_of_one_length_are_told_from_strings_that_only_look_so(
    length: int, count: int, position: int, value: int
) -> None:
    data = bytearray(raw("BYTES", [b"\x01" * length] * count))
    assert split_bytes(bytes(data)) == ["\x01" * length] * count
    data[position % len(data)] = value
    walked: list[bytes] | None = []
    at = 0
    while at < len(data) and walked is not None:
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        if at + 4 > len(data) or end > len(data):
            walked = None
        else:
            walked.append(bytes(data[at + 4 : end]))
            at = end
    found = split_bytes(bytes(data))
    assert walked == (None if found is None else [e.encode() if isinstance(e, str) else e for e in found])


@pytest.mark.parametrize(
    "data", [b"\x00", b"\x00" * 3, b"\x01\x00\x00\x00", b"\xff\xff\xff\xffab", b"\x00" * 4 + b"\x01"]
)
def test_what_does_not_end_with_an_element_is_no_bytes_tensor(data: bytes) -> None:
    assert split_bytes(data) is None


@pytest.mark.parametrize(
    ("nested", "flat"),
    [
        ([], []),
        ([1, "a", None], [1, "a", None]),
        ([[1], [2, 3]], [1, 2, 3]),
        ([[[1], []], [[2]]], [1, 2]),
        ([[], []], []),
        ([1, [2]], None),
        ([[1], 2], None),
        ([["ab"], "cd"], None),
        ([[1, [2]]], None),
        ([{"a": [1]}], [{"a": [1]}]),
    ],
)
def test_lists_are_flattened_level_by_level(nested: list[Any], flat: list[Any] | None) -> None:
    assert flatten(nested) == flat
