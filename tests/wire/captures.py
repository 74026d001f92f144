"""The captures of ``tests/captures`` as conversations: what each side sent, in order."""

from __future__ import annotations

from pathlib import Path

from tests.wire.conversation import CLIENT, SERVER, Step

DIRECTORY = Path(__file__).parent.parent / "captures"

_ALL = tuple(sorted(path.name.removesuffix(".0.tl") for path in DIRECTORY.glob("*.0.tl")))

NAMES = tuple(name for name in _ALL if "-grpc" not in name)
"""Over HTTP/1.1."""

GRPC_NAMES = tuple(name for name in _ALL if "-grpc" in name)
"""Over HTTP/2."""


def steps(name: str) -> list[Step]:
    """The reads of the relay, in order.

    >>> [(direction, len(data)) for direction, data in steps("triton-http-chunked-100continue")]
    [(0, 190), (1, 25), (0, 753), (1, 284)]
    """
    sent = {side: (DIRECTORY / f"{name}.0.{side}.bin").read_bytes() for side in ("c2s", "s2c")}
    found = []
    for line in (DIRECTORY / f"{name}.0.tl").read_text(encoding="ascii").splitlines():
        _, side, offset, length = line.split()
        data = sent[side][int(offset) : int(offset) + int(length)]
        assert len(data) == int(length), name
        found.append((CLIENT if side == "c2s" else SERVER, data))
    return found
