"""CSV: rectangular tensors or a reason."""

from __future__ import annotations

from exporter.schema import Limits
from sidecar.decode.outcome import DecodeError
from sidecar.decode.separated import tensors
from tests.fuzz.outcomes import check_tensors

WORDS = [
    b",",
    b"\n",
    b"\r\n",
    b'"',
    b'""',
    b"nan",
    b"-inf",
    b"true",
    b"1e400",
    b"0x1",
    b"\xff",
    b"\x00",
    b"a,b\n",
    b" ",
    b"_",
]


def seeds() -> list[bytes]:
    return [
        b"\x00a,b\n1,2\n3,4\n",
        b"\x011,2\n3.5,\n",
        b'\x02"a ""b""",c\n"x\ny",true\n',
        b"\x00UA,EWR\r\nAA,JFK\r\n",
        b"\x01\n\n5",
    ]


def target(data: bytes) -> None:
    header = (None, True, False)[data[0] % 3] if data else None
    try:
        made = tensors("x", data[1:], Limits(), header)
    except DecodeError:
        return
    check_tensors(made)
