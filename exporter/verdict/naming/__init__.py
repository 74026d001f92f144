"""Naming: from two pictures of a column to the name of a fault and a sentence.

Rates, atoms, lines, mixtures, categories: one subject a file; `name_fault` asks them in order.
"""

from exporter.verdict.naming.name import name_fault
from exporter.verdict.naming.named import Named

__all__ = ["Named", "name_fault"]
