"""Faults: the names a verdict may give and an injection may ask for, declared once."""

from exporter.faults.vocabulary import FAULTS, UNNAMED, Fault, fault

__all__ = ["FAULTS", "UNNAMED", "Fault", "fault"]
