"""Monitor: rows in, profiles and windows kept, verdicts given, views out.

Promises: `Monitor.record` never raises (a fault costs one column of one batch, counted); memory is bounded
by the configuration's limits; versions and baselines are never mixed. Knows no thread: whoever calls it from
several holds a lock. Reads no clock: time comes with the rows and with each call.
"""

from exporter.baseline import BaselineError
from exporter.monitor.baselines import load_baselines, mismatches
from exporter.monitor.column import ColumnMonitor
from exporter.monitor.keeping import restore, save
from exporter.monitor.monitor import ERROR_PLACES, Monitor, Notice
from exporter.monitor.state import Restored, encode_shown

__all__ = [
    "ERROR_PLACES",
    "BaselineError",
    "ColumnMonitor",
    "Monitor",
    "Notice",
    "Restored",
    "encode_shown",
    "load_baselines",
    "mismatches",
    "restore",
    "save",
]
