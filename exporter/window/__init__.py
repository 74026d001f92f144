"""Windows: what a column's values were in the last hour, in each hour of eight days, on each of eight days.

Time is Unix seconds and always an argument: nothing here reads a clock. A slot is 300 seconds; slot i is
[300 i, 300 (i + 1)). Hours and days are those of a `Calendar`: an hour begins when a clock on the wall of the
configured zone shows :00, in zones of half an hour too, and is 3,600 s of Unix time; a day is the hours that
begin on its date, 23, 24 or 25 of them.

| held | how long | what for |
|---|---|---|
| totals | for ever, over restarts with ``--state`` | counters |
| slots: counts, moments | 26 hours | sliding windows, the last N rows, the same hour yesterday, onsets |
| slots: few values or sketches | 65 minutes | the last hour's quantiles, distinct and frequent values |
| hours: counts, moments, the 8 most frequent numbers | 8 days and 4 hours | `history`, the hour a week ago |
| days: few values or sketches | 8 local days, today among them | names of faults: what a day was like |

Values that come a few at a time wait to be read together, up to 511 of them and of one hour: whoever asks a
column anything reads them first (`exporter.profile.PartReader`).

Promises:

* A row belongs to the slot of its time. Late rows go to their slot as long as it is held, to their hour as
  long as that is (8 days), and into their day's sketches; what is later still than 26 hours counts in `late`.
  An hour's most frequent numbers lack rows that came more than five minutes after its end.
* The *sliding window* of s seconds at time now is every slot that **begins after now - s**, the current one
  included: an hour is the last eleven whole slots and the one being filled, between 55 and 60 minutes. It
  never shows anything older than an hour, and newly arrived rows show at once.
* A *tumbling window* [start, end) is the slots in it, exactly; [13:00, 14:00) can be judged as soon as the
  clock has passed 14:00.
* Slots and hours without rows are gaps: they count as nothing, and need no clearing.
* An *outage* (`Calendar.note_outage`: the recorder was not there) makes a window of which it took more than
  5 % incomplete, and so not to be judged; a shorter one only makes its counts smaller.
* When the clock is set back, new rows are added to the slots and hours of that earlier time; when a window is
  read with a clock more than one slot behind, slots, hours and days of the future are forgotten (not what the
  hour and the day of that clock had counted). Totals never fall. When it jumps ahead, what has become too old
  is overwritten as its place is needed again.
* Where summer time ends, a day has 25 rows in `history`, two of them of the same cell; where it begins, 23.

Memory of a numeric column of 22 bins with every slot, hour and day in use (see `ColumnWindows.nbytes`; held
to it by tests/window/test_history.py):

| rows in each of the last 13 slots | slots | hours | days | sketches | in all | resident, measured |
|---|---|---|---|---|---|---|
| 300 | 31 kB | 40 kB | 32 kB | 43 kB | 147 kB | 167 kB |
| 20,000 | 31 kB | 52 kB | 31 kB | 63 kB | 177 kB | 197 kB |
| 70,000 (counts then take 32 bits) | 50 kB | 52 kB | 32 kB | 66 kB | 199 kB | 217 kB |

So 100 busy columns take 17 to 22 MB. Hours that came with a baseline (`ColumnWindows.seed`) are its
own arrays and cost nothing here.
"""

from exporter.window.calendar import MISSED_SHARE, Calendar
from exporter.window.column import SLOT_SECONDS, SLOTS, ColumnWindows, WindowState
from exporter.window.days import DAYS, DaySketches
from exporter.window.hours import HISTORY, HOUR_SECONDS, HOURS, HourRing
from exporter.window.ring import TallyRing
from exporter.window.slots import SKETCH_SLOTS, SketchSlots
from exporter.window.state import HoursState, WindowsState

__all__ = [
    "DAYS",
    "HISTORY",
    "HOURS",
    "HOUR_SECONDS",
    "MISSED_SHARE",
    "SKETCH_SLOTS",
    "SLOTS",
    "SLOT_SECONDS",
    "Calendar",
    "ColumnWindows",
    "DaySketches",
    "HourRing",
    "HoursState",
    "SketchSlots",
    "TallyRing",
    "WindowState",
    "WindowsState",
]
