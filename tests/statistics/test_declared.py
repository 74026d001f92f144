"""Each statistic is declared whole and once, and its page and its metric say the same."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import exporter.statistics as package
from exporter import metrics
from exporter.statistics import ALL_KINDS, BY_NAME, STATISTICS, Statistic
from exporter.statistics.page import examples, page

ROOT = Path(__file__).resolve().parents[2]


def test_every_distance_of_the_package_is_declared_once() -> None:
    functions = {
        name  # `both_distances` is two of them at once
        for name, member in inspect.getmembers(package, inspect.isfunction)
        if name == "psi" or name.endswith(("_distance", "_divergence", "_value")) or name == "chi_square"
    }
    assert functions == set(BY_NAME)
    assert len(BY_NAME) == len(STATISTICS)


@pytest.mark.parametrize("statistic", STATISTICS, ids=lambda s: s.name)
def test_a_declaration_is_whole(statistic: Statistic) -> None:
    assert statistic.function.__name__ == statistic.name
    assert statistic.definition.endswith(".")
    assert statistic.range[0] == 0.0 < statistic.range[1]
    assert statistic.kinds <= ALL_KINDS
    assert statistic.formula
    assert statistic.chance_formula
    assert statistic.source
    assert "Source:" in (statistic.function.__doc__ or "")
    assert examples(statistic)  # they run in tests/test_doctests.py


def test_the_metrics_of_distances_are_those_that_statistics_name() -> None:
    declared = {f"modelmeter_{statistic.metric}" for statistic in STATISTICS if statistic.metric}
    assert declared == {metric.name for metric in metrics.METRICS if metric.source == "exporter.statistics"}


def test_the_documentation_is_what_the_declarations_print() -> None:
    assert (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8") == page()
