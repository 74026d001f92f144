"""HTTP/1.x: both directions of one connection, answers matched to requests in order.

Promises beside those of `sidecar.wire`:

* A request is returned when its answer has ended *and* its own body has: with an answer that came early
  it stays open until the rest of the body was sent, or the connection closed.
* A connection that ends first returns what was open as `Exchange.closed`; status 0 without an answer's head.
* Memory: one head of at most `header_limit` (plus the piece just received) in each direction, at most
  `PIPELINE_LIMIT` open exchanges with their targets, and of the bodies at most `body_limit` each and what
  the shared `Held` allows in all.

Refuses to guess: after bytes that are not HTTP/1 a connection is ``broken``, or a ``tunnel`` when no head
was ever read on it. One thing can not be exact: a chunked body of which bytes were not copied ends, for us,
where the other side speaks next (`resynchronised` counts answers that ended so); and so pipelined requests
behind such an answer are not told apart from its end.
"""

from __future__ import annotations

import re
from typing import Final

from sidecar.exchange import Exchange
from sidecar.wire import CLIENT_TO_SERVER, LossReason, State, TunnelReason
from sidecar.wire.body import Body, Held
from sidecar.wire.head import UNTIL_CLOSE, read_answer_head, read_request_head

PIPELINE_LIMIT: Final = 100
"""Open requests on one connection. nginx passes on one at a time, HAProxy too; wrk's scripts send 16."""

_HEAD_END = b"\r\n\r\n"
_EMPTY_LINES = re.compile(rb"[\r\n]*")
_TLS_HANDSHAKE = 0x16


class Http1Connection:
    """One connection; see `sidecar.wire.Connection`.

    >>> connection = Http1Connection(65536, 1 << 20)
    >>> connection.receive(0, b"GET /metrics HTTP/1.1\\r\\n\\r\\n", 1)
    []
    >>> [done] = connection.receive(1, b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nup", 5)
    >>> done.status, done.response_body, done.ended - done.started
    (200, b'up', 4)
    """

    __slots__ = (
        "_answer_body", "_answer_part", "_answer_part_ns", "_answered", "_blank", "_body_limit", "_fresh",
        "_header_limit", "_held", "_hunting", "_last_ns", "_open", "_parts", "_request_body", "_request_part",
        "_request_part_ns", "_swallowed", "begun", "broken_reason", "finished", "losses", "resynchronised",
        "state", "tunnel_reason",
    )  # fmt: skip

    def __init__(self, header_limit: int, body_limit: int, held: Held | None = None) -> None:
        # Per connection
        self._header_limit = header_limit
        self._body_limit = body_limit
        self._held = Held(8 * body_limit) if held is None else held
        self.begun = 0
        self.finished = 0
        self.losses: dict[LossReason, int] = {}
        self.resynchronised = 0
        self.state: State = "ok"
        self.tunnel_reason: TunnelReason | None = None
        self.broken_reason: LossReason | None = None
        self._fresh = True  # no head was read and no gap was met: the first bytes tell the protocol
        self._hunting = False  # after a resync: answers belong to requests that were not seen

        # Per exchange in flight
        self._open: list[Exchange] = []  # in order; the first is the one being answered
        self._request_part = bytearray()  # a head that is not all there yet
        self._request_part_ns = 0
        self._parts = 0  # bytes of half-read heads that stand in `_held`
        self._request_body: Body | None = None  # of the last open exchange
        self._blank = 0  # empty lines before the next request
        self._swallowed = False  # bytes came behind a CONNECT that is not answered yet
        self._answer_part = bytearray()
        self._answer_part_ns = 0
        self._answer_body: Body | None = None  # of the first open exchange
        self._answered = False  # the first open exchange's answer ended before its request did
        self._last_ns = 0  # of the last byte of an answer whose framing was lost

    @property
    def lost(self) -> int:
        """Requests that were given up, whatever the reason."""
        return sum(self.losses.values())

    @property
    def open_exchanges(self) -> int:
        """Requests whose head was read and which are neither returned nor lost."""
        return len(self._open)

    def receive(self, direction: int, data: bytes | memoryview, now_ns: int) -> list[Exchange]:
        """Read *data*; returns the exchanges that ended in it. Nothing unless `state` is ``ok``."""
        if self.state != "ok" or not data:
            return []
        if type(data) is not bytes:
            data = bytes(data)
        done: list[Exchange] = []
        if direction == CLIENT_TO_SERVER:
            self._read_requests(data, now_ns, done)
        else:
            self._read_answers(data, now_ns, done)
        if self._parts or self._request_part or self._answer_part:
            self._count_parts()
        return done

    def _count_parts(self) -> None:
        """Half-read heads are held, too; where all connections hold too much, this one gives up its own."""
        held = self._held
        parts = len(self._request_part) + len(self._answer_part)
        held.bytes += parts - self._parts
        self._parts = parts
        if parts and held.bytes > held.limit:
            self._break("head_too_long")

    def skip(self, direction: int, nbytes: int, now_ns: int) -> list[Exchange]:
        """Pass over *nbytes* that were not copied. Exact within a body of known length or chunk."""
        done: list[Exchange] = []
        if self.state != "ok" or nbytes <= 0:
            return done
        if direction == CLIENT_TO_SERVER:
            self._hunting = False
            self._end_lost_answer(done)
            body = self._request_body
            if body is None:
                if self._connecting():
                    self._swallowed = True
                else:
                    self._break("gap")
                return done
            self._open[-1].request_bytes += nbytes
            if not body.skip(nbytes):
                self._break("gap")
            elif body.done:
                self._end_request(done)
        elif not self._hunting:
            body = self._answer_body
            if body is None:
                self._break("gap")
                return done
            self._last_ns = now_ns
            self._open[0].response_bytes += nbytes
            if not body.skip(nbytes):
                self._break("gap")
            elif body.done:
                self._end_answer(now_ns, done)
        return done

    def close(self, now_ns: int) -> list[Exchange]:
        """The connection ended, both ways. Afterwards nothing is read any more."""
        done: list[Exchange] = []
        if self.state == "ok":
            self._end_lost_answer(done)
            body = self._answer_body
            if body is not None and body.remaining == UNTIL_CLOSE:
                self._end_answer(now_ns, done)
            if self._request_body is not None:
                self._end_request(done, sent=False)
            while self._open:
                self._return_closed(now_ns, done)
            self._break("closed")
        return done

    def resync(self) -> None:
        """Forget what is half-read (lost as ``gap``); the client's next bytes begin a request."""
        if self.state == "tunnel":
            return
        if self.state == "ok":
            self._break("gap")
        self.state = "ok"
        self.broken_reason = None
        self._fresh = False
        self._hunting = True

    # Requests

    def _read_requests(self, data: bytes, now_ns: int, done: list[Exchange]) -> None:
        self._hunting = False
        self._end_lost_answer(done)
        position = 0
        end = len(data)
        while position < end:
            body = self._request_body
            if body is None:
                position = self._read_request_head(data, position, now_ns)
                if self.state != "ok":
                    return
                continue
            start = position
            position = end if body.lost else body.receive(data, position)
            self._open[-1].request_bytes += position - start
            if body.failed:
                self._break("bad_request")
                return
            if body.done:
                self._end_request(done)

    def _read_request_head(self, data: bytes, position: int, now_ns: int) -> int:
        """Read a head at *position*, or keep a part of it, and begin its body; returns the next position."""
        open_exchanges = self._open
        if open_exchanges and self._connecting():
            self._swallowed = True  # meant for the tunnel, if there is going to be one
            return len(data)
        part = self._request_part
        if part:
            head, position = self._join_head(part, data, position)
        else:
            first = data[position]
            if first == 13 or first == 10:
                # RFC 9112 section 2.2: "a server that is expecting to receive and parse a request-line SHOULD
                # ignore at least one empty line (CRLF) received prior to the request-line."
                stop = _EMPTY_LINES.match(data, position).end()  # type: ignore[union-attr]  # matches always
                self._blank += stop - position
                return stop
            self._request_part_ns = now_ns
            if not 65 <= first <= 90:  # every method is upper-case letters
                self._refuse_request(b"", "tls" if first == _TLS_HANDSHAKE else "not_http")
                return position
            stop = data.find(_HEAD_END, position)
            if stop < 0:
                part += memoryview(data)[position:]
                head, position = None, len(data)
            else:
                head, position = data[position : stop + 4], stop + 4
        if head is None:
            if len(part) > self._header_limit:
                self._refuse_long_head(bytes(part))
            return position
        if len(head) > self._header_limit:
            self._refuse_long_head(head)
            return position
        request = read_request_head(head)
        if request is None:
            self._refuse_request(head, "http2" if head.startswith(b"PRI * HTTP/2.0\r\n") else "not_http")
            return position
        held = self._held
        if open_exchanges and (len(open_exchanges) >= PIPELINE_LIMIT or held.bytes >= held.limit):
            self._break("pipelined", heads=1)
            return position
        self._fresh = False
        self.begun += 1
        target = request.target
        held.bytes += len(target)
        exchange = Exchange("http", request.method, target, request.headers)
        exchange.started = self._request_part_ns
        exchange.request_bytes = self._blank + len(head)
        self._blank = 0
        open_exchanges.append(exchange)
        length = request.length
        if length:
            stop = position + length
            if 0 < length <= self._body_limit and stop <= len(data) and held.bytes + length <= held.limit:
                # Nearly always: the whole body is here.
                exchange.request_body = data[position:stop]
                exchange.request_bytes += length
                held.bytes += length
                return stop
            self._request_body = Body(length, self._body_limit, held)
        return position

    def _connecting(self) -> bool:
        """Whether the last request is a CONNECT that waits for its answer."""
        return bool(self._open) and self._open[-1].method == b"CONNECT"

    def _end_request(self, done: list[Exchange], *, sent: bool = True) -> None:
        """The last request's body ended, or nothing more of it will come (*sent* is False)."""
        exchange = self._open[-1]
        body = self._request_body
        if body is not None:
            exchange.request_body = body.release()
            exchange.request_body_complete = body.complete and sent
            self._request_body = None
        if self._answered:
            self._answered = False
            self._return(self._open.pop(), done)

    def _refuse_request(self, head: bytes, tunnel: TunnelReason) -> None:
        if self._fresh and b" HTTP/1." not in head[: self._header_limit]:
            self._become_tunnel(tunnel)
        else:
            self._break("bad_request", heads=1)

    def _refuse_long_head(self, head: bytes) -> None:
        self._request_part.clear()
        if self._fresh and b" HTTP/1." not in head[: self._header_limit]:
            self._become_tunnel("not_http")
        else:
            self._break("head_too_long", heads=1)

    # Answers

    def _read_answers(self, data: bytes, now_ns: int, done: list[Exchange]) -> None:
        if self._hunting:
            return
        position = 0
        end = len(data)
        while position < end:
            body = self._answer_body
            if body is None:
                position = self._read_answer_head(data, position, now_ns, done)
                if self.state != "ok":
                    return
                continue
            start = position
            position = end if body.lost else body.receive(data, position)
            self._open[0].response_bytes += position - start
            self._last_ns = now_ns
            if body.failed:
                self._break("bad_answer")
                return
            if body.done:
                self._end_answer(now_ns, done)

    def _read_answer_head(self, data: bytes, position: int, now_ns: int, done: list[Exchange]) -> int:
        """Read a head at *position*, or keep a part of it, and begin its body; returns the next position."""
        if not self._open or self._answered:
            if self._fresh and b" HTTP/1." not in self._request_part:
                self._become_tunnel("not_http")  # the server speaks first: SSH, SMTP, MySQL
            else:
                self._break("unexpected_answer")
            return position
        exchange = self._open[0]
        part = self._answer_part
        if part:
            head, position = self._join_head(part, data, position)
        else:
            self._answer_part_ns = now_ns
            stop = data.find(_HEAD_END, position)
            if stop < 0:
                part += memoryview(data)[position:]
                head, position = None, len(data)
            else:
                head, position = data[position : stop + 4], stop + 4
        if len(part if head is None else head) > self._header_limit:
            self._break("head_too_long")
            return position
        if head is None:
            return position
        answer = read_answer_head(head)
        if answer is None:
            self._break("bad_answer")
            return position
        exchange.response_bytes += len(head)
        status = answer.status
        if status < 200 and status != 101:
            return position  # 100 Continue, 103 Early Hints: the final answer follows
        exchange.status = status
        exchange.response_headers = answer.headers
        exchange.answered = self._answer_part_ns
        if status == 101 or (exchange.method == b"CONNECT" and status < 300):
            self._switch(now_ns, done)
            return position
        if self._request_body is not None and self._request_body.lost:
            self._end_request(done)  # of unknown end: it ended before its answer began
        length = 0 if exchange.method == b"HEAD" else answer.length
        if length:
            stop = position + length
            whole = 0 < length <= self._body_limit and stop <= len(data)
            if whole and self._request_body is None and not self._swallowed:
                # Nearly always: the whole body is here, and is returned at once.
                exchange.response_bytes += length
                exchange.ended = now_ns
                self._return(self._open.pop(0), done)
                exchange.response_body = data[position:stop]
                return stop
            self._answer_body = Body(length, self._body_limit, self._held)
        else:
            self._end_answer(now_ns, done)
        return position

    def _end_answer(self, now_ns: int, done: list[Exchange]) -> None:
        """The first open exchange's answer ended at *now_ns*."""
        exchange = self._open[0]
        body = self._answer_body
        if body is not None:
            exchange.response_body = body.release()
            exchange.response_body_complete = body.complete
            self._answer_body = None
        exchange.ended = now_ns
        if len(self._open) == 1 and self._request_body is not None:
            self._answered = True  # early: what is left of the request is still its
            return
        self._return(self._open.pop(0), done)
        if self._swallowed and not self._open:
            self._break("bad_request")  # bytes meant for a tunnel that was refused

    def _end_lost_answer(self, done: list[Exchange]) -> None:
        """End an answer whose chunk framing was lost: the next request begins, or the connection ends."""
        body = self._answer_body
        if body is not None and body.lost:
            self.resynchronised += 1
            self._end_answer(self._last_ns, done)

    def _switch(self, now_ns: int, done: list[Exchange]) -> None:
        """The first open exchange was answered with a change of protocol."""
        if len(self._open) == 1 and self._request_body is not None:
            self._end_request(done, sent=False)
        exchange = self._open.pop(0)
        exchange.ended = now_ns
        self._return(exchange, done)
        self._lose("pipelined")
        self._become_tunnel("upgrade")

    # Both

    def _join_head(self, part: bytearray, data: bytes, position: int) -> tuple[bytes | None, int]:
        """Add *data* to the *part* of a head; returns the head once it is whole, and the next position."""
        known = len(part)
        part += memoryview(data)[position:]
        stop = part.find(_HEAD_END, max(known - 3, 0))
        if stop < 0:
            return None, len(data)
        head = bytes(part[: stop + 4])
        part.clear()
        return head, position + stop + 4 - known

    def _return(self, exchange: Exchange, done: list[Exchange]) -> None:
        self._held.bytes -= len(exchange.target) + len(exchange.request_body) + len(exchange.response_body)
        self.finished += 1
        done.append(exchange)

    def _return_closed(self, now_ns: int, done: list[Exchange]) -> None:
        """Return the first open exchange, whose answer never ended."""
        exchange = self._open.pop(0)
        exchange.closed = True
        exchange.ended = now_ns
        exchange.response_body_complete = False
        exchange.response_bytes += len(self._answer_part)
        self._answer_part.clear()
        self._count_parts()
        body = self._answer_body
        if body is not None:
            exchange.response_body = body.release()
            self._answer_body = None
        self._return(exchange, done)

    def _lose(self, reason: LossReason, heads: int = 0) -> None:
        """Give up every open exchange, and *heads* heads that never became one."""
        held = self._held
        for body in (self._request_body, self._answer_body):
            if body is not None:
                held.bytes -= len(body.copy)
        for exchange in self._open:
            held.bytes -= len(exchange.target) + len(exchange.request_body) + len(exchange.response_body)
        if self._request_part:
            heads += 1
        self.begun += heads
        lost = len(self._open) + heads
        if lost:
            self.losses[reason] = self.losses.get(reason, 0) + lost
        self._open.clear()
        self._request_part.clear()
        self._answer_part.clear()
        held.bytes -= self._parts
        self._parts = 0
        self._request_body = None
        self._answer_body = None
        self._answered = False
        self._swallowed = False
        self._blank = 0

    def _break(self, reason: LossReason, heads: int = 0) -> None:
        self._lose(reason, heads)
        self.state = "broken"
        self.broken_reason = reason

    def _become_tunnel(self, reason: TunnelReason) -> None:
        self._request_part.clear()
        self._answer_part.clear()
        self._held.bytes -= self._parts
        self._parts = 0
        self.state = "tunnel"
        self.tunnel_reason = reason
