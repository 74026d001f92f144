"""A gRPC server of bytes: each message of a stream is answered by one message at once.

``python -m bench.servers.streams PORT``: ModelStreamInfer for `bench.streams`, about 5 µs a message. All
requests have one size (`REQUEST_SIZE`), so where a message ends is told by counting.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from pathlib import Path
from typing import cast

import uvloop
from tritonclient.grpc import service_pb2

from bench import clients
from bench.clients import ACK, DATA, END_HEADERS, END_STREAM, HEADERS, PING, SETTINGS, WINDOW_UPDATE, frame
from bench.load import FEATURES, training_rows
from bench.processes import Process, free_port, wait_for

MESSAGES = 256
GRANTED = 16_384
"""A window is given back in steps of this size."""


def message(body: bytes) -> bytes:
    """A gRPC message: no compression, its length, itself."""
    return struct.pack(">BI", 0, len(body)) + body


def _request(values: list[float]) -> bytes:
    asked = service_pb2.ModelInferRequest(model_name="bench")
    tensor = asked.inputs.add()
    tensor.name, tensor.datatype = "input", "FP32"
    tensor.shape.extend([1, FEATURES])
    asked.raw_input_contents.append(struct.pack(f"<{FEATURES}f", *values))
    return message(asked.SerializeToString())


def _answer() -> bytes:
    answer = service_pb2.ModelInferResponse(model_name="bench", model_version="1")
    output = answer.outputs.add()
    output.name, output.datatype = "score", "FP32"
    output.shape.extend([1, 1])
    answer.raw_output_contents.append(struct.pack("<f", 0.25))
    return message(service_pb2.ModelStreamInferResponse(infer_response=answer).SerializeToString())


REQUESTS = [_request(row) for row in training_rows(MESSAGES, seed=2)]
REQUEST_SIZE = len(REQUESTS[0])
ANSWER = _answer()
HEAD = clients.fields((":status", "200"), ("content-type", "application/grpc"))
TRAILERS = clients.fields(("grpc-status", "0"))


class Server(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The preface of a server is its SETTINGS; streams may be many and wide."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own
        self.buffer, self.preface = b"", 24
        self.got: dict[int, int] = {}
        self.owed: dict[int, int] = {0: 0}
        self.transport.write(frame(SETTINGS, 0, 0, struct.pack(">HIHI", 3, 1000, 4, 1 << 20)))

    def data_received(self, data: bytes) -> None:
        """Frames of the client."""
        data = self.buffer + data
        if self.preface:
            if len(data) < self.preface:
                self.buffer = data
                return
            data, self.preface = data[self.preface :], 0
        out = []
        for kind, flags, stream, payload in clients.frames(data):
            if kind == -1:
                self.buffer = payload
            elif kind == SETTINGS and not flags & ACK:
                out.append(frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                out.append(frame(PING, ACK, 0, payload))
            elif kind == HEADERS:
                self.got[stream] = self.owed[stream] = 0
                out.append(frame(HEADERS, END_HEADERS, stream, HEAD))
            elif kind == DATA:
                whole, self.got[stream] = divmod(self.got[stream] + len(payload), REQUEST_SIZE)
                out.extend([frame(DATA, 0, stream, ANSWER)] * whole)
                for which in (0, stream):
                    self.owed[which] += len(payload)
                    if self.owed[which] >= GRANTED:
                        out.append(frame(WINDOW_UPDATE, 0, which, struct.pack(">I", self.owed[which])))
                        self.owed[which] = 0
            if flags & END_STREAM and kind in (DATA, HEADERS):
                del self.got[stream], self.owed[stream]
                out.append(frame(HEADERS, END_HEADERS | END_STREAM, stream, TRAILERS))
        if out:
            self.transport.write(b"".join(out))


def start(directory: Path) -> tuple[Process, int]:
    """The server, and its port."""
    port = free_port()
    process = Process("streams", [sys.executable, "-m", "bench.servers.streams", str(port)], directory)
    wait_for(port, process)
    return process, port


async def main(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
