"""JSON paths: what is one, and where it stops being one."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.jsonpath import EVERY, MOST_STEPS, Step, parse


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$", ()),
        ("$.rows[*].age", ("rows", EVERY, "age")),
        ("$[*]", (EVERY,)),
        ("$[0][-1]", (0, -1)),
        ("$['a b'][\"c'd\"]", ("a b", "c'd")),
        (r"$['it\'s']", ("it's",)),
        ("$['']", ("",)),
        ("$[ 'x' ]", ("x",)),
        ("$.größe_1", ("größe_1",)),
    ],
)
def test_what_is_a_path(path: str, steps: tuple[Step, ...]) -> None:
    assert parse(path) == steps


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        ("", ""),
        ("rows", "rows"),
        ("$rows", "rows"),
        ("$..age", "..age"),
        ("$.a.", "."),
        ("$.*", ".*"),
        ("$.1a", ".1a"),
        ("$[01]", "[01]"),
        ("$[-0]", "[-0]"),
        ("$[1:2]", "[1:2]"),
        ("$[0,1]", "[0,1]"),
        ("$[?(@.a)]", "[?(@.a)]"),
        ("$['a]", "['a]"),
        ("$.a b", " b"),
        ("$" + ".a" * (MOST_STEPS + 1), ".a"),
    ],
)
def test_what_is_none_is_told_from_where_on(path: str, rest: str) -> None:
    with pytest.raises(ValueError, match="'") as caught:
        parse(path)
    assert str(caught.value) == repr(rest)


@given(st.text(max_size=30))
def test_any_text_is_a_path_or_a_value_error(text: str) -> None:
    for path in (text, "$" + text):
        with contextlib.suppress(ValueError):
            parse(path)


@given(st.lists(st.text().filter(lambda name: "\\" not in name), max_size=5))
def test_any_name_can_be_quoted(names: list[str]) -> None:
    quoted = "".join("['" + name.replace("'", r"\'") + "']" for name in names)
    assert parse("$" + quoted) == tuple(names)
