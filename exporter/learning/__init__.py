"""Learning: a baseline from live traffic, where there are no training data.

A `ColumnLearner` counts one column hour by hour on edges that need no baseline; `ModelLearner` holds a
model's columns; states of many recorders add up exactly. `learn_baseline` leaves drifted hours out (`guard`),
cuts bins, calibrates by the same fit as ``baseline build`` and gives a normal baseline, marked as learnt.
"""

from exporter.learning.baseline import Learnt, learn_baseline
from exporter.learning.column import ColumnLearner, State, merged
from exporter.learning.guard import LeftOut, drifted_hours
from exporter.learning.loglinear import live_bins
from exporter.learning.model import LearningError, ModelLearner, read_states, write_states
from exporter.learning.promotion import FREEZE_DAYS, Promotion, promotion

__all__ = [
    "FREEZE_DAYS",
    "ColumnLearner",
    "LearningError",
    "Learnt",
    "LeftOut",
    "ModelLearner",
    "Promotion",
    "State",
    "drifted_hours",
    "learn_baseline",
    "live_bins",
    "merged",
    "promotion",
    "read_states",
    "write_states",
]
