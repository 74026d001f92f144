"""Slices: the rows of a model told apart by the values of declared categorical features.

Of each slice value: rows, missing values, the predictions' bins hour by hour, and a verdict on them for hours
and days, by the same engine as the columns; and which slice a column's change is mostly in.

Promises: memory bounded by `SERIES` rings of hours of about 17 kB (16 bins) a model version, no sketches;
values that are not followed are one more, ``other``. Reads no clock.
"""

from exporter.slices.monitor import SERIES, SliceMonitor
from exporter.slices.series import Series
from exporter.slices.state import SliceState
from exporter.slices.values import OTHER, SliceValues

__all__ = ["OTHER", "SERIES", "Series", "SliceMonitor", "SliceState", "SliceValues"]
