"""Windows: what a column's values were in the last hour, in an hour of the clock, in each slot of a day.

Time is Unix seconds and always an argument: nothing here reads a clock. A slot is 300 seconds; slot i is
[300 i, 300 (i + 1)), so daylight saving and time zones do not exist here: a local day is a pair of Unix
times, 23, 24 or 25 hours apart.

Promises:

* A row belongs to the slot of its time. Late rows go to their slot as long as it is held (26 hours, its
  sketches 65 minutes); later still they count in the totals and in `late`, and nowhere else.
* The *sliding window* of s seconds at time now is every slot that **begins after now - s**, the current one
  included: an hour is the last eleven whole slots and the one being filled, between 55 and 60 minutes. It
  never shows anything older than an hour, and newly arrived rows show at once.
* A *tumbling window* [start, end) is the slots in it, exactly; [13:00, 14:00) can be judged as soon as the
  clock has passed 14:00.
* Slots without rows are gaps: they count as nothing, and need no clearing.
* When the clock is set back, new rows are added to the slots of that earlier time; when a window is read
  with a clock more than one slot behind, the slots of the future are forgotten. Totals never fall. When it
  jumps ahead, what has become too old is overwritten as its place is needed again.

Memory of a numeric column of 22 bins with every slot in use (see `ColumnWindows.nbytes`):

| rows in each of the last 13 slots | slots of 26 h | hours of 8 d | sketches | in all | resident, measured |
|---|---|---|---|---|---|
| 300 | 31 kB | 13 kB | 37 kB | 81 kB | 50 kB |
| 20,000 | 31 kB | 24 kB | 67 kB | 122 kB | 94 kB |
| 70,000 (counts then take 32 bits) | 49 kB | 24 kB | 70 kB | 143 kB | 129 kB |

So 100 busy columns take 9 to 14 MB.
"""

from exporter.window.column import HOUR_SECONDS, HOURS, SLOT_SECONDS, SLOTS, ColumnWindows, WindowState
from exporter.window.ring import TallyRing
from exporter.window.slots import SKETCH_SLOTS, SketchSlots

__all__ = [
    "HOURS",
    "HOUR_SECONDS",
    "SKETCH_SLOTS",
    "SLOTS",
    "SLOT_SECONDS",
    "ColumnWindows",
    "SketchSlots",
    "TallyRing",
    "WindowState",
]
