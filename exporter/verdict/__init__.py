"""The verdict: is this window abnormal, since when, and what is to be seen.

Three pure functions, in the order they are asked: `judge` → `onset` → `describe`.
"""

from exporter.verdict.describe import describe
from exporter.verdict.engine import Scores, score_windows
from exporter.verdict.judge import (
    BASELINE_ROWS,
    UNCALIBRATED_PSI,
    UNCALIBRATED_ROWS,
    WINDOW_ROWS,
    Detector,
    Judgement,
    judge,
    judge_windows,
    states,
)
from exporter.verdict.onset import onset

__all__ = [
    "BASELINE_ROWS",
    "UNCALIBRATED_PSI",
    "UNCALIBRATED_ROWS",
    "WINDOW_ROWS",
    "Detector",
    "Judgement",
    "Scores",
    "describe",
    "judge",
    "judge_windows",
    "onset",
    "score_windows",
    "states",
]
