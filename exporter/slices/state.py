"""The hours of slices in a checkpoint.

Counters are not kept: they begin at 0 with the recorder, as those of Prometheus may. One that went on a
little below what had been shown would be taken for a reset, and all of it be counted again.
"""

from __future__ import annotations

import msgspec

from exporter.window import HoursState


class SeriesState(msgspec.Struct, array_like=True, frozen=True):
    """A `Series`."""

    value: str | None
    """None for the rest."""
    column: str
    layout: str
    """`Layout.id`."""
    hours: HoursState
    kept_out: list[int]


class SliceState(msgspec.Struct, array_like=True, frozen=True):
    """One slice: the values that are followed, and their series."""

    name: str
    chosen: list[str]
    series: list[SeriesState]
