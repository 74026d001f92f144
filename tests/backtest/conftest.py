from __future__ import annotations

from pathlib import Path

import pytest

from tests.backtest.made import MONDAY, REFERENCE_DAYS, modelmeter, traffic, write


@pytest.fixture(scope="session")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as people build one: of three weeks, without a configuration."""
    directory = tmp_path_factory.mktemp("backtest")
    reference = write(directory / "reference.parquet", traffic(MONDAY, REFERENCE_DAYS * 24, seed=0))
    path = directory / "baseline.json"
    options = ("--timestamp", "time", "--prediction", "score", "-o", path, "--model", "m")
    result = modelmeter("baseline", "build", reference, *options)
    assert result.exit_code == 0, result.output
    return path
