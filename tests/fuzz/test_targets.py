"""Every target, briefly: its seeds, mutations of them, any bytes, and what once broke a promise."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import FOUND, TARGETS, found, load
from tests.fuzz.mutate import mutated

KNOWN: dict[str, str] = {}
"""Files of `FOUND` whose fault is not mended yet, and why; the build fails when one is."""


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_reads_its_seeds(name: str) -> None:
    module = load(name)
    seeds = module.seeds()
    assert seeds
    assert module.WORDS
    for data in seeds:
        module.target(data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_keeps_its_promises_for_mutations_of_its_seeds(name: str) -> None:
    module = load(name)
    seeds = module.seeds()

    @settings(max_examples=150, deadline=None)
    @given(st.integers(0, (1 << 64) - 1))
    def check(seed: int) -> None:
        module.target(mutated(Random(seed), seeds, module.WORDS))

    check()


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_keeps_its_promises_for_any_bytes(name: str) -> None:
    module = load(name)

    @settings(max_examples=150, deadline=None)
    @given(
        st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(module.WORDS), max_size=8).map(b"".join))
    )
    def check(data: bytes) -> None:
        module.target(data)

    check()


def test_what_broke_a_promise_once_does_not_do_so_again() -> None:
    for name in TARGETS:
        for path in found(name):
            if path.stem not in KNOWN:
                load(name).target(path.read_bytes())


def test_what_is_known_to_be_broken_still_is() -> None:
    for name in TARGETS:
        for path in found(name):
            if path.stem in KNOWN:
                with pytest.raises(Exception):  # noqa: B017, PT011  (any exception is a broken promise)
                    load(name).target(path.read_bytes())


def test_every_finding_has_a_target() -> None:
    assert {path.parent.name for path in FOUND.glob("*/*.bin")} <= set(TARGETS)
    assert set(KNOWN) <= {path.stem for path in FOUND.glob("*/*.bin")}
