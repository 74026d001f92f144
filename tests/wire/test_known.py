"""Heads read before: what is remembered never says anything else than reading anew."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidecar.wire import head as heads
from sidecar.wire.known import KNOWN, LONGEST, VOLATILE, KnownHeads

NAMES = st.sampled_from(
    [
        b"traceparent",
        b"X-Request-Id",
        b"Content-Type",
        b"content-length",
        b"Transfer-Encoding",
        b"Connection",
        b"Upgrade",
        b"a",
    ]
)
VALUES = st.sampled_from(
    [b"1", b"2", b"chunked", b"application/json", b"h2c", b"\xe9", b"a\x00b", b"upgrade", b""]
)
FIELDS = st.lists(st.tuples(NAMES, st.sampled_from([b":", b": ", b" :"]), VALUES), max_size=5)
ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\r\n folded\r\n", b"\n"])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    lines = b"".join(name + colon + value + draw(ENDS) for name, colon, value in draw(FIELDS))
    return b"POST /m HTTP/1.1\r\n" + lines + b"\r\n"


@given(st.lists(requests(), max_size=30))
def test_a_remembered_head_says_what_reading_it_anew_says(sent: list[bytes]) -> None:
    known = KnownHeads(heads._request, heads._READ)
    for head in sent:
        assert known.read(head) == heads._request(head)
    assert len(known.volatile) <= VOLATILE


def traced(number: int, name: bytes = b"traceparent", length: int = 5) -> bytes:
    return b"POST /m HTTP/1.1\r\nHost: h\r\n%b: %032x\r\nContent-Length: %d\r\n\r\n" % (name, number, length)


def test_heads_that_differ_in_a_trace_id_are_read_twice_and_then_known() -> None:
    read: list[bytes] = []

    def parse(head: bytes) -> int:
        read.append(head)
        return 1

    known = KnownHeads(parse, frozenset())
    for number in range(100):
        known.read(traced(number))
    assert read == [traced(0), traced(1), b"POST /m HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"]


def test_another_length_beside_another_trace_id_is_learnt_as_well() -> None:
    known = KnownHeads(heads._request, heads._READ)
    for number in range(20):
        assert known.read(traced(number, length=number % 3 + 1)) == heads._request(
            traced(number, length=number % 3 + 1)
        )
    assert known.volatile == [b"\r\ntraceparent:"]


def test_a_field_that_is_read_is_never_left_out() -> None:
    known = KnownHeads(heads._request, heads._READ)
    for number in range(5):
        known.read(traced(number, b"Content-Encoding"))
        known.read(traced(number, b"CONTENT-TYPE"))
    assert known.volatile == []


def test_what_is_remembered_is_bounded() -> None:
    known = KnownHeads(heads._request, heads._READ)
    for number in range(3 * KNOWN):
        known.read(b"GET /%d HTTP/1.1\r\nf%d: x\r\n\r\n" % (number, number % 7))
    assert len(known._known) <= KNOWN
    known.read(b"GET / HTTP/1.1\r\na: %b\r\n\r\n" % (b"x" * LONGEST))
    assert max(map(len, known._known)) <= LONGEST
