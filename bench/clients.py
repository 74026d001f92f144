"""Clients of bytes made beforehand, on uvloop: a constant rate by a fixed timetable, and gRPC streams.

Why not ``h2load --rps``: it looks at the clock every 10 ms, so 32 connections at 500 requests/s send 160
requests at once and then nothing for 10 ms (seen in its log), and it times a request from when it was
sent. What waited behind a slow answer counts as fast there (coordinated omission).

Here request k is due at k / rate, whatever became of those before it, and **its time runs from when it was
due**: a connection that is busy makes its next request late, and that is in the percentiles. The clock is
looked at every millisecond, so due times are whole milliseconds. One core sends about 60,000 requests/s; of
a client that is late itself `Paced.drive` counts the delay as well, for everybody alike.

HTTP/2 is as little as it takes: header blocks without a table, every frame walked, no flow control (a
connection has less in flight than half of the smallest window there is, 65,535 bytes).
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import re
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
import uvloop

from bench.load import Figures
from bench.processes import BenchError

TICK = 0.001
PATIENCE = 30.0
"""Seconds until an answer that has not come is a failure; `kill -9` of a recorder must not cost one."""

DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
_FRAME = struct.Struct(">HBBBI")  # the length is in 24 bits: 16 and 8


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame of HTTP/2.

    >>> frame(SETTINGS, ACK, 0).hex()
    '000000040100000000'
    """
    return _FRAME.pack(len(payload) >> 8, len(payload) & 255, kind, flags, stream) + payload


def frames(buffer: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Kind, flags, stream and payload of each whole frame; last kind -1 and what is left.

    >>> [kind for kind, *_ in frames(frame(PING, 0, 0, bytes(8)) + b"12")]
    [6, -1]
    """
    place = 0
    while len(buffer) - place >= 9:
        high, low, kind, flags, stream = _FRAME.unpack_from(buffer, place)
        end = place + 9 + (high << 8 | low)
        if end > len(buffer):
            break
        yield kind, flags, stream, buffer[place + 9 : end]
        place = end
    yield -1, 0, 0, buffer[place:]


def fields(*pairs: tuple[str, str]) -> bytes:
    """A header block of literal fields that no table is needed for (RFC 7541, 6.2.2).

    >>> fields(("te", "x"))
    b'\\x00\\x02te\\x01x'
    """
    return b"".join(b"\0%c%b%c%b" % (len(n), n.encode(), len(v), v.encode()) for n, v in pairs)


OPENING = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 2**31 - 1))  # the window of each stream
    + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**31 - 1 - 65_535))
)


def call_head(path: str) -> bytes:
    """The header block of a gRPC call."""
    pseudo = ((":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "bench"))
    return fields(*pseudo, ("content-type", "application/grpc"), ("te", "trailers"))


class Client(asyncio.Protocol):
    """One connection; *done* is told of each request when it was due and whether it went well."""

    def __init__(self, turn: Iterator[bytes], done: Callable[[float, bool], None]) -> None:
        self.turn, self.done = turn, done
        self.waiting: deque[float] = deque()
        self.buffer = b""
        self.open: dict[int, float] = {}
        """Requests under way: when each was due."""
        self.most = 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready."""
        self.transport = cast(asyncio.Transport, transport)

    def ask(self, due: float) -> None:
        """Send the next request, now or when there is room."""
        if len(self.open) < self.most and not self.transport.is_closing():
            self.send(due)
        else:
            self.waiting.append(due)

    def send(self, due: float) -> None:
        """Send it now."""
        self.open[0] = due
        self.transport.write(next(self.turn))

    def answered(self, key: int, good: bool) -> None:
        """One request has ended."""
        due = self.open.pop(key, None)
        if due is not None:
            self.done(due, good)
        if self.waiting:
            self.send(self.waiting.popleft())

    def connection_lost(self, error: Exception | None) -> None:
        """What was under way, and what waited for it, has failed."""
        for due in (*self.open.values(), *self.waiting):
            self.done(due, False)
        self.open.clear()
        self.waiting.clear()


class Http1(Client):
    """HTTP/1.1, one request at a time; the answer has a known length."""

    _length = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")

    def data_received(self, data: bytes) -> None:
        """An answer, or a part of it."""
        self.buffer = data = self.buffer + data if self.buffer else data
        head = data.find(b"\r\n\r\n")
        if head < 0:
            return
        length = self._length.search(data, 0, head)
        if length is None or len(data) < head + 4 + int(length[1]):
            return
        self.buffer = b""
        self.answered(0, data.startswith(b"HTTP/1.1 200 ") and len(data) == head + 4 + int(length[1]))


class Grpc(Client):
    """gRPC over HTTP/2, each call a stream of its own, up to a hundred at once."""

    HEAD: ClassVar[bytes] = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The preface."""
        super().connection_made(transport)
        self.transport.write(OPENING)
        self.next = 1
        self.most = 100
        self.told: set[int] = set()

    def send(self, due: float) -> None:
        """HEADERS and DATA."""
        stream, self.next = self.next, self.next + 2
        self.open[stream] = due
        self.transport.write(
            frame(HEADERS, END_HEADERS, stream, self.HEAD) + frame(DATA, END_STREAM, stream, next(self.turn))
        )

    def data_received(self, data: bytes) -> None:
        """Frames."""
        for kind, flags, stream, payload in frames(self.buffer + data):
            if kind == DATA:
                self.message(stream, payload)
            elif kind == SETTINGS and not flags & ACK:
                self.transport.write(frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                self.transport.write(frame(PING, ACK, 0, payload))
            elif kind == RESET:
                self.answered(stream, False)
            elif kind == -1:
                self.buffer = payload
            if flags & END_STREAM and kind in (DATA, HEADERS):
                self.ended(stream)

    def message(self, stream: int, payload: bytes) -> None:
        """A part of the answer."""
        self.told.add(stream)

    def ended(self, stream: int) -> None:
        """The answer has ended; one without a message is a failure, of trailers only."""
        good = stream in self.told
        self.told.discard(stream)
        self.answered(stream, good)


def figures(latencies: Sequence[float], seconds: float) -> Figures:
    """Requests and percentiles in microseconds, of *latencies* in seconds.

    >>> figures([0.001, 0.001], 2).rate
    1.0
    """
    p50, p99, p999 = np.percentile(np.array(latencies) * 1e6, [50, 99, 99.9])
    return Figures(len(latencies), seconds, float(p50), float(p99), float(p999))


async def timetable(rate: float, seconds: float, ask: Callable[[float], None]) -> int:
    """Call *ask* with the time when each request is due, *rate* a second; returns how many there were."""
    whole, sent = int(rate * seconds), 0
    gc.disable()  # what it collects here takes 10 ms, which would be everybody's p99
    try:
        began = time.perf_counter()
        for tick in itertools.count(1):
            due = began + tick * TICK
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            until = min(whole, int((tick - 1) * TICK * rate) + 1)
            for _ in range(until - sent):
                ask(due)
            sent = until
            if sent == whole:
                return whole
    finally:
        gc.enable()
    raise AssertionError


@dataclass(frozen=True)
class Paced:
    """Requests at a constant rate, those of *requests* in turn; over gRPC they are messages to *path*."""

    title: str
    requests: Sequence[bytes]
    connections: int
    rate: float
    path: str = ""
    """Of gRPC; empty over HTTP/1.1, where a request has its head."""

    def drive(self, port: int, seconds: float) -> Figures:
        """Send for *seconds* and wait for what is under way; `BenchError` at any failure."""
        found, failures = uvloop.run(self.send(port, seconds))
        if failures:
            raise BenchError(f"{failures} of {failures + len(found)} requests failed: {self.title}")
        return figures(found, seconds)

    async def send(self, port: int, seconds: float) -> tuple[list[float], int]:
        """Latencies of those that went well, and how many did not."""
        loop = asyncio.get_running_loop()
        latencies: list[float] = []
        failures = 0

        def done(due: float, good: bool) -> None:
            nonlocal failures
            if good:
                latencies.append(time.perf_counter() - due)
            else:
                failures += 1

        turn = itertools.cycle(self.requests)
        kind = type("Call", (Grpc,), {"HEAD": call_head(self.path)}) if self.path else Http1
        clients: list[Client] = []
        for _ in range(self.connections):
            _, client = await loop.create_connection(lambda: kind(turn, done), "127.0.0.1", port)
            clients.append(client)
        next_client = itertools.cycle(clients).__next__
        whole = await timetable(self.rate, seconds, lambda due: next_client().ask(due))
        patience = time.perf_counter() + PATIENCE
        while len(latencies) + failures < whole and time.perf_counter() < patience:
            await asyncio.sleep(TICK)
        failed = whole - len(latencies)
        for client in clients:
            client.transport.close()
        return latencies, failed


def http_requests(bodies: Sequence[bytes], path: str = "/v2/models/bench/infer") -> list[bytes]:
    """Requests with heads as clients send them."""
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: "
    return [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies]


class StreamClient(Grpc):
    """A connection of streams: on each, *window* messages are always under way, or as many as are due."""

    def begin(self, count: int, window: int, sized: int) -> None:
        """Open *count* streams; an answer's message has *sized* bytes, and HTTP/2 may cut it anywhere."""
        self.sized, self.greedy, self.stopping = sized, window > 0, False
        self.sent = {2 * number + 1: deque[float]() for number in range(count)}
        self.got = dict.fromkeys(self.sent, 0)
        self.turns = itertools.cycle(self.sent)
        for stream in self.sent:
            self.open[stream] = 0.0
            self.transport.write(frame(HEADERS, END_HEADERS, stream, self.HEAD))
            for _ in range(window):
                self.push(stream, time.perf_counter())

    def ask(self, due: float) -> None:
        """One more message, on the streams in turn."""
        self.push(next(self.turns), due)

    def push(self, stream: int, due: float) -> None:
        """One more message."""
        self.sent[stream].append(due)
        self.transport.write(frame(DATA, 0, stream, next(self.turn)))

    def stop(self) -> None:
        """No more messages; each stream ends when it has been answered."""
        self.stopping = True
        for stream, sent in self.sent.items():
            if not sent:
                self.transport.write(frame(DATA, END_STREAM, stream))

    def message(self, stream: int, payload: bytes) -> None:
        """Each answer asks for the next message; after the last one the stream ends."""
        whole, self.got[stream] = divmod(self.got[stream] + len(payload), self.sized)
        for _ in range(whole):
            self.done(self.sent[stream].popleft(), True)
            if self.stopping:
                if not self.sent[stream]:
                    self.transport.write(frame(DATA, END_STREAM, stream))
            elif self.greedy:
                self.push(stream, time.perf_counter())

    def ended(self, stream: int) -> None:
        """The trailers came; with answers missing the stream has failed."""
        self.open.pop(stream, None)
        for sent in self.sent[stream]:
            self.done(sent, False)

    def connection_lost(self, error: Exception | None) -> None:
        """The same, of all streams."""
        for stream in tuple(self.open):
            self.ended(stream)
        self.open.clear()


@dataclass(frozen=True)
class Streams:
    """Messages on long streams: as fast as they are answered, or *rate* a second in all."""

    title: str
    messages: Sequence[bytes]
    answer_size: int
    path: str
    rate: float | None = None
    connections: int = 8
    streams: int = 4
    window: int = 4

    def drive(self, port: int, seconds: float) -> Figures:
        """Send for *seconds*, end every stream; `BenchError` when answers are missing."""
        return uvloop.run(self.send(port, seconds))

    async def send(self, port: int, seconds: float) -> Figures:
        """The same."""
        loop = asyncio.get_running_loop()
        latencies: list[float] = []
        failures = 0

        def done(sent: float, good: bool) -> None:
            nonlocal failures
            failures += not good
            latencies.append(time.perf_counter() - sent)

        turn = itertools.cycle(self.messages)
        kind = type("Stream", (StreamClient,), {"HEAD": call_head(self.path)})
        clients: list[StreamClient] = []
        for _ in range(self.connections):
            _, client = await loop.create_connection(lambda: kind(turn, done), "127.0.0.1", port)
            clients.append(client)
        for client in clients:
            client.begin(self.streams, 0 if self.rate else self.window, self.answer_size)
        if self.rate:
            next_client = itertools.cycle(clients).__next__
            await timetable(self.rate, seconds, lambda due: next_client().ask(due))
        else:
            await asyncio.sleep(seconds)
        for client in clients:
            client.stop()
        patience = time.perf_counter() + PATIENCE
        while any(client.open for client in clients) and time.perf_counter() < patience:
            await asyncio.sleep(TICK)
        left = sum(len(client.open) for client in clients)
        for client in clients:
            client.transport.close()
        if failures or left:
            raise BenchError(f"{failures} messages failed, {left} streams did not end: {self.title}")
        return figures(latencies, seconds)
