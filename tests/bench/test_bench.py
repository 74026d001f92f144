"""The benchmarks still fit the code they measure; what they measure is not judged here."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import bench
from bench import scrape

MODULES = sorted(
    ".".join(path.relative_to(Path(bench.__file__).parent.parent).with_suffix("").parts)
    for path in Path(bench.__file__).parent.rglob("*.py")
    if path.stem not in ("__main__", "__init__")
)


@pytest.mark.parametrize("module", MODULES)
def test_a_benchmark_can_be_imported_and_its_examples_run(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_a_scrape_of_the_wanted_size_can_be_measured() -> None:
    figures = scrape.measure(200)
    assert 100 < figures["series"] < 400
    assert set(figures) >= {"series", "render_ms", "application_ms", "gzip_bytes"}
