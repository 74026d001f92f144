"""Named: a fault's name, a sentence for people, and the factor where there is one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Named:
    """What happened to a column, as far as its numbers say it."""

    fault: str
    """A name of `exporter.faults.FAULTS`, or `UNNAMED`."""
    sentence: str
    """Half a sentence: what is to be seen."""
    factor: float | None = None
    """By what all numbers were multiplied, of a ``scale``; None otherwise and for conversions."""
