"""Every example in the docstrings of exporter.statistics runs and shows what it says."""

import doctest
import importlib
import pkgutil

import pytest

import exporter.statistics as package

MODULES = [
    package.__name__,
    *(m.name for m in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")),
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [t for name in MODULES for t in finder.find(importlib.import_module(name)) if t.examples]
    assert len(examples) >= 3
