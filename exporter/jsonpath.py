"""JSON paths: where in a JSON document a column's values stand, as the configuration writes it.

A subset of RFC 9535, enough for bodies that are rows: ``$`` is the document, ``.name`` and ``['name']`` (or
``["name"]``) a member of an object, ``[0]`` and ``[-1]`` an element of a list, ``[*]`` every element.
Refused: ``..``, slices, filters, functions, unions. A name after a dot is of letters, digits, ``_`` and any
character beyond ASCII and begins with none of the digits (RFC 9535 section 2.5.1.1); other names are quoted.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, TypeAlias

MOST_STEPS: Final = 32


class Every(Enum):
    """The step ``[*]``."""

    EVERY = "[*]"


EVERY: Final = Every.EVERY

Step: TypeAlias = str | int | Every
"""A member's name, an element's position, or `EVERY`."""

_STEP = re.compile(
    r"""\.(?P<name>[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]*)
    |\[\s*(?:(?P<every>\*)
      |(?P<index>0|-?[1-9][0-9]{0,8})
      |'(?P<single>(?:[^'\\]|\\['"\\/])*)'
      |"(?P<double>(?:[^"\\]|\\['"\\/])*)"
    )\s*\]""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def parse(path: str) -> tuple[Step, ...]:
    """The steps of *path*; raises ValueError, whose text says from where on it is not a path.

    >>> parse("$.rows[*]['dep time'][0]")
    ('rows', <Every.EVERY: '[*]'>, 'dep time', 0)
    >>> parse("$..age")
    Traceback (most recent call last):
    ValueError: '..age'
    """
    if not path.startswith("$"):
        raise ValueError(repr(path))
    steps: list[Step] = []
    position = 1
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None or len(steps) == MOST_STEPS:
            raise ValueError(repr(path[position:]))
        position = match.end()
        if match["name"] is not None:
            steps.append(match["name"])
        elif match["every"] is not None:
            steps.append(EVERY)
        elif match["index"] is not None:
            steps.append(int(match["index"]))
        else:
            quoted = match["single"] if match["single"] is not None else match["double"]
            steps.append(_ESCAPE.sub(r"\1", quoted))
    return tuple(steps)
