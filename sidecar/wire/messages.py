"""Messages of gRPC: one direction of one stream, handed out one by one as they end.

Promises: a message's length is known from the five bytes before it, so bytes that were not copied inside of
it are passed over exactly; where such bytes hold the beginning of another message the framing is lost, and
one last message says so (`complete` False). At most `limit` bytes of one message are held, within `Held`.
"""

from __future__ import annotations

import struct

from sidecar.exchange import Exchange, Message
from sidecar.wire.body import Held

_PREFIX = struct.Struct(">BI")
_unpack = _PREFIX.unpack_from
_SIZE = _PREFIX.size
# gRPC over HTTP/2: "Length-Prefixed-Message → Compressed-Flag Message-Length Message"; one byte, 0 or 1, and
# four, big endian.


class Messages:
    """The messages of one direction.

    >>> done: list[Exchange | Message] = []
    >>> messages = Messages(Exchange("grpc", b"POST", b"/s/Stream"), 0, 100, Held(100))
    >>> messages.receive(b"\\0\\0\\0\\0\\x02ab\\1\\0", 0, 9, 1, done)
    >>> messages.receive(b"\\0\\0\\1c", 0, 4, 2, done)
    >>> [(message.body, message.compressed, message.time, message.size) for message in done]
    [(b'ab', False, 1, 7), (b'c', True, 2, 6)]
    """

    __slots__ = (
        "_complete", "_compressed", "_copy", "_direction", "_exchange", "_held", "_inside", "_length",
        "_limit", "_prefix", "_remaining", "lost",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, direction: int, limit: int, held: Held) -> None:
        # Per direction of a stream
        self._exchange = exchange
        self._direction = direction
        self._limit = limit
        self._held = held
        self.lost = False
        """Where the next message begins is not known any more."""
        # Per message
        self._prefix = b""  # less than five bytes
        self._inside = False
        self._length = 0
        self._remaining = 0
        self._compressed = False
        self._complete = True
        self._copy = bytearray()

    @property
    def held(self) -> int:
        """Bytes that stand in `Held` for this direction."""
        return len(self._copy)

    def receive(
        self, data: bytes, start: int, stop: int, now_ns: int, done: list[Exchange | Message]
    ) -> None:
        """Read *data* from *start* to *stop*; messages that ended are appended to *done*."""
        while start < stop and not self.lost:
            if self._inside:
                taken = min(self._remaining, stop - start)
                self._keep(data, start, start + taken)
                start += taken
                self._remaining -= taken
                if self._remaining == 0:
                    self._end(now_ns, done)
                continue
            if not self._prefix and stop - start >= _SIZE:
                flag, length = _unpack(data, start)
                start += _SIZE
                if (
                    flag <= 1 and length <= stop - start and length <= self._limit
                ):  # nearly always all is here
                    body = data[start : start + length]
                    start += length
                    done.append(
                        Message(
                            self._exchange, self._direction, body, now_ns, _SIZE + length, flag == 1, True
                        )
                    )
                    continue
            else:
                taken = _SIZE - len(self._prefix)
                prefix = self._prefix + data[start : min(start + taken, stop)]
                start += taken
                if len(prefix) < _SIZE:
                    self._prefix = prefix
                    return
                self._prefix = b""
                flag, length = _unpack(prefix, 0)
            if flag > 1:
                self._lose(0, now_ns, done)
                return
            self._inside = True
            self._length = self._remaining = length
            self._compressed = flag == 1
            self._complete = length <= self._limit
            if length == 0:
                self._end(now_ns, done)

    def skip(self, nbytes: int, now_ns: int, done: list[Exchange | Message]) -> None:
        """Pass over *nbytes* that were not copied."""
        if self.lost or nbytes <= 0:
            return
        if not self._inside or nbytes > self._remaining:
            self._lose(_SIZE + self._length if self._inside else 0, now_ns, done)
            return
        self._give_up()
        self._remaining -= nbytes
        if self._remaining == 0:
            self._end(now_ns, done)

    def lose(self, now_ns: int, done: list[Exchange | Message]) -> None:
        """Bytes are missing of which not even the number is known."""
        if not self.lost:
            self._lose(0, now_ns, done)

    def release(self) -> None:
        """The stream has ended: a message that has not, never was one."""
        self._held.bytes -= len(self._copy)
        self._copy.clear()

    def _keep(self, data: bytes, start: int, stop: int) -> None:
        if not self._complete:
            return
        if stop - start > self._held.limit - self._held.bytes:
            self._give_up()
            return
        self._copy += memoryview(data)[start:stop]
        self._held.bytes += stop - start

    def _give_up(self) -> None:
        """Not all of this message is copied: then none of it is kept."""
        self._complete = False
        self.release()

    def _end(self, now_ns: int, done: list[Exchange | Message]) -> None:
        body = bytes(self._copy)
        self.release()
        size = _SIZE + self._length
        done.append(
            Message(self._exchange, self._direction, body, now_ns, size, self._compressed, self._complete)
        )
        self._inside = False

    def _lose(self, size: int, now_ns: int, done: list[Exchange | Message]) -> None:
        self.release()
        self.lost = True
        done.append(Message(self._exchange, self._direction, b"", now_ns, size, self._compressed, False))
