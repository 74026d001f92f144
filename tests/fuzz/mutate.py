"""Mutations: one input made of others, as fuzzers make them; and the seeds of connections."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from random import Random

from tests.wire.conversation import Step

LONGEST = 20_000
"""Bytes of an input; longer ones are the business of `test_hostile`."""

_NUMBERS = (
    b"0",
    b"1",
    b"-1",
    b"255",
    b"65536",
    b"2147483647",
    b"4294967296",
    b"99999999999999999999",
    b"1e400",
    b"NaN",
)
_STEP = struct.Struct("<BH")
_SKIP, _RESYNC, _KINDS = 1, 3, 4


def mutated(random: Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """One of *seeds*, changed one to eight times."""
    data = bytearray(random.choice(seeds) if seeds else b"")
    for _ in range(random.randint(1, 8)):
        at = random.randint(0, len(data))
        length = min(random.choice((1, 1, 2, 4, 16, 300)), len(data) - at)
        match random.randrange(9):
            case 0 if data:
                data[at % len(data)] = random.randrange(256)
            case 1 if data:
                data[at % len(data)] ^= 1 << random.randrange(8)
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = data[at : at + length] * random.choice((1, 2, 50))
            case 4:
                data[at:at] = random.randbytes(random.randint(1, 8))
            case 5 if words:
                data[at : at + random.choice((0, length))] = random.choice(words)
            case 6:
                data[at : at + random.choice((0, length))] = random.choice(_NUMBERS)
            case 7:
                data[at : at + 4] = struct.pack(
                    random.choice("<>") + "I", random.choice((0, 1, 255, 1 << 31, (1 << 32) - 1))
                )
            case 8 if seeds:
                other = random.choice(seeds)
                cut = random.randint(0, len(other))
                data[at:] = other[cut:]
            case _:
                pass
        del data[LONGEST:]
    return bytes(data)


def pack(steps: Iterable[Step]) -> bytes:
    """A conversation as one input: a byte that says what is done, two of length, the bytes."""
    packed = []
    for direction, data in steps:
        for start in range(0, len(data), 65535):
            piece = data[start : start + 65535]
            packed.append(_STEP.pack(direction, len(piece)) + piece)
    return b"".join(packed)


def unpack(data: bytes) -> Iterator[tuple[str, int, bytes | int]]:
    """What `pack` packed, and what became of it: (``receive``, direction, bytes), (``skip``, direction, number)
    or (``resync``, direction, 0). Any bytes are some conversation.

    >>> list(unpack(pack([(1, b"ab")]) + b"\\x02\\x05\\x00\\x07\\x00\\x00"))
    [('receive', 1, b'ab'), ('skip', 0, 5), ('resync', 1, 0)]
    """
    position = 0
    while position + _STEP.size <= len(data):
        what, length = _STEP.unpack_from(data, position)
        position += _STEP.size
        kind = (what >> 1) % _KINDS
        if kind == _SKIP:
            yield "skip", what & 1, length
        elif kind == _RESYNC:
            yield "resync", what & 1, 0
        else:
            yield "receive", what & 1, data[position : position + length]
            position += length
