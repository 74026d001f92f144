"""Faults: the names a verdict may give and an injection may ask for, declared once; and the injection."""

from exporter.faults.facts import ColumnFacts
from exporter.faults.inject import inject
from exporter.faults.strength import Flood, Strength, parse_strength
from exporter.faults.vocabulary import FAULTS, UNNAMED, Fault, fault

__all__ = [
    "FAULTS",
    "UNNAMED",
    "ColumnFacts",
    "Fault",
    "Flood",
    "Strength",
    "fault",
    "inject",
    "parse_strength",
]
