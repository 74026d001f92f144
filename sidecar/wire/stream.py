"""One open stream of HTTP/2: its exchange, copies of its bodies, or its messages.

Promises: of each body at most `limit` bytes are copied, and of all what the shared `Held` allows; `held` says
how much that is at any time.
"""

from __future__ import annotations

from sidecar.exchange import Exchange, Message
from sidecar.wire import CLIENT_TO_SERVER, SERVER_TO_CLIENT
from sidecar.wire.body import Held
from sidecar.wire.messages import Messages

REQUEST_ENDED, ANSWER_ENDED, BOTH_ENDED = 1, 2, 3


class Stream:
    """A stream that the client began.

    >>> stream = Stream(1, Exchange("http", b"POST", b"/a"))
    >>> for data in (b"ab", b"cd"):
    ...     stream.receive(0, data, 0, 2, 3, Held(100))
    >>> stream.finish().request_body, stream.exchange.request_body_complete
    (b'abc', False)
    """

    __slots__ = ("answer", "ended", "exchange", "messages", "number", "request")

    def __init__(self, number: int, exchange: Exchange) -> None:
        self.number = number
        self.exchange = exchange
        self.ended = 0
        """REQUEST_ENDED | ANSWER_ENDED"""
        self.request: bytearray | None = None
        """A body of more than one frame; one of a single frame is in the exchange at once."""
        self.answer: bytearray | None = None
        self.messages: tuple[Messages, Messages] | None = None

    def hand_out(self, limit: int, held: Held) -> None:
        """Messages are to be handed out one by one."""
        exchange = self.exchange
        exchange.streamed = True
        self.messages = (
            Messages(exchange, CLIENT_TO_SERVER, limit, held),
            Messages(exchange, SERVER_TO_CLIENT, limit, held),
        )

    @property
    def held(self) -> int:
        """Bytes that stand in `Held` for this stream, but for its messages' own."""
        exchange = self.exchange
        return (
            len(exchange.target)
            + len(exchange.request_body if self.request is None else self.request)
            + len(exchange.response_body if self.answer is None else self.answer)
        )

    def add_size(self, direction: int, nbytes: int) -> None:
        """*nbytes* of its frames were on the wire."""
        if direction == CLIENT_TO_SERVER:
            self.exchange.request_bytes += nbytes
        else:
            self.exchange.response_bytes += nbytes

    def receive(self, direction: int, data: bytes, start: int, stop: int, limit: int, held: Held) -> None:
        """*data* from *start* to *stop* belongs to a body."""
        exchange = self.exchange
        if direction == CLIENT_TO_SERVER:
            body, copy, complete = exchange.request_body, self.request, exchange.request_body_complete
        else:
            body, copy, complete = exchange.response_body, self.answer, exchange.response_body_complete
        if not complete:
            return  # a copy is a beginning, never a sieve
        room = min(limit - len(body if copy is None else copy), held.limit - held.bytes)
        if room < stop - start:
            self.cut(direction)
            stop = start + max(room, 0)
        held.bytes += stop - start
        if copy is None and body:
            copy = bytearray(body)
            if direction == CLIENT_TO_SERVER:
                self.request = copy
            else:
                self.answer = copy
        if copy is not None:
            copy += memoryview(data)[start:stop]
        elif direction == CLIENT_TO_SERVER:
            exchange.request_body = data[start:stop]
        else:
            exchange.response_body = data[start:stop]

    def skip(self, direction: int, nbytes: int, now_ns: int, done: list[Exchange | Message]) -> None:
        """Pass over *nbytes* of a body that were not copied."""
        if self.messages is not None:
            self.messages[direction].skip(nbytes, now_ns, done)
        elif nbytes:
            self.cut(direction)

    def cut(self, direction: int) -> None:
        """Not all of a body is copied."""
        if direction == CLIENT_TO_SERVER:
            self.exchange.request_body_complete = False
        else:
            self.exchange.response_body_complete = False

    def finish(self) -> Exchange:
        """The exchange, with its bodies."""
        exchange = self.exchange
        if self.request is not None:
            exchange.request_body = bytes(self.request)
        if self.answer is not None:
            exchange.response_body = bytes(self.answer)
        return exchange
