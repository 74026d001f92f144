"""Envoy as a proxy of HTTP/1.1 or HTTP/2 with one worker."""

from __future__ import annotations

import json
from pathlib import Path

from bench.processes import BenchError, Process, free_port, wait_for
from bench.tools import CACHE

COMMAND = CACHE / "envs" / "bench" / "bin" / "envoy"
"""From PyPI (requirements/bench.txt), in the environment that ``make bench`` makes."""


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def configuration(port: int, upstream: int, *, h2: bool = False) -> dict[str, object]:
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
    if h2:
        options = {
            "@type": f"{types}.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
        cluster["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options
        }
    listener = {"name": "clients", "address": _address(port), "filter_chains": [{"filters": chain}]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def find() -> str:
    """The ``envoy`` command; `BenchError` when it is not there."""
    if not COMMAND.exists():
        raise BenchError("Envoy is not installed: run `make bench`")
    return str(COMMAND)


def start(directory: Path, upstream: int, *, h2: bool = False) -> tuple[Process, int]:
    """Envoy before *upstream*, over HTTP/2 on both sides when *h2*, and its port."""
    port = free_port()
    kind = "h2" if h2 else "http"
    file = directory / f"envoy-{kind}.json"
    file.write_text(json.dumps(configuration(port, upstream, h2=h2)))
    # A base id of its own: two Envoys of one machine otherwise fight over a shared memory region.
    base_id = str(port)
    options = ["--concurrency", "1", "--base-id", base_id, "--log-level", "error"]
    process = Process(f"Envoy {kind}", [find(), "-c", str(file), *options], directory)
    wait_for(port, process)
    return process, port
