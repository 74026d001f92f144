"""Draws: what is copied of an exchange is decided by chance, once, where it begins.

Promises: each exchange is drawn independently of its connection, its content and of the ones before, so
that what is recorded is a fair sample of what passed at that time; constant time, no allocation.

Three draws, in this order:

* Shed or not. While more than half of the ring is free all are copied. From there to an eighth the chance
  to be shed rises in a line from 0 to 1, and below an eighth it is 1, so that those under way can be finished
  (with an eighth of 16 MiB none of 792,664 exchanges was cut in the middle; measured, recorder stopped
  under load). A threshold alone would copy the beginning of each burst whole and nothing of the rest: the
  exchanges of whoever comes first. On the ramp a recorder that keeps up with a share s of the load finds
  the ring at the filling where 1 - s are shed, and what it gets is spread over all connections evenly.
* Drawn for recording or not: ``sampling`` of the configuration, or less where the recorder says so
  (`Recorder.SAMPLING`), to stay within its processors. Heads are copied in any case.
* Large or not: a share ``limits.large_sampling`` of exchanges is copied up to ``limits.large_body_bytes``.
"""

from __future__ import annotations

from random import random

from sidecar.ring import RingWriter
from sidecar.words import Recorder, Words

SHED = -1
HEADS = 0

_SAMPLING = int(Recorder.SAMPLING)
_ONE = 1 << 32


class Draws:
    """Decides for one ring.

    *sampling* is the share of exchanges copied with their bodies, *limit* how many bytes of a run of one
    direction are copied, *large_limit* how many of a share *large_sampling* of exchanges. Both limits are at
    most an eighth of the ring: a single record must leave room for others, however small the ring.
    """

    def __init__(
        self,
        ring: RingWriter,
        words: Words,
        sampling: float,
        limit: int,
        large_sampling: float = 0.0,
        large_limit: int = 0,
    ) -> None:
        self._ring = ring
        self._words = words
        self._planned = sampling * _ONE
        eighth = ring.size // 8
        self.limit = max(min(limit, eighth), 1)  # 0 is `HEADS`
        self._large_limit = min(large_limit, eighth)
        self.most = max(self.limit, self._large_limit)
        """What is copied of the longest."""
        self._large_sampling = large_sampling if self._large_limit > self.limit else 0.0
        self.reserve = eighth
        """Bytes of the ring that are kept for what is under way."""
        self._half = ring.size // 2
        self._ramp = self._half - eighth

    def draw(self) -> int:
        """Of an exchange that begins now: `SHED`, `HEADS`, or how many bytes of a run are copied.

        >>> from sidecar.words import PAGE, attach, create, words
        >>> memory = attach(create("doctest", PAGE + 65536))
        >>> Draws(RingWriter(memory), words(memory), 1.0, 4096).draw()
        4096
        """
        ring = self._ring
        # As much was free when TAIL was last read; it only becomes more.
        if ring.end - ring.head < self._half:
            free = ring.free()
            if free < self._half and random() * self._ramp >= free - self.reserve:
                return SHED
        share: float = self._words[_SAMPLING] or _ONE
        if share > self._planned:
            share = self._planned
        if share < _ONE and random() * _ONE >= share:
            return HEADS
        if self._large_sampling and random() < self._large_sampling:
            return self._large_limit
        return self.limit
