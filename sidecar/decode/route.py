"""Routes: which decoder reads what, by path and content type; model and version as the path names them.

Promises: one regular expression per dialect, tried once per distinct target (`functools.lru_cache`), since a
client asks for the same few targets all its life.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

import msgspec

from exporter.schema import Limits
from sidecar.decode.outcome import Outcome
from sidecar.exchange import Exchange

Dialect: TypeAlias = "Callable[[Exchange, Place, Limits], Outcome]"
"""Reads the bodies of one successful exchange; may raise `DecodeError`, and nothing else."""

Name: TypeAlias = "Callable[[Exchange, Limits], tuple[str, str]]"
"""Model and version as a request's body names them, each empty where it does not; as `Dialect` else."""


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a request went."""

    dialect: Dialect
    model: str
    version: str
    """Empty when the path does not name it; `model` too, and then the dialect gives the name."""
    name: Name | None = None
    """Names exchanges that the dialect does not read, failures above all, where the path names no model."""


class Route(msgspec.Struct, frozen=True, gc=False):
    """One row of the table of dialects."""

    path: re.Pattern[bytes]
    """Searched in the path without its query, since gateways put prefixes before it; with groups `model`
    and `version` where it names them."""
    content_types: frozenset[bytes] | None
    """Media types of the request, in lower case and without parameters; None for any, or none at all."""
    dialect: Dialect
    name: Name | None = None
    """As of `Place`."""

    def place(self, path: bytes, media_type: bytes) -> Place | None:
        """The place that *path* names, or None when this row does not fit."""
        if self.content_types is not None and media_type not in self.content_types:
            return None
        match = self.path.search(path)
        if match is None:
            return None
        names = match.groupdict()
        return Place(self.dialect, _text(names.get("model")), _text(names.get("version")), self.name)


_LONGEST_TARGET = 1024
# Longer targets are looked up each time, so that 1,024 remembered ones stay under 2 MB.


class Routes:
    """The table of dialects: the first row that fits decides."""

    def __init__(self, *rows: Route) -> None:
        self.rows = rows
        self._known = lru_cache(maxsize=1024)(self._search)

    def find(self, target: bytes, content_type: bytes) -> Place | None:
        """Where *target* goes, or None when no row fits."""
        if len(target) > _LONGEST_TARGET:
            return self._search(target, content_type)
        return self._known(target, content_type)

    def _search(self, target: bytes, content_type: bytes) -> Place | None:
        path = target.partition(b"?")[0]
        media_type = content_type.partition(b";")[0].strip().lower()
        for row in self.rows:
            place = row.place(path, media_type)
            if place is not None:
                return place
        return None


def _text(part: bytes | None) -> str:
    """A percent-encoded path segment as text; bytes that are not UTF-8 read ``\\xff``."""
    return "" if part is None else unquote_to_bytes(part).decode("utf-8", "backslashreplace")
