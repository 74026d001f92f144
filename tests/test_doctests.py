"""Every example in a docstring runs and shows what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import exporter
import sidecar

MODULES = sorted(
    module.name
    for package in (exporter, sidecar)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    # Programs for the model servers' own environments, with libraries that are not here.
    if not module.name.startswith(("sidecar.demo.train", "sidecar.demo.servers."))
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [t for name in MODULES for t in finder.find(importlib.import_module(name)) if t.examples]
    assert len(examples) > 100
