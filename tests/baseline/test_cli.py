from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from exporter.baseline import Baseline, cli
from exporter.baseline import show as views
from tests.baseline.made import csv_columns, csv_file, parquet_file
from tests.baseline.test_build import traffic


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.baseline, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A baseline, and one whose amount is half as much again."""
    directory = tmp_path_factory.mktemp("cli")
    columns = traffic(21)
    before = directory / "a.json"
    made = run("build", parquet_file(directory, columns), "--timestamp", "time", "-o", before, "--model", "m")
    assert made.exit_code == 0
    columns["amount"] = columns["amount"] * 1.5
    after = directory / "b.json"
    made = run("build", parquet_file(directory, columns), "--timestamp", "time", "-o", after, "--model", "m")
    assert made.exit_code == 0
    return before, after


def test_a_baseline_is_built_and_summed_up_in_one_line(tmp_path: Path) -> None:
    path = csv_columns(tmp_path, {"x": range(10), "y": [1.5] * 10})
    result = run("build", path, "-o", tmp_path / "b.json", "--prediction", "y", "--model", "late")
    baseline = Baseline.load(tmp_path / "b.json")
    assert result.exit_code == 0
    assert result.stdout == (
        f"{tmp_path / 'b.json'}: model late, 10 rows, 2 columns, uncalibrated, SHA-256 {baseline.sha256[:8]}…\n"
    )
    assert result.stderr == (
        "note: without --timestamp nothing is calibrated: drift gives tickets, never a page\n"
    )
    assert set(baseline.columns) == {("feature", "x"), ("prediction", "y")}


def test_the_model_is_the_configurations_only_one_else_the_files_name(tmp_path: Path) -> None:
    path = csv_columns(tmp_path, {"x": range(10)})
    config = csv_file(tmp_path, "models: [{name: only}]\ntimezone: Asia/Kolkata\n", "modelmeter.yaml")
    run("build", path, "-o", tmp_path / "a.json")
    run("build", path, "-o", tmp_path / "b.json", "--config", config)
    built = [Baseline.load(tmp_path / name) for name in ("a.json", "b.json")]
    assert [(baseline.model, baseline.timezone) for baseline in built] == [
        ("train", "UTC"),
        ("only", "Asia/Kolkata"),
    ]


def test_of_several_models_one_has_to_be_named(tmp_path: Path) -> None:
    path = csv_columns(tmp_path, {"x": range(10)})
    config = csv_file(tmp_path, "models: [{name: a}, {name: b}]\n", "modelmeter.yaml")
    result = run("build", path, "--config", config)
    assert (result.exit_code, result.stderr) == (
        2,
        f"modelmeter: {config}: models: expected --model with one of a, b, found no --model\n",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("build", "{dir}/absent.csv"),
            "{dir}/absent.csv: expected a CSV or Parquet file, found no file of that name",
        ),
        (
            ("build", "{dir}/train.csv", "--config", "{dir}/absent.yaml"),
            "{dir}/absent.yaml: expected a readable YAML file, found no file of that name",
        ),
        (("show", "{dir}/train.csv"), "{dir}/train.csv: expected a JSON document, found JSON is malformed"),
        (
            ("diff", "{dir}/absent.json", "{dir}/absent.json"),
            "{dir}/absent.json: expected a baseline file, found",
        ),
        (
            ("build", "{dir}/train.csv", "-o", "{dir}/absent/b.json"),
            "{dir}/absent/b.json: expected a file that can be written, found No such file or directory",
        ),
    ],
)
def test_an_error_is_one_sentence_and_exit_status_2(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    csv_columns(tmp_path, {"x": range(10)})
    result = run(*(argument.format(dir=tmp_path) for argument in arguments))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1].startswith(f"modelmeter: {message.format(dir=tmp_path)}")


def test_a_baseline_is_shown_as_a_table(files: tuple[Path, Path]) -> None:
    result = run("show", files[0])
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0] == "model m, 15,120 rows of train.parquet, 2024-01-01T00:00:00 to 2024-01-21T23:00:00 UTC"
    assert lines[1].startswith("calibrated for 1h and 1d, 3 columns, SHA-256 ")
    amount = next(line for line in lines if line.strip().startswith("amount"))
    cells = amount.split()
    assert cells[1] == "numeric"
    assert set(cells[2]) <= set("▁▂▃▄▅▆▇█")
    assert len(cells[2]) == 16
    carrier = next(line for line in lines if line.strip().startswith("carrier"))
    assert "UA (50 %)" in carrier
    assert "█▅▃" in carrier


def test_a_baseline_is_shown_as_json(files: tuple[Path, Path]) -> None:
    shown = json.loads(run("show", "--json", files[0]).stdout)
    assert shown["sha256"] == Baseline.load(files[0]).sha256
    assert [column["name"] for column in shown["columns"]] == ["amount", "carrier", "score"]
    carrier = shown["columns"][1]
    assert set(carrier["bins"]) == {"00 UA", "01 AA", "02 DL", "03 other"}
    assert sum(carrier["bins"].values()) == 15_120
    assert 0 < carrier["critical_psi"]["1d"] < carrier["critical_psi"]["1h"]


def test_a_difference_is_told_in_a_table(files: tuple[Path, Path]) -> None:
    result = run("diff", *files)
    rows = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert result.exit_code == 0
    assert rows[2][0] == "amount"
    assert " ".join(rows[2][3:]) == "median 1.5 × that of the baseline"
    assert rows[-1] == ["1", "of", "3", "columns", "moved"]


def test_a_difference_is_told_as_json(files: tuple[Path, Path]) -> None:
    changes = json.loads(run("diff", "--json", *files).stdout)
    assert [(change["name"], change["status"]) for change in changes] == [
        ("amount", "moved"),
        ("carrier", "same"),
        ("score", "same"),
    ]


def test_no_bar_is_drawn_without_a_terminal(files: tuple[Path, Path], tmp_path: Path) -> None:
    result = run("build", parquet_file(tmp_path, {"x": [1, 2]}), "-o", tmp_path / "b.json")
    assert "\x1b" not in result.stderr
    assert result.stderr.count("\n") == 1


def test_names_can_not_move_the_cursor(tmp_path: Path) -> None:
    path = parquet_file(tmp_path, {"\x1b[31m\nred [bold]": ["[red]x"] * 3})
    run("build", path, "-o", tmp_path / "b.json")
    shown = run("show", tmp_path / "b.json").stdout
    assert "\\x1b[31m\\nred [bold]" in shown
    assert "[red]x (100 %)" in shown
    assert "\x1b" not in shown


def rendered(path: Path, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(views.baseline_table(Baseline.load(path)))
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


def test_a_table_keeps_to_the_width_of_the_terminal(files: tuple[Path, Path]) -> None:
    assert max(len(line) for line in rendered(files[0], 100).splitlines()) <= 100


def test_a_histogram_shows_the_shape_and_not_the_bins() -> None:
    assert views.bars([]) == ""
    assert views.bars([0.0, 0.0]) == "  "
    assert views.bars([1e-9, 1.0]) == "▁█"


def test_a_histogram_of_a_bell_rises_and_falls(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=20_000)
    run("build", parquet_file(tmp_path, {"x": values}), "-o", tmp_path / "b.json")
    column = Baseline.load(tmp_path / "b.json").columns["feature", "x"]
    levels = [" ▁▂▃▄▅▆▇█".index(cell) for cell in views.histogram(column)]
    assert len(levels) == 16
    assert levels[:6] == sorted(levels[:6])
    assert levels[10:] == sorted(levels[10:], reverse=True)
    assert max(levels) == levels[7] or max(levels) == levels[8]


def test_a_baselines_own_incident_is_pointed_out(tmp_path: Path) -> None:
    columns = traffic(30)
    columns["amount"][30 * 24 * 11 : 30 * 24 * 11 + 60] *= 9
    run("build", parquet_file(tmp_path, columns), "--timestamp", "time", "-o", tmp_path / "b.json")
    lines = run("show", tmp_path / "b.json").stdout.splitlines()
    at = next(at for at, line in enumerate(lines) if line.strip().startswith("most unusual windows"))
    named = {line.split()[0] for line in lines[at + 2 :] if "amount" in line}
    assert named == {"2024-01-12T00:00:00", "2024-01-12T01:00:00"}


def test_another_models_baseline_is_not_overwritten(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / f"{name}.csv").write_text("x\n" + "\n".join(map(str, range(300))) + "\n")
    output = tmp_path / "baseline.json"
    arguments = ["build", "-o", str(output)]
    assert CliRunner().invoke(cli.baseline, [*arguments, str(tmp_path / "first.csv")]).exit_code == 0
    before = output.read_bytes()
    refused = CliRunner().invoke(cli.baseline, [*arguments, str(tmp_path / "second.csv")])
    sentence = f"modelmeter: {output}: model: expected 'second', or another file by -o, found 'first'\n"
    assert (refused.exit_code, refused.stderr, output.read_bytes()) == (2, sentence, before)
    assert CliRunner().invoke(cli.baseline, [*arguments, str(tmp_path / "first.csv")]).exit_code == 0


def test_a_struck_incident_does_not_count_as_natural(tmp_path: Path) -> None:
    columns = traffic(30)
    columns["amount"][30 * 24 * 11 : 30 * 24 * 12] = 7.0
    path = parquet_file(tmp_path, columns)
    run("build", path, "--timestamp", "time", "-o", tmp_path / "with.json")
    strike = ("--strike", "2024-01-12/2024-01-13T00:00:00")
    built = run("build", path, "--timestamp", "time", *strike, "-o", tmp_path / "without.json")
    assert "false pages to be expected: at most" in built.stdout
    found = [
        Baseline.load(tmp_path / name).columns["feature", "amount"] for name in ("with.json", "without.json")
    ]
    calibrations = [column.calibration for column in found]
    assert [one.windows["1d"].windows for one in calibrations if one is not None] == [30, 29]
    assert [one.windows["1h"].constant for one in calibrations if one is not None] == [True, False]
    assert found[0].counts.tolist() == found[1].counts.tolist()
    assert "blind below" in run("show", tmp_path / "without.json").stdout


@pytest.mark.parametrize("text", ["2024-01-12", "soon/later", "2024-01-13/2024-01-12", "a/b/c"])
def test_a_strike_that_is_no_time_span_is_refused(tmp_path: Path, text: str) -> None:
    path = parquet_file(tmp_path, traffic(1))
    arguments = ["build", str(path), "--timestamp", "time", "--strike", text, "-o", str(tmp_path / "b.json")]
    refused = CliRunner().invoke(cli.baseline, arguments)
    assert refused.exit_code == 2
    assert refused.stderr.startswith(f"modelmeter: --strike: {text}: expected ")
