"""Profiles: what the values of a column were, in little memory, mergeable.

Promises: every entry is counted in `rows` and in exactly one of `missing`, `type_mismatch` and the bins (when
there are any); nothing a client can send raises. Merging is exact for all integers, bins and distinct
values, to rounding for moments, and within the sketch's bound for quantiles and frequent values.

What each kind makes of an entry:

| kind | values | type mismatch |
|---|---|---|
| numeric | numbers; True is 1; an int beyond float64 is ±inf | text (never parsed), lists, dates |
| categorical | text; bytes as UTF-8; ``true``, ``false``; 3 and 3.0 as ``3`` | lists, dicts, dates |
| boolean | True, False, and numbers equal to 1 or 0, as ``true`` and ``false`` | other numbers, text |
| text | as categorical; its number is its length in characters | as categorical |
| embedding | lists or array rows of numbers; its number is the L2 norm | anything else |

Bins, moments and quantiles are over the numbers where the kind has them; bins of the other two are over the
texts. Distinct and frequent values are of texts where the kind has them, else of numbers; frequent ones of
free text are lengths, so that no text is kept. None and NaN are missing, for every kind; so is an embedding
with a NaN in it, or of no elements. ±inf is counted in `infinite` and in the outer bins (also as out of range
and far), and is in no moment and no sketch. Details and their reasons: `exporter.profile.numeric` and
`exporter.profile.textual`.
"""

from exporter.profile.column import ColumnProfile
from exporter.profile.few import Few
from exporter.profile.grid import multiples
from exporter.profile.kinds import infer_kind
from exporter.profile.layout import Batch, Layout
from exporter.profile.parts import PartReader, Parts
from exporter.profile.pending import Pending
from exporter.profile.sketches import Sketches
from exporter.profile.tally import COUNTERS, Tally
from exporter.profile.textual import category_text, count_texts

__all__ = [
    "COUNTERS",
    "Batch",
    "ColumnProfile",
    "Few",
    "Layout",
    "PartReader",
    "Parts",
    "Pending",
    "Sketches",
    "Tally",
    "category_text",
    "count_texts",
    "infer_kind",
    "multiples",
]
