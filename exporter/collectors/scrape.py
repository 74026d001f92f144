"""Scrape: what a collector is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.collectors.budget import Shown
from exporter.views import View


@dataclass(frozen=True, slots=True)
class Scrape:
    """One moment, what of it the budget lets through, and what this server counted itself."""

    view: View
    shown: Shown
    series_dropped: Mapping[str, int]
    """Stage → series left out of all scrapes so far, this one included."""
    errors: Mapping[str, int]
    """Place → errors of this server so far; those of the recorder are in the view."""
