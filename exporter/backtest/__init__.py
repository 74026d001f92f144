"""Backtest: what the verdict would have said of a file of past rows.

A CSV or Parquet file with a time for each row goes through the very same `exporter.monitor.Monitor` as live
traffic, under a simulated clock, five minutes at a time.

Promises: the verdicts are the monitor's, unchanged; the same rows in any order and either format give the
same lines; windows that the file covers only in part are told as ``insufficient``, never judged as if whole.
Refuses: a file without a usable time column, or so much out of order that it would have to be sorted outside
memory (`BacktestError`, `exporter.baseline.BaselineError`). Imports pyarrow: nothing of the running recorder
imports this.
"""

from exporter.backtest.errors import BacktestError

__all__ = ["BacktestError"]
