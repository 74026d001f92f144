"""Baselines: built from a training file, kept in one JSON document, compared with what is live.

For the running recorder: `Baseline`, `BaselineColumn`, `Calibration`, `BaselineError`. Building (`build.py`,
which needs pyarrow) and the command line (`cli.py`, which needs rich) are imported by those who need them.
"""

from exporter.baseline.baseline import Baseline, BaselineColumn
from exporter.baseline.calibration import Calibration
from exporter.baseline.errors import BaselineError

__all__ = ["Baseline", "BaselineColumn", "BaselineError", "Calibration"]
