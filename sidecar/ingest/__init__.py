"""Ingest: the second door. CloudEvents of a payload logger come in over HTTP, exchanges go out.

For those who can put nothing inline: KServe's and Seldon's loggers, and our own `sidecar.client`, post what
they saw; here request and answer are paired and go the same way as what a tap has copied.
"""

from sidecar.ingest.ingest import Ingest

__all__ = ["Ingest"]
