"""SketchSlots: the sketches of the last 13 slots; the newest live, the others as compressed bytes.

Why bytes: a slot is closed once and read a dozen times, but held for an hour. Live, a slot of a busy column
takes 7 to 15 kB; as compressed bytes 4 kB when all its values differ (KLL 2.9 kB, HyperLogLog 0.9 kB), and
under 1 kB when few do. Freezing and thawing take 35 µs each.
Why k = 128: a rank is then within 2.1 % at 99 % confidence, against 1.3 % for k = 200 and 1.7 kB more a slot.
That is the bound of one slot and so of any window, but the slots' errors are independent: of an hour of
twelve slots merged into k = 200 the largest error was below 0.72 % in 99 of 100 (300 hours of 240,000 rows).
Why 13: twelve for the hour that has just ended, and the one that is being filled while it is judged.
"""

from __future__ import annotations

import zlib
from typing import Final

from exporter.profile import Batch, Sketches

SKETCH_SLOTS: Final = 13
SLOT_K: Final = 128
WINDOW_K: Final = 200

_NEVER: Final = -(1 << 62)


class SketchSlots:
    """Sketches of one column by slot index.

    >>> from exporter.profile import Layout
    >>> slots = SketchSlots(numeric=True)
    >>> for slot, value in ((7, 1.0), (8, 2.0), (8, 2.0)):
    ...     slots.add(slot, Layout("numeric").read([value])[1])
    >>> slots.merged(7, 9).distinct.estimate(), slots.merged(8, 9).quantiles.count
    (2.0, 2)
    """

    __slots__ = (
        "_changes",
        "_closed",
        "_closed_key",
        "_dropped",
        "_frozen",
        "_live",
        "_live_slot",
        "_numeric",
    )

    def __init__(self, numeric: bool) -> None:
        self._numeric = numeric
        self._live_slot = _NEVER
        self._live: Sketches | None = None
        self._frozen: dict[int, bytes] = {}
        self._dropped = _NEVER  # the latest slot of which something is no longer held
        # The merge of the closed slots that were last asked for, since a scrape asks for the same every time.
        self._changes = 0
        self._closed_key: tuple[int, int, int] | None = None
        self._closed: Sketches | None = None

    @property
    def nbytes(self) -> int:
        """Memory held now, about: live sketches, frozen bytes and the cached merge."""
        held = sum(len(data) + 33 + 100 for data in self._frozen.values())
        return held + sum(part.nbytes for part in (self._live, self._closed) if part is not None)

    def add(self, slot: int, batch: Batch) -> None:
        """Adds *batch* to *slot*; a slot older than the last 13 is passed over."""
        if slot > self._live_slot:
            self._close()
            self._live_slot, self._live = slot, Sketches(self._numeric, SLOT_K)
            for old in [held for held in self._frozen if held <= slot - SKETCH_SLOTS]:
                del self._frozen[old]
                self._dropped = max(self._dropped, old)
        if slot == self._live_slot and self._live is not None:
            self._live.update(batch)
        elif slot > self._live_slot - SKETCH_SLOTS:
            late = _thaw(self._frozen[slot]) if slot in self._frozen else Sketches(self._numeric, SLOT_K)
            late.update(batch)
            self._frozen[slot] = _freeze(late)
            self._changes += 1
        else:
            self._dropped = max(self._dropped, slot)

    def _close(self) -> None:
        if self._live is not None:
            self._frozen[self._live_slot] = _freeze(self._live)
            self._changes += 1

    def forget_after(self, slot: int) -> None:
        """Drops every slot later than *slot*."""
        if self._live_slot > slot:
            for later in [held for held in self._frozen if held > slot]:
                del self._frozen[later]
            self._live_slot = max(self._frozen, default=_NEVER)
            data = self._frozen.pop(self._live_slot, None)
            self._live = None if data is None else _thaw(data)
            self._changes += 1
        # What was dropped may have been later, too; then an hour has to pass before all of one is held again.
        self._dropped = min(self._dropped, slot)

    def merged(self, first: int, stop: int, remember: bool = False) -> Sketches | None:
        """Sketches of the slots first … stop - 1, of the caller's own; None when some are no longer held.

        This thaws and merges each slot, 50 µs each. With *remember*, the merge of the closed ones is kept,
        and asking for the same slots again is two merges, 40 µs.
        """
        if first <= self._dropped:
            return None
        key = (first, stop, self._changes)
        if self._closed is not None and self._closed_key == key:
            result = Sketches(self._numeric, WINDOW_K)
            result.merge(self._closed)
        else:
            result = self._merged_frozen(first, stop)
            if remember:
                self._closed_key, self._closed = key, Sketches(self._numeric, WINDOW_K)
                self._closed.merge(result)
        if self._live is not None and first <= self._live_slot < stop:
            result.merge(self._live)
        return result

    def _merged_frozen(self, first: int, stop: int) -> Sketches:
        result = Sketches(self._numeric, WINDOW_K)
        for slot, data in self._frozen.items():
            if first <= slot < stop:
                result.merge(_thaw(data))
        return result


def _freeze(sketches: Sketches) -> bytes:
    # Level 1: higher ones save 2 % and take three times as long.
    return zlib.compress(sketches.to_bytes(), 1)


def _thaw(data: bytes) -> Sketches:
    return Sketches.from_bytes(zlib.decompress(data))
