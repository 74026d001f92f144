"""Texts and vectors made for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

DIMENSION = 24
_RNG = np.random.default_rng(5)
CENTRES = _RNG.normal(size=(4, DIMENSION)) + np.arange(DIMENSION) / 12
ROTATION = np.linalg.qr(_RNG.normal(size=(DIMENSION, DIMENSION)))[0]

_ENGLISH = (
    "the order of my sister was not in the box that you sent and it is late",
    "is there a way to have this on the day that I asked for",
    "you are not at home on Monday, and we have to leave it with the neighbour",
    "it was a pleasure to be served by your people in the shop at 12 Main Street",
)
_SPANISH = (
    "el pedido de mi hermana no estaba en la caja que me han enviado y es tarde",
    "hay una manera de que lo tenga en el día que se lo pedí",
    "no está en su casa los lunes, y por eso lo dejamos con una vecina",
    "fue un placer que me sirva la gente de su tienda en la calle Mayor 12",
)


def texts(count: int, rng: np.random.Generator, spanish: float = 0.0) -> list[str]:
    """Complaints of two or three sentences, that share of them in Spanish."""
    found = []
    for foreign in rng.random(count) < spanish:
        some = rng.choice(_SPANISH if foreign else _ENGLISH, int(rng.integers(2, 4)), replace=False)
        found.append(f"{'. '.join(some)}. {int(rng.integers(10**6))}")
    return found


def vectors(count: int, rng: np.random.Generator) -> Any:
    """Unit vectors in four clusters, float32, shape (count, DIMENSION)."""
    found = CENTRES[rng.integers(4, size=count)] + 0.5 * rng.normal(size=(count, DIMENSION))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
