"""Envoy as an HTTP proxy with one worker."""

from __future__ import annotations

import json
import os
from pathlib import Path

from bench.processes import BenchError, Process, free_port, wait_for
from bench.tools import CACHE

COMMAND = CACHE / "envs" / "bench" / "bin" / "envoy"
"""From PyPI (requirements/bench.txt), in the environment that ``make bench`` makes."""


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def configuration(port: int, upstream: int) -> dict[str, object]:
    """Envoy's bootstrap: one listener, one route, one cluster, no access log, no admin interface."""
    types = "type.googleapis.com/envoy.extensions"
    manager = {
        "@type": f"{types}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "model", "timeout": "0s"}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{types}.filters.http.router.v3.Router"},
            }
        ],
    }
    chain = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    endpoint = {"endpoint": {"address": _address(upstream)}}
    cluster = {
        "name": "model",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": "model", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    listener = {"name": "clients", "address": _address(port), "filter_chains": [{"filters": chain}]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def find() -> str:
    """The ``envoy`` command; `BenchError` when it is not there."""
    if not COMMAND.exists():
        raise BenchError("Envoy is not installed: run `make bench`")
    return str(COMMAND)


def start(directory: Path, upstream: int) -> tuple[Process, int]:
    """Envoy before *upstream*, and its port."""
    port = free_port()
    file = directory / "envoy.json"
    file.write_text(json.dumps(configuration(port, upstream)))
    # A base id of its own: two Envoys of one machine otherwise fight over a shared memory region.
    base_id = str(os.getpid() % 1_000_000 + 1)
    options = ["--concurrency", "1", "--base-id", base_id, "--log-level", "error"]
    process = Process("Envoy http", [find(), "-c", str(file), *options], directory)
    wait_for(port, process)
    return process, port
