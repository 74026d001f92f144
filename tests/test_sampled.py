"""``modelmeter check --sample``: rows of a CSV file against a baseline, before anything is started."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from sidecar.cli import main
from tests.monitor.baselines import build_baseline


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_baseline(tmp_path_factory.mktemp("baseline"))


def sample(folder: Path, header: str, swap: bool = False, separator: str = ",") -> Path:
    generator = np.random.default_rng(1)
    lines = [header]
    for _ in range(200):
        fields = [f"{generator.normal(100, 20):.4f}", str(generator.choice(["AA", "UA"]))]
        lines.append(separator.join(fields[::-1] if swap else fields))
    path = folder / "rows.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def check(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["check", *map(str, arguments)])


def test_rows_of_the_baselines_columns_are_ok(baseline: Path, tmp_path: Path) -> None:
    result = check("--sample", sample(tmp_path, "x,carrier"), baseline)
    assert (result.exit_code, result.output.splitlines()[-1]) == (
        0,
        f"{tmp_path / 'rows.csv'}: ok, the baseline's columns",
    )


def test_a_misspelt_column_is_told_with_exit_status_1(baseline: Path, tmp_path: Path) -> None:
    configuration = tmp_path / "modelmeter.yaml"
    configuration.write_text(f"models: [{{name: m, baseline: {baseline}}}]\n")
    path = sample(tmp_path, "x,carier")
    result = check("--config", configuration, "--sample", path)
    assert result.exit_code == 1
    assert result.output.splitlines()[1:] == [
        f"{path}: feature 'carrier' of the baseline does not come; 'carier' does, did you mean that?",
        f"{path}: feature 'carier' is not in the baseline: it is learnt, not judged",
    ]


def test_columns_in_another_order_are_of_another_kind(baseline: Path, tmp_path: Path) -> None:
    result = check("--sample", sample(tmp_path, "x,carrier", swap=True), baseline)
    assert result.exit_code == 1
    assert "feature 'x' comes as categories, the baseline has numbers" in result.output


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "expected a readable CSV file, found no such file or directory"),
        ("", "expected a CSV file with a header, found another"),
        ("x,carrier\n", "expected at least one row below the header, found none"),
        ("x,carrier\n1\n", "row 2: expected 2 fields, found 1"),
    ],
)
def test_what_is_no_sample_is_one_sentence(
    content: str | None, says: str, baseline: Path, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    if content is not None:
        path.write_text(content)
    result = check("--sample", path, baseline)
    assert (result.exit_code, says in result.output) == (2, True), result.output


def test_a_sample_needs_one_baseline(baseline: Path, tmp_path: Path) -> None:
    result = check("--sample", sample(tmp_path, "x,carrier"), baseline, baseline)
    assert result.exit_code == 2
    assert "--sample: expected one baseline to match the rows with, found 2" in result.output
