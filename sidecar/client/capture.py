"""Capture: the bytes of one body as they pass, up to a limit."""

from __future__ import annotations

BODY_BYTES = 262_144
"""Of each body; longer ones are counted and timed, not kept. As `limits.body_bytes` of the sidecar."""


class Capture:
    """Keeps what is added, or nothing once it is too much.

    >>> capture = Capture(4); capture.add(b"abc"); capture.add(b"de"); capture.body, capture.complete
    (b'', False)
    """

    __slots__ = ("_limit", "_parts", "_size", "complete")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self.complete = True

    def add(self, part: bytes | bytearray | memoryview) -> None:
        """*part* has passed."""
        if not self.complete or not part:
            return
        self._size += len(part)
        if self._size > self._limit:
            self.cut()
        else:
            self._parts.append(bytes(part))

    def cut(self) -> None:
        """Something passes that can not be kept."""
        self.complete = False
        self._parts.clear()

    @property
    def body(self) -> bytes:
        """What was kept."""
        return b"".join(self._parts)
