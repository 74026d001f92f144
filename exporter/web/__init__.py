"""Web: an application over HTTP or HTTPS, configured as Prometheus' exporters are (``--web.config.file``)."""

from exporter.web.server import Server

__all__ = ["Server"]
