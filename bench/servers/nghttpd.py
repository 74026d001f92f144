"""nghttpd (of nghttp2) answering a gRPC call at once, trailers and all: far faster than a model."""

from __future__ import annotations

import struct
from pathlib import Path

from bench.dialects import GRPC_ANSWER, SERVICE
from bench.processes import Process, free_port, wait_for
from bench.tools import find


def message(body: bytes) -> bytes:
    """A gRPC message: no compression, its length, itself."""
    return struct.pack(">BI", 0, len(body)) + body


def start(directory: Path) -> tuple[Process, int]:
    """nghttpd that answers ModelInfer, and its port."""
    folder = directory / "nghttpd" / SERVICE
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ModelInfer").write_bytes(message(GRPC_ANSWER))
    port = free_port()
    command = [
        *(find("nghttpd"), "--no-tls", "--address=127.0.0.1", "--trailer=grpc-status: 0"),
        *(f"--htdocs={folder.parent}", str(port)),
    ]
    process = Process("nghttpd", command, directory)
    wait_for(port, process)
    return process, port
