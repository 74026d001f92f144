"""Fuzz targets: every reader and decoder, under bytes that nobody would send.

A target is a module of `tests.fuzz.targets` with

* ``target(data: bytes) -> None``: reads *data* and raises AssertionError where a promise is broken (any other
  exception is a broken promise as well);
* ``seeds() -> list[bytes]``: inputs that are well-formed, from which mutations start;
* ``WORDS``: bytes that mean something to the reader, to be put in.

They run briefly with the tests (`test_targets.py`), and for long by hand::

    python -m tests.fuzz http1 --seconds 600

with atheris (coverage-guided) where it is installed, which it is nowhere by default, else by mutation alone. An
input that broke a promise is written to ``--save`` and belongs, once it is understood, into
``tests/fuzz/found/TARGET/``, from where the tests read it ever after.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

FOUND = Path(__file__).parent / "found"
"""Inputs that once broke a promise, in a folder for each target."""

TARGETS = tuple(sorted(path.stem for path in (Path(__file__).parent / "targets").glob("[a-z]*.py")))
"""The names of all targets."""


def load(name: str) -> ModuleType:
    """The module of target *name*."""
    return import_module(f"tests.fuzz.targets.{name}")


def found(name: str) -> list[Path]:
    """The files that *name* is to read without fault."""
    return sorted((FOUND / name).glob("*.bin"))
