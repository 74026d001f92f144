"""A relay that writes down what it reads: one stands before the sidecar and one behind it.

Promises: every read is passed on at once and unchanged; the end of one direction is passed on as such, and a
reset as a reset; what was read is kept in order. It is how the captures were taken, too
(`tests/captures/take.py`).
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

SIDES = ("c2s", "s2c")


class Talk:
    """One connection: its reads as (nanoseconds since the first byte's accept, side, bytes)."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.began = time.monotonic_ns()
        self.reads: list[tuple[int, int, bytes]] = []
        self.sockets = (client, server)

    def side(self, side: int) -> bytes:
        """All bytes of one direction: 0 from client to server, 1 back."""
        return b"".join(data for _, found, data in list(self.reads) if found == side)

    def pump(self, side: int) -> None:
        """Pass one direction on until it ends."""
        source, target = self.sockets[side], self.sockets[1 - side]
        try:
            while data := source.recv(65536):
                self.reads.append((time.monotonic_ns() - self.began, side, data))
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            with contextlib.suppress(OSError):
                target.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            for each in self.sockets:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


class Relay:
    """Listens on a loopback port and passes every connection on to *upstream*, a port too."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._talks: list[Talk] = []
        self._threads: list[threading.Thread] = []
        self._run(self._accept)

    def _run(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._upstream))
            except OSError:
                client.close()
                continue
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            talk = Talk(client, server)
            self._talks.append(talk)
            self._run(lambda talk=talk: talk.pump(0))
            self._run(lambda talk=talk: talk.pump(1))

    @property
    def talks(self) -> list[Talk]:
        """The connections on which a client said something, in the order of their beginning.

        Others are the supervisor's, which looks whether the server accepts any; servers of HTTP/2 greet it.
        """
        return [talk for talk in self._talks if talk.side(0)]

    def said(self) -> list[tuple[bytes, bytes]]:
        """Both directions of every connection, sorted."""
        return sorted((talk.side(0), talk.side(1)) for talk in self.talks)

    def save(self, folder: Path, name: str) -> None:
        """Write what was said as ``NAME.N.c2s.bin``, ``NAME.N.s2c.bin`` and ``NAME.N.tl``."""
        for number, talk in enumerate(self.talks):
            stem = f"{name}.{number}"
            offsets = [0, 0]
            lines = []
            for nanoseconds, side, data in talk.reads:
                lines.append(f"{nanoseconds // 1000} {SIDES[side]} {offsets[side]} {len(data)}\n")
                offsets[side] += len(data)
            for side in (0, 1):
                folder.joinpath(f"{stem}.{SIDES[side]}.bin").write_bytes(talk.side(side))
            folder.joinpath(f"{stem}.tl").write_text("".join(lines))

    def stop(self) -> None:
        """Close everything."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for talk in self._talks:
            for each in talk.sockets:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for talk in self._talks:
            for each in talk.sockets:
                each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def same(before: Relay, behind: Relay, seconds: float = 10.0) -> None:
    """Return once both have heard the same on every connection; AssertionError with the place if they do not."""
    deadline = time.monotonic() + seconds
    while (left := before.said()) != (right := behind.said()):
        if time.monotonic() > deadline:
            raise AssertionError(difference(left, right))
        time.sleep(0.02)


def difference(left: list[tuple[bytes, bytes]], right: list[tuple[bytes, bytes]]) -> str:
    """Where two lists of conversations differ first, in one sentence."""
    if len(left) != len(right):
        return f"{len(left)} connections before the sidecar, {len(right)} behind it"
    for number, (before, behind) in enumerate(zip(left, right, strict=True)):
        for side, one, other in zip(SIDES, before, behind, strict=True):
            if one != other:
                at = next((i for i in range(min(len(one), len(other))) if one[i] != other[i]), None)
                where = f"from byte {at}" if at is not None else "in length"
                return f"connection {number} {side} differs {where}: {len(one)} bytes before, {len(other)} behind"
    return "no difference"
