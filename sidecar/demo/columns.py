"""The columns of the flights, for those who do not have pandas."""

from __future__ import annotations

CATEGORIES = ("carrier", "origin", "dest")
NUMBERS = ("dep_delay", "distance", "hour")
FEATURES = (*CATEGORIES, *NUMBERS)
"""Inputs of the model, in its order. `hour` (scheduled, local) is an input that is not monitored."""
