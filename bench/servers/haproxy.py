"""HAProxy in http mode (HTTP/1.1 or HTTP/2 on both sides) and in tcp mode: processes of one thread each."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from bench.processes import Process, free_port, wait_for
from bench.tools import find

CONFIGURATION = """\
global
  nbthread 1
  maxconn 4096
defaults
  mode {mode}
  timeout client 60s
  timeout server 60s
  timeout connect 5s
frontend clients
  bind 127.0.0.1:{port} backlog 4096{proto}
  default_backend model
backend model
  server model 127.0.0.1:{upstream}{proto}
"""


def start(directory: Path, upstream: int, mode: Literal["http", "tcp", "h2"]) -> tuple[Process, int]:
    """HAProxy before *upstream*, and its port."""
    port = free_port()
    file = directory / f"haproxy-{mode}.cfg"
    settings = {"mode": "http", "proto": " proto h2"} if mode == "h2" else {"mode": mode, "proto": ""}
    file.write_text(CONFIGURATION.format(port=port, upstream=upstream, **settings))
    process = Process(f"HAProxy {mode}", [find("haproxy"), "-db", "-f", str(file)], directory)
    wait_for(port, process)
    return process, port
