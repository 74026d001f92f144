"""Heads of HTTP/1.x messages: what a request or an answer says before its body, and how the body is framed.

Promises: a head is a value of its bytes alone, so equal heads are read once (`sidecar.wire.known`): a
client repeats its head, but for the length, and a server its own within a second. Measured: 0.1 µs for a
known head, 1.9 µs for a new one of eight fields.
Refuses: everything that llhttp (through httptools) does not accept in its strict mode, among it two lengths
and bare line feeds; such a head is None here. One leniency: a length beside a transfer coding is read as
RFC 9112 section 6.3 says ("the Transfer-Encoding overrides the Content-Length"), since we only look on.

httptools reads heads and not whole messages, because it does not tell where in the given bytes a message
ended, can not be told that an answer belongs to a HEAD, and takes a request that offers an upgrade to have
no body, whereas such requests do carry one (Java's HttpClient offers h2c with every POST).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

import httptools

from sidecar.exchange import KEPT_HEADERS
from sidecar.wire.known import KnownHeads

CHUNKED = -1
UNTIL_CLOSE = -2

_LONGEST_VALUE = 256
# Values above this are forgotten: no content type or coding is that long, and open exchanges hold them.

_LENGTHS_READ = frozenset(map(len, KEPT_HEADERS | {b"content-length", b"transfer-encoding"}))
# Most fields are told apart by their length alone, which spares a lower-case copy of each name.


class RequestHead(NamedTuple):
    """What a request's head says."""

    method: bytes
    target: bytes
    headers: Mapping[bytes, bytes]
    length: int
    """Bytes of the body, or `CHUNKED`."""


class AnswerHead(NamedTuple):
    """What an answer's head says."""

    status: int
    headers: Mapping[bytes, bytes]
    length: int
    """Bytes of the body, `CHUNKED` or `UNTIL_CLOSE`; before the rules for HEAD and CONNECT."""


class _Fields:
    """Receives httptools' callbacks for one head."""

    __slots__ = ("complete", "content_length", "headers", "target", "transfer_encoding")

    def __init__(self) -> None:
        self.target = b""
        self.headers: dict[bytes, bytes] = {}
        self.content_length: bytes | None = None
        self.transfer_encoding: bytes | None = None
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) not in _LENGTHS_READ:
            return
        name = name.lower()
        value = value.strip(b" \t")  # llhttp leaves blanks behind a value
        if name in KEPT_HEADERS:
            if name in self.headers:
                value = self.headers[name] + b", " + value
            if len(value) <= _LONGEST_VALUE:
                self.headers[name] = value
        elif name == b"content-length":
            self.content_length = value
        elif name == b"transfer-encoding":
            # RFC 9110 section 5.3: repeated fields are one list.
            self.transfer_encoding = (
                value if self.transfer_encoding is None else self.transfer_encoding + b"," + value
            )

    def on_headers_complete(self) -> None:
        self.complete = True

    def is_chunked(self) -> bool:
        """Whether chunked is the last transfer coding (names are case-insensitive)."""
        coding = self.transfer_encoding
        return coding is not None and coding.rpartition(b",")[2].strip().lower() == b"chunked"


P = TypeVar("P", httptools.HttpRequestParser, httptools.HttpResponseParser)


def _parse(make: Callable[[_Fields], P], head: bytes) -> tuple[P, _Fields, bool]:
    """What llhttp makes of *head*, and whether it found it well-formed.

    Strict first: setting the one leniency takes 0.15 µs, and no head that is as it should be needs it.
    """
    for lenient in (False, True):
        fields = _Fields()
        parser = make(fields)
        if lenient:
            parser.set_dangerous_leniencies(lenient_chunked_length=True)
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            break  # llhttp stops where another protocol may begin; whether it does, the answer says
        except httptools.HttpParserError:
            continue
        break
    else:
        return parser, fields, False
    return parser, fields, fields.complete


def _request(head: bytes) -> RequestHead | None:
    parser, fields, well_formed = _parse(httptools.HttpRequestParser, head)
    if not well_formed:
        return None
    # RFC 9112 section 6.3: 4. "If a Transfer-Encoding header field is present in a request and the chunked
    # transfer coding is not the final encoding, the message body length cannot be determined reliably".
    if fields.transfer_encoding is not None:
        length = CHUNKED
        if not fields.is_chunked():
            return None
    # 6. "If a valid Content-Length header field is present without Transfer-Encoding, its decimal value
    # defines the expected message body length in octets."
    elif fields.content_length is not None:
        length = int(fields.content_length)  # digits within 64 bits: llhttp has checked
    # 7. "If this is a request message and none of the above are true, then the message body length is zero".
    else:
        length = 0
    return RequestHead(parser.get_method(), fields.target, fields.headers, length)


def _answer(head: bytes) -> AnswerHead | None:
    parser, fields, well_formed = _parse(httptools.HttpResponseParser, head)
    status = parser.get_status_code()
    if not well_formed and not (fields.complete and status == 101):
        return None  # behind a 101 without an Upgrade field llhttp stops with an error
    if status < 100:
        return None  # llhttp takes any three digits; 0 means "no answer" in an exchange
    # RFC 9112 section 6.3: 1. "any response with a 1xx (Informational), 204 (No Content), or 304 (Not
    # Modified) status code is always terminated by the first empty line after the header fields".
    if status < 200 or status in (204, 304):
        length = 0
    # 4. "If a Transfer-Encoding header field is present in a response and the chunked transfer coding is
    # not the final encoding, the message body length is determined by reading the connection until it is
    # closed by the server."
    elif fields.transfer_encoding is not None:
        length = CHUNKED if fields.is_chunked() else UNTIL_CLOSE
    elif fields.content_length is not None:
        length = int(fields.content_length)
    # 8. "Otherwise, this is a response message without a declared message body length".
    else:
        length = UNTIL_CLOSE
    return AnswerHead(status, fields.headers, length)


_READ = KEPT_HEADERS | {b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"expect"}
# Fields that this file or llhttp looks at.

_requests = KnownHeads(_request, _READ)
_answers = KnownHeads(_answer, _READ)


def read_request_head(head: bytes) -> RequestHead | None:
    """The request head *head*, empty line included; None when it is not one.

    >>> read_request_head(b"GET /metrics HTTP/1.1\\r\\nHost: m\\r\\n\\r\\n").target
    b'/metrics'
    """
    return _requests.read(head)


def read_answer_head(head: bytes) -> AnswerHead | None:
    """The answer head *head*, empty line included; None when it is not one.

    >>> read_answer_head(b"HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\n").length
    3
    """
    return _answers.read(head)
