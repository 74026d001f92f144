"""What is wrong with a baseline or with the file it is built from, in one sentence."""

from __future__ import annotations


class BaselineError(ValueError):
    """Names file, key, what was expected and what was found.

    >>> str(BaselineError("baseline.json", "columns[2].rows", "a whole number", "'many'"))
    "baseline.json: columns[2].rows: expected a whole number, found 'many'"
    """

    def __init__(self, file: str, key: str, expected: str, found: str) -> None:
        self.file = file
        self.key = key
        self.expected = expected
        self.found = found
        where = f"{file}: {key}" if key else file
        super().__init__(f"{where}: expected {expected}, found {found}")
