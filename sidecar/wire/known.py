"""Heads read before, so that they are not read again: clients and servers repeat theirs.

Promises: what `KnownHeads.read` says of a head is what its parser says of it; at most `KNOWN` heads and
`VOLATILE` names are remembered.

A trace id makes every head another, though nothing that is read changes. So a field that is seen to differ
between two heads that are otherwise alike, and that no parser looks at, is left out of a head before it is
looked up: 0.6 µs, where reading a head anew takes 1.9.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Generic, TypeVar

KNOWN: Final = 512
LONGEST: Final = 2048
"""512 heads of at most 2 kB in each direction: 2 MB at most, of which a few dozen kB are used in practice."""

VOLATILE: Final = 4
"""Names of fields that are left out: traceparent, tracestate, x-request-id and one more."""

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_VALUE = re.compile(rb"[\t -~]*")
# What llhttp takes for a value, and less: bytes above ASCII are left to it.

Head = TypeVar("Head")


class KnownHeads(Generic[Head]):
    """Remembers what *parse* says; fields called as in *read* (lower case) are never left out.

    >>> heads = KnownHeads(lambda head: head.count(b":"), frozenset({b"host"}))
    >>> [heads.read(b"GET / HTTP/1.1\\r\\nHost: m\\r\\nTrace: %d\\r\\n\\r\\n" % i) for i in range(3)]
    [2, 2, 1]
    >>> heads.volatile
    [b'\\r\\nTrace:']
    """

    __slots__ = ("_known", "_last", "_parse", "_read", "volatile")

    def __init__(self, parse: Callable[[bytes], Head], read: frozenset[bytes]) -> None:
        self._parse = parse
        self._read = read
        self._known: dict[bytes, Head] = {}
        self._last: list[bytes] = []
        """Lines of the head that was last read anew."""
        self.volatile: list[bytes] = []
        """How the fields that are left out begin, as they were written."""

    def read(self, head: bytes) -> Head:
        """What the parser says of *head* (without its volatile fields), up to and with its empty line."""
        known = self._known
        found = known.get(head)
        if found is not None:
            return found
        if len(head) > LONGEST:
            return self._parse(head)
        for start in self.volatile:
            before, is_there, rest = head.partition(start)
            if is_there:
                value, _, rest = rest.partition(b"\r\n")
                # A line that begins with a blank would go on with the field before it (obs-fold).
                if _VALUE.fullmatch(value) is not None and rest[:1] not in (b" ", b"\t"):
                    head = b"%b\r\n%b" % (before, rest)
        if self.volatile:
            found = known.get(head)
            if found is not None:
                return found
        found = self._parse(head)
        if found is not None:
            if len(known) >= KNOWN:
                known.clear()
            known[head] = found
            self._learn(head)
        return found

    def _learn(self, head: bytes) -> None:
        """Note fields in which *head* differs from the one read before it, when that is all that differs."""
        last, lines = self._last, head.split(b"\r\n")
        self._last = lines
        if len(last) != len(lines) or len(self.volatile) >= VOLATILE:
            return
        starts = []
        for old, new in zip(last, lines, strict=True):
            if old == new:
                continue
            name, colon, _ = new.partition(b":")
            lower = name.lower()
            if lower == b"content-length":
                continue  # another body, the same head
            if not colon or lower in self._read or _NAME.fullmatch(name) is None:
                return
            if old[: len(name) + 1] != new[: len(name) + 1]:
                return
            starts.append(b"\r\n%b:" % name)
        self.volatile += starts[: VOLATILE - len(self.volatile)]
