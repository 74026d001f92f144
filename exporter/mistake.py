"""MistakeError: what is wrong with a file that a user wrote, in one sentence."""

from __future__ import annotations


class MistakeError(ValueError):
    """Names file, key, what was expected and what was found; *key* is empty when the whole file is meant.

    >>> str(MistakeError("modelmeter.yaml", "sampling", "a number from 0 to 1", "'lots'"))
    "modelmeter.yaml: sampling: expected a number from 0 to 1, found 'lots'"
    """

    def __init__(self, file: str, key: str, expected: str, found: str) -> None:
        self.file = file
        self.key = key
        self.expected = expected
        self.found = found
        where = f"{file}: {key}" if key else file
        super().__init__(f"{where}: expected {expected}, found {found}")
