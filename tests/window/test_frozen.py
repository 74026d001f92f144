"""Sketches as bytes are the same sketches, small, and damage is an error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.profile import Layout, Sketches
from exporter.window.frozen import freeze, thaw


def sketches_of(rows: int, kind: str = "numeric", decimals: int = 9) -> Sketches:
    numbers = np.random.default_rng(rows).normal(0, 3, rows).round(decimals)
    values = numbers if kind == "numeric" else [f"{value}" for value in numbers.tolist()]
    sketches = Sketches(kind != "categorical", 128)
    sketches.update(Layout(kind).read(values)[1])  # type: ignore[arg-type]
    return sketches


@pytest.mark.parametrize("kind", ["numeric", "categorical", "text"])
@pytest.mark.parametrize("rows", [0, 1, 256, 257, 5000])
def test_thawed_sketches_are_those_that_were_frozen(kind: str, rows: int) -> None:
    sketches = sketches_of(rows, kind)
    assert thaw(freeze(sketches)).to_bytes() == sketches.to_bytes()


@pytest.mark.parametrize(
    ("rows", "decimals", "most"), [(20_000, 9, 4_000), (3_500, 1, 2_600), (10**6, 9, 5_000)]
)
def test_frozen_sketches_are_small(rows: int, decimals: int, most: int) -> None:
    assert len(freeze(sketches_of(rows, decimals=decimals))) < most


def test_the_longest_texts_are_kept() -> None:
    rng = np.random.default_rng(5)
    texts = ["".join(map(chr, rng.integers(0x1F600, 0x1F640, 200).tolist())) for _ in range(64)]
    sketches = Sketches(False)
    for values in (texts, [f"{n}" for n in range(300)], texts, texts):
        sketches.update(Layout("categorical").read(values)[1])
    assert len(sketches.to_bytes()) > 140_000
    frozen = freeze(sketches)
    assert len(frozen) < 40_000
    assert thaw(frozen).to_bytes() == sketches.to_bytes()


_BYTES = freeze(sketches_of(600))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_an_error_and_no_crash(data: st.DataObject) -> None:
    damaged = bytearray(
        _BYTES[: data.draw(st.integers(0, len(_BYTES)))] if data.draw(st.booleans()) else _BYTES
    )
    for _ in range(data.draw(st.integers(0, 3))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        thaw(bytes(damaged))
    except ValueError:
        return


@pytest.mark.parametrize("data", [b"", b"Z", b"X" * 100, b"H\x00\x00\x05\x00\xff\xff\xff\xff\xff"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="sketches: "):
        thaw(data)
