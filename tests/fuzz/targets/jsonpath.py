"""JSON paths: a path is refused or read, and gives a row for each element, of any document."""

from __future__ import annotations

import json

from exporter.jsonpath import parse
from sidecar.decode.jsonpath import compiled
from sidecar.decode.outcome import DecodeError

WORDS = [
    b"$",
    b".a",
    b"[*]",
    b"[0]",
    b"['a']",
    b'["a"]',
    b"..",
    b"[-1]",
    b"[",
    b"]",
    b"\n",
    b'{"a":[{"a":1},{}]}',
    b"null",
    b"[[1],[2]]",
]


def seeds() -> list[bytes]:
    return [
        b'$.rows[*].age\n{"rows":[{"age":31},{},{"age":42}]}',
        b"$[*][0]\n[[1,2],[3],[]]",
        b'$["a b"][2].c\n{"a b":[0,1,{"c":"x"}]}',
        b'$.a[*].b[*]\n{"a":[{"b":[1,2]},{"b":[]}]}',
    ]


def target(data: bytes) -> None:
    path, _, document = data.partition(b"\n")
    try:
        steps = parse(path.decode("utf-8", "replace"))
    except ValueError:
        return
    try:
        value = json.loads(document)
    except (ValueError, RecursionError):
        return
    try:
        values = compiled(steps)(value)
    except DecodeError:
        return
    assert type(values) is list
