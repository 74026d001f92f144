"""A model server by script, for loads that need every dialect at once: its answers are canned.

``python -m bench.servers.scripted HTTP_PORT GRPC_PORT``. HTTP/1.1 on asyncio streams, gRPC on grpcio's own
server without message classes. Real servers are in the tests; this one costs little beside what is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import sys
from collections.abc import AsyncIterator

import grpc

from bench.dialects import DIALECTS, GRPC_ANSWER, GRPC_STREAM_ANSWER, SERVICE

ANSWERS = {dialect.path: dialect for dialect in DIALECTS}


async def read_request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes] | None:
    """Path, fields and body of the next request; None at the end."""
    line = await reader.readline()
    if not line:
        return None
    path = line.split()[1].decode()
    fields: dict[str, str] = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        fields[name.lower()] = value.strip()
    if fields.get("transfer-encoding") == "chunked":
        body = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = await reader.readexactly(int(fields.get("content-length", "0")))
    return path, fields, body


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while (request := await read_request(reader)) is not None:
            path, fields, _ = request
            dialect = ANSWERS.get(path)
            if dialect is None:
                status, kind, answer = "404 Not Found", "application/json", b'{"error": "no such model"}'
            elif "x-fail" in fields:
                status, kind, answer = (
                    "500 Internal Server Error",
                    "application/json",
                    b'{"error": "told to"}',
                )
            else:
                status, kind, answer = "200 OK", dialect.answer_type, dialect.answer
            extra = ""
            if "gzip" in fields.get("accept-encoding", "") and len(answer) > 100:
                answer, extra = gzip.compress(answer, 1), "Content-Encoding: gzip\r\n"
            head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{extra}"
            if "x-chunked" in fields:
                half = len(answer) // 2
                pieces = b"".join(
                    b"%x\r\n%b\r\n" % (len(part), part) for part in (answer[:half], answer[half:])
                )
                writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + pieces + b"0\r\n\r\n")
            else:
                writer.write(f"{head}Content-Length: {len(answer)}\r\n\r\n".encode() + answer)
            await writer.drain()
    writer.close()


async def unary(request: bytes, context: object) -> bytes:
    """ModelInfer."""
    return GRPC_ANSWER


async def stream(requests: AsyncIterator[bytes], context: object) -> AsyncIterator[bytes]:
    """ModelStreamInfer: one answer for each request."""
    async for _ in requests:
        yield GRPC_STREAM_ANSWER


async def main(http_port: int, grpc_port: int) -> None:
    """Serve until killed."""
    server = grpc.aio.server()
    handlers = {
        "ModelInfer": grpc.unary_unary_rpc_method_handler(unary),
        "ModelStreamInfer": grpc.stream_stream_rpc_method_handler(stream),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_insecure_port(f"127.0.0.1:{grpc_port}")
    await server.start()
    async with await asyncio.start_server(serve, "127.0.0.1", http_port, limit=1 << 21):
        await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
