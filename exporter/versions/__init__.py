"""Versions: two versions of one model, live against live: is it the data or the new version?

Promises: pure functions over hour tables; no baseline is needed, where there is one its natural variance
counts.
"""

from exporter.versions.compare import CAUSES, Cause, Compared, compare_versions, sentence
from exporter.versions.judge import VersionJudge

__all__ = ["CAUSES", "Cause", "Compared", "VersionJudge", "compare_versions", "sentence"]
