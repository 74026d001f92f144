"""The captures and the list of them."""

from __future__ import annotations

import re

from tests.captures.take import TAKES
from tests.wire.captures import DIRECTORY, GRPC_NAMES, NAMES


def listed() -> set[str]:
    """The names in the tables of README.md; ``-x`` after a comma continues the name before: ``a-b, -c``."""
    found: set[str] = set()
    for line in (DIRECTORY / "README.md").read_text().splitlines():
        if match := re.match(r"\| ([a-z0-9_, -]+) \| [A-Z]", line):
            first, *others = match[1].split(", ")
            found |= {first} | {
                first.split("-")[0] + each if each.startswith("-") else each for each in others
            }
    return found


def test_every_capture_is_in_the_list_and_the_other_way_round() -> None:
    assert listed() == {*NAMES, *GRPC_NAMES}


def test_what_can_be_taken_again_is_there() -> None:
    assert set(TAKES) <= {*NAMES, *GRPC_NAMES}
