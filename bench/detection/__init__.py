"""The honest measurement of verdicts on real streams: ``python -m bench.detection``.

What it finds is docs/detection.md. It works on `exporter.hourly.HourTable` and `exporter.verdict` as the
running monitor does, and on the same windows for every peer.
"""
