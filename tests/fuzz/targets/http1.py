"""`Http1Connection`: conservation and the bound on what is held after every call, however it is fed."""

from __future__ import annotations

from tests.fuzz.mutate import pack, unpack
from tests.wire import captures
from tests.wire.cases import CASES
from tests.wire.conversation import Listener
from tests.wire.test_http1_properties import WORDS as WORDS


def seeds() -> list[bytes]:
    talks = [captures.steps(name) for name in captures.NAMES] + [case.steps for case in CASES]
    return [pack(steps) for steps in talks]


def target(data: bytes) -> None:
    # Limits that the inputs reach, or the captures' own.
    listener = Listener() if len(data) & 1 else Listener(65536, 4096, 65536)
    for what, direction, value in unpack(data):
        if isinstance(value, bytes):
            listener.receive(direction, value)
        elif what == "skip":
            listener.skip(direction, value)
        else:
            listener.resync()
    listener.close()
