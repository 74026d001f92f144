"""Reading other people's JSON: typed, lenient about what is not needed, exact about what is wrong."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from exporter.baseline.errors import BaselineError

Structure = TypeVar("Structure", bound=msgspec.Struct)

#: Counts that Spark wrote: 3700 or 3700.0.
Count: TypeAlias = Annotated[int, Meta(ge=0)] | Annotated[float, Meta(ge=0)]

_PLACE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_WANTED = re.compile(r"Expected (?P<expected>.*?)(?:, got (?P<found>.*))?$")
_ABSENT = re.compile(r"Object missing required field `(?P<name>.*)`")


def read_bytes(path: Path, what: str) -> bytes:
    """The content of *path*, which should be *what*; raises `BaselineError`."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BaselineError(str(path), "", what, "no file of that name") from None
    except OSError as error:
        raise BaselineError(str(path), "", what, error.strerror or str(error)) from None


def read_json(path: Path, structure: type[Structure], what: str) -> Structure:
    """*path* as a *structure*; raises `BaselineError` with the key, what was expected and what was found."""
    data = read_bytes(path, what)
    try:
        plain = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BaselineError(str(path), "", what, f"no JSON ({str(error)[:60]})") from None
    try:
        return msgspec.convert(plain, structure)
    except msgspec.ValidationError as error:
        raise _explained(str(path), str(error), plain) from None


def _explained(file: str, message: str, plain: Any) -> BaselineError:
    key = ""
    if match := _PLACE.search(message):
        key, message = match["path"], message[: match.start()]
    if match := _ABSENT.match(message):
        return BaselineError(file, f"{key}.{match['name']}".lstrip("."), "a value", "nothing")
    found = plain
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", key):
        found = found[name] if name else found[int(index)]
    shown = repr(found) if not isinstance(found, dict | list) else type(found).__name__
    match = _WANTED.match(message)
    expected = match["expected"].replace("`", "") if match else message
    return BaselineError(file, key, expected, shown[:80])


def whole(count: int | float) -> int:
    """A count that may have been written as a float."""
    return round(count) if math.isfinite(count) else 0
