"""CSV: headers, types, quotes, and tables that are none."""

from __future__ import annotations

import contextlib
import csv
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.schema import Limits
from sidecar.decode.outcome import DecodeError
from sidecar.decode.separated import MOST_COLUMNS, header_of, tensors

LIMITS = Limits()
nan = pytest.approx(float("nan"), nan_ok=True)


def read(body: bytes, header: bool | None = None) -> list[tuple[str, tuple[int, ...], Any]]:
    return [(made.name, made.shape, made.data) for made in tensors("x", body, LIMITS, header)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"1,2\n3,4\n", [("x", (2, 2), [1, 2, 3, 4])]),
        (b"1,2\r\n3,4\r\n", [("x", (2, 2), [1, 2, 3, 4])]),
        (b"1,2\r3,4", [("x", (2, 2), [1, 2, 3, 4])]),
        (b"\xef\xbb\xbf1,2", [("x", (1, 2), [1, 2])]),
        (b"5", [("x", (1,), [5])]),
        (b"5\n6\n\n7", [("x", (3,), [5, 6, 7])]),
        (b"1,,3\n,5,", [("x", (2, 3), [1, None, 3, None, 5, None])]),
        (b",\n,", [("x", (2, 2), [None] * 4)]),
        (b".5,1.,+2,007,1e3,1e999", [("x", (1, 6), [0.5, 1, 2, 7, 1000, float("inf")])]),
        (b"1,nan\n2,NaN", [("x", (2, 2), [1, nan, 2, nan])]),
        (b"1,UA\n2,\n,DL", [("x", (3, 2), [1, "UA", 2, None, None, "DL"])]),
        (b"1,true\n2,False\n3,", [("x", (3, 2), [1, True, 2, False, 3, None])]),
        (b"1,true\n2,maybe", [("x", (2, 2), [1, "true", 2, "maybe"])]),
        (b"1_000,2\n1,3", [("x", (2, 2), ["1_000", 2, "1", 3])]),
        (b"1,NA\n2,3", [("x", (2, 2), [1, "NA", 2, "3"])]),
        ('1,"a, ""b""\nc"\n2,ü'.encode(), [("x", (2, 2), [1, 'a, "b"\nc', 2, "ü"])]),
        (b'"1","2"\n\n"3",""', [("x", (2, 2), [1, 2, 3, None])]),
        # with a header
        (b"a,b\n1,UA\n2,DL", [("a", (2,), [1, 2]), ("b", (2,), ["UA", "DL"])]),
        (b"a , b\n1,2", [("a", (1,), [1]), ("b", (1,), [2])]),
        (b'"a","b"\n1,2', [("a", (1,), [1]), ("b", (1,), [2])]),
        (b"a\n1", [("a", (1,), [1])]),
        (b"name\nUA\nDL", [("name", (2,), ["UA", "DL"])]),  # the doubtful case
        (b",a\n0,5\n1,6", [("Unnamed: 0", (2,), [0, 1]), ("a", (2,), [5, 6])]),  # an index of pandas
        # and without
        (b",1\nUA,2", [("x", (2, 2), [None, 1, "UA", 2])]),
        (b"UA,DL", [("x", (1, 2), ["UA", "DL"])]),
        (b"UA,1\nDL,2", [("x", (2, 2), ["UA", 1, "DL", 2])]),
        (b"UA,\nDL,2", [("x", (2, 2), ["UA", None, "DL", 2])]),
        (b"UA,UA\nDL,DL", [("x", (2, 2), ["UA", "UA", "DL", "DL"])]),
        (b"UA,true\nDL,false", [("x", (2, 2), ["UA", True, "DL", False])]),
    ],
)
def test_a_table_is_read_by_its_lines(body: bytes, expected: list[Any]) -> None:
    assert read(body) == expected


def test_who_knows_whether_there_is_a_header_decides() -> None:
    assert read(b"UA\nDL", False) == [("x", (2,), ["UA", "DL"])]
    assert read(b"1,1\n3,4", True) == [("1", (1,), [3]), ("1", (1,), [4])]
    assert read(b"a,b", True) == [("a", (0,), []), ("b", (0,), [])]
    assert read(b'"a","b"', True) == [("a", (0,), []), ("b", (0,), [])]
    assert [header_of(b"text/csv" + rest) for rest in (b"", b";header=present", b'; Header="absent"; x', b";header=x")] == [
        None, True, False, None
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "bad_json"),
        (b"\r\n\n", "bad_json"),
        (b"1,2\n3", "bad_tensor"),
        (b"1,2\n3,4,5", "bad_tensor"),
        (b"1\n3,4", "bad_tensor"),
        (b"1,2,3\n4\n5,6", "bad_tensor"),
        (b"1,2\n3,4,5,6", "bad_tensor"),
        (b"a,b\n1", "bad_tensor"),
        (b'"a",b\n1', "bad_tensor"),
        (b"\xff,a", "bad_json"),
        (b'\xff,"a"', "bad_json"),
        (b'"a', "bad_json"),
        (b'"a"b,c', "bad_json"),
        (b'"' + b"a" * 200_000 + b'"', "bad_json"),
        (b"a," * MOST_COLUMNS + b"a", "too_large"),
        (b"1," * 1_100_000, "too_large"),
    ],
)
def test_what_is_no_table_has_a_reason(body: bytes, reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        read(body)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "body",
    [b"1\n" * 1_000_000, b"," * 2_000_000, b"\n" * 2_000_000, b'"\n' * 1_000_000, b'""\n' * 600_000, b"1,2\n" * 500_000,
     b'"1"\n' + b"a\n" * 1_000_000, b",".join(b"c%d" % number for number in range(200_000)) + b"\n"],
)  # fmt: skip
def test_hostile_tables_take_bounded_time(body: bytes) -> None:
    with contextlib.suppress(DecodeError):
        read(body)  # what is quadratic would take minutes here


fields = st.one_of(
    st.sampled_from(
        ["", "1", "-2.5", "1e5", ".5", "true", "False", "nan", "inf", "NA", "1_0", "a,b", 'q"q', "x\ny", " "]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=4),
)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(fields, min_size=width, max_size=width), min_size=1, max_size=6)
    )
)
def test_a_written_table_is_read_back_cell_by_cell(rows: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    [made] = tensors("x", text.getvalue().encode(), LIMITS, False)
    assert made.rows == len(rows)
    width = len(rows[0])
    for j in range(width):
        for row, value in zip(rows, made.data[j::width], strict=True):
            cell = row[j]
            if isinstance(value, bool):
                assert str(value).lower() == cell.lower()
            elif isinstance(value, float):
                assert value == float(cell) or value != value
            else:
                assert value == (cell or None)


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=60) | st.text(st.sampled_from('12.,\n"ae-'), max_size=40).map(str.encode),
    st.sampled_from([None, True, False]),
)
def test_any_bytes_are_a_table_or_have_a_reason(body: bytes, header: bool | None) -> None:
    try:
        made = tensors("x", body, LIMITS, header)
    except DecodeError:
        return
    assert len({each.rows for each in made}) == 1
    for each in made:
        assert len(each.data) == each.rows * (each.shape[1] if len(each.shape) > 1 else 1)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.lists(st.none() | st.floats(allow_nan=False) | st.integers(-(10**6), 10**6), min_size=width, max_size=width),
            min_size=1,
            max_size=5,
        )
    )
)  # fmt: skip
def test_numbers_are_read_alike_with_and_without_quotes(rows: list[list[float | None]]) -> None:
    text = "\n".join(",".join("" if value is None else repr(value) for value in row) for row in rows)
    if not text.replace("\n", "") or (len(rows[0]) == 1 and [None] in rows):
        return  # empty lines are no rows
    quoted = "\n".join(",".join("" if value is None else f'"{value!r}"' for value in row) for row in rows)
    assert read(text.encode()) == read(quoted.encode())
    [(_, shape, data)] = read(text.encode())
    assert data == [value for row in rows for value in row]
    assert shape[0] == len(rows)
