"""The core of modelmeter: rows in, profiles, statistics, verdicts and metrics out.

Promises: values in, values out; knows no socket of the data path, and never imports ``sidecar``.
Imports nothing heavy here, so that ``import exporter`` costs nothing.
"""

__version__ = "0.1.0"
