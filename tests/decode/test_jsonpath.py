"""JSON paths, read: one value for each row, None where a row has none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.jsonpath import parse
from sidecar.decode.jsonpath import compiled
from sidecar.decode.outcome import DecodeError
from tests.decode.test_kserve_v1 import json_values

DOCUMENT: dict[str, Any] = {
    "rows": [{"age": 31, "at": [1, 2]}, {"at": []}, {"age": None}, {"age": {"x": 1}}, "age", 5, None, [7]],
    "same": [{"age": 1, "at": [1, 2]}, {"age": 2, "at": [3, 4]}],
    "batches": [{"rows": [1, 2]}, {"rows": []}, {"rows": [3]}],
    "one": {"age": 42},
    "empty": [],
}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("$.rows[*].age", [31, None, None, {"x": 1}, None, None, None, None]),
        ("$.rows[*].at[0]", [1, None, None, None, None, None, None, None]),
        ("$.rows[*][0]", [None, None, None, None, None, None, None, 7]),
        ("$.same[*].age", [1, 2]),
        ("$.same[*].at[-1]", [2, 4]),
        ("$.same[*].at", [[1, 2], [3, 4]]),
        ("$.same[*].at[*]", [1, 2, 3, 4]),
        ("$.same[1].age", [2]),
        ("$.same[2].age", [None]),
        ("$.batches[*].rows[*]", [1, 2, 3]),
        ("$.one.age", [42]),
        ("$['one']['age']", [42]),
        ("$.one", [{"age": 42}]),
        ("$.none.age", [None]),
        ("$.empty[*].age", []),
    ],
)
def test_a_path_gives_one_value_a_row(path: str, values: list[Any]) -> None:
    assert compiled(parse(path))(DOCUMENT) == values


@pytest.mark.parametrize("path", ["$[*]", "$.none[*]", "$.one[*].age", "$.rows[*].at[*]", "$.rows[*].age[*]"])
def test_a_star_on_what_is_no_list_is_not_the_document_that_was_meant(path: str) -> None:
    with pytest.raises(DecodeError) as caught:
        compiled(parse(path))(DOCUMENT)
    assert caught.value.reason == "bad_json"


def _slowly(document: Any, path: str) -> list[Any]:
    """The same, value by value."""
    values = [document]
    for step in parse(path):
        if not isinstance(step, str | int):
            if not all(type(value) is list for value in values):
                raise DecodeError("bad_json", "")
            values = [element for value in values for element in value]
        else:
            found = []
            for value in values:
                usable = type(value) is (dict if isinstance(step, str) else list)
                try:
                    found.append(value[step] if usable else None)
                except (KeyError, IndexError):
                    found.append(None)
            values = found
    return values


@given(
    json_values,
    st.sampled_from(["$", "$.a", "$[*]", "$[*].a", "$.a[*]", "$.a[*].b", "$[0][*]", "$[*][-1]", "$[*][*]"]),
)
def test_columns_are_what_a_walk_value_by_value_finds(document: Any, path: str) -> None:
    try:
        expected = _slowly(document, path)
    except DecodeError:
        with pytest.raises(DecodeError):
            compiled(parse(path))(document)
    else:
        assert compiled(parse(path))(document) == expected or "nan" in repr(expected)
