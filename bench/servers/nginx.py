"""nginx as the model server: one process that gives the same valid KServe v2 answer to everything.

Far faster than any model, so that what is measured is what stands before it.
"""

from __future__ import annotations

from pathlib import Path

from bench.processes import BenchError, Process, free_port, wait_for
from bench.tools import find

CONFIGURATION = """\
daemon off;
master_process off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_max_body_size 10m;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  default_type application/json;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ return 200 '{answer}'; }}
  }}
}}
"""


def start(directory: Path, answer: str) -> tuple[Process, int]:
    """nginx answering *answer* (JSON without single quotes), and its port."""
    if "'" in answer or "$" in answer:
        raise BenchError("nginx would not give this answer as it is")
    port = free_port()
    file = directory / "nginx.conf"
    file.write_text(CONFIGURATION.format(directory=directory, port=port, answer=answer))
    command = [find("nginx"), "-p", str(directory), "-c", str(file), "-e", "stderr"]
    process = Process("nginx", command, directory)
    wait_for(port, process)
    return process, port
