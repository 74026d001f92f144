"""VectorWindow: how far the vectors of the last hour are from the baseline's, from sums of 1 kB a slot.

For people alone: the verdicts are those of the columns derived of the vectors, which have a history to be
judged by. Not in checkpoints: an hour after a restart it is whole again. 3 µs a vector of 768 numbers, 12 kB
a column.
"""

from __future__ import annotations

from exporter.embedding import Projections, Reference
from exporter.embedding.frame import Floats
from exporter.embedding.score import Drift
from exporter.verdict import WINDOW_ROWS
from exporter.window import SLOT_SECONDS

_SLOTS = 3600 // SLOT_SECONDS


class VectorWindow:
    """The sums of the slots of the last hour, in the frame of *reference*."""

    __slots__ = ("_slots", "reference")

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self._slots: dict[int, Projections] = {}

    def add(self, time: float, vectors: Floats) -> None:
        """Add *vectors*, finite, shape (m, d), seen at *time* (Unix seconds)."""
        if not len(vectors):
            return
        slot = int(time // SLOT_SECONDS)
        sums = self._slots.get(slot)
        if sums is None:
            newest = max(self._slots, default=slot)
            if slot <= newest - _SLOTS:
                return
            sums = self._slots[slot] = Projections()
            for old in [held for held in self._slots if held <= slot - _SLOTS]:
                del self._slots[old]
        sums.update(self.reference.frame, vectors)

    def drift(self, now: float) -> Drift | None:
        """Of the slots that began in the hour before *now*; None with too few vectors."""
        last = int(now // SLOT_SECONDS)
        # The reader's clock is believed, as by the windows of the column.
        self._slots = {slot: sums for slot, sums in self._slots.items() if slot <= last + 1}
        hour = Projections()
        for slot, sums in self._slots.items():
            if last - _SLOTS < slot <= last:
                hour.merge(sums)
        return self.reference.drift(hour) if hour.count >= WINDOW_ROWS else None
