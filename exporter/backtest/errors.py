"""What is wrong with the file or the options of a backtest, in one sentence."""

from __future__ import annotations

from exporter.mistake import MistakeError


class BacktestError(MistakeError):
    """What is wrong with a file that is to be replayed, or with ``--inject``."""
