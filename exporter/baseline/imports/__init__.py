"""Imports: baselines from what other monitors wrote, so that nobody has to find the training data again.

| from | files | columns |
|---|---|---|
| SageMaker | ``statistics.json``, optionally ``constraints.json`` | KLL sketch or buckets, categories |
| whylogs | a profile, ``.bin`` | KLL sketch, frequent items, counts |
| boxkite | ``histogram.prom`` | histograms, counters |

None of them kept times, so an imported baseline is uncalibrated: drift gives tickets, never a page. That and
what a file does not tell stands in `Imported.notes`.
"""

from exporter.baseline.imports.imported import Imported, detect, import_baseline
from exporter.baseline.imports.sagemaker import Constraints, read_constraints
from exporter.baseline.imports.violations import (
    Observed,
    Violation,
    observed_column,
    observed_hours,
    violations,
)

__all__ = [
    "Constraints",
    "Imported",
    "Observed",
    "Violation",
    "detect",
    "import_baseline",
    "observed_column",
    "observed_hours",
    "read_constraints",
    "violations",
]
