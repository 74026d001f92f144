"""Monitor: rows in, profiles and windows kept, verdicts given, views out.

Promises: `Monitor.record` never raises (a fault costs one column of one batch, counted); memory is bounded
by the configuration's limits; versions and baselines are never mixed. Knows no thread: whoever calls it from
several holds a lock. Reads no clock: time comes with the rows and with each call.
"""

from exporter.baseline import BaselineError
from exporter.monitor.baselines import load_baselines, mismatches
from exporter.monitor.column import ColumnMonitor
from exporter.monitor.monitor import ERROR_PLACES, Monitor

__all__ = ["ERROR_PLACES", "BaselineError", "ColumnMonitor", "Monitor", "load_baselines", "mismatches"]
