from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.backtest.made import (
    DAY,
    HOUR,
    KEYS,
    LIVE,
    Found,
    backtest,
    iso,
    modelmeter,
    traffic,
    write,
)

COLUMNS = {
    ("feature", "amount"),
    ("feature", "age"),
    ("feature", "city"),
    ("feature", "member"),
    ("prediction", "score"),
}


@pytest.fixture(scope="module")
def clean(baseline: Path, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Two days without a fault."""
    return backtest(write(tmp_path_factory.mktemp("clean") / "live.csv", traffic(LIVE, 48)), baseline)


def test_each_column_and_window_has_one_line_with_exactly_the_promised_keys(clean: Found) -> None:
    assert [list(line) for line in clean.lines] == [KEYS] * len(clean.lines)
    hours = [(iso(LIVE + at * HOUR), iso(LIVE + (at + 1) * HOUR), "1h") for at in range(48)]
    days = [(iso(LIVE + at * DAY), iso(LIVE + (at + 1) * DAY), "1d") for at in range(2)]
    wanted = [(*window, *column) for window in hours + days for column in COLUMNS]
    keys = ("start", "end", "window", "role", "column")
    found = [tuple(line[key] for key in keys) for line in clean.lines]
    assert sorted(found) == sorted(wanted)


def test_lines_are_in_order_of_start_window_role_and_column(clean: Found) -> None:
    order = [(line["start"], line["window"], line["role"], line["column"]) for line in clean.lines]
    assert order == sorted(order)


def test_values_of_a_line_are_of_the_promised_types(clean: Found) -> None:
    for line in clean.lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line["start"])
        assert line["rows"] == (60 if line["window"] == "1h" else 1440)
        assert line["verdict"] in {"ok", "drifted", "ticket", "insufficient", "learning"}
        assert isinstance(line["detectors"], list)
        for key in ("psi", "score", "min_detectable"):
            assert line[key] is None or isinstance(line[key], float)


def test_traffic_like_the_baselines_drifts_nowhere(clean: Found) -> None:
    assert clean.of(verdict="drifted") == []
    assert {line["verdict"] for line in clean.lines} <= {"ok", "insufficient"}
    assert clean.of(verdict="ok") != []


def test_csv_gzip_and_parquet_give_equal_lines(baseline: Path, clean: Found, tmp_path: Path) -> None:
    for name in ("live.csv.gz", "live.parquet"):
        assert backtest(write(tmp_path / name, traffic(LIVE, 48)), baseline).lines == clean.lines


@pytest.mark.parametrize("bound", [1 << 27, 100])
def test_rows_in_any_order_give_the_lines_of_sorted_ones(
    bound: int, baseline: Path, clean: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.backtest.reader.SORTED", bound)
    rng = np.random.default_rng(0)
    # Beyond the bound rows may be late by an hour: 50 minutes here.
    late = rng.permutation(2880) if bound > 1000 else np.argsort(np.arange(2880) + rng.integers(0, 50, 2880))
    shuffled = pa.table(traffic(LIVE, 48)).take(pa.array(late))
    path = write(tmp_path / "live.csv", dict(zip(shuffled.column_names, shuffled.columns, strict=True)))
    assert backtest(path, baseline).lines == clean.lines


def test_a_file_too_large_to_sort_may_not_be_hours_out_of_order(
    baseline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.backtest.reader.SORTED", 1000)
    table = pa.table(traffic(LIVE, 5)).take(pa.array([*range(60, 300), *range(60)]))
    path = write(tmp_path / "live.csv", dict(zip(table.column_names, table.columns, strict=True)))
    result = modelmeter("backtest", path, "--baseline", baseline, "--timestamp", "time")
    expected = "rows in order of time within an hour, in a file of more than 200 rows"
    sentence = f"modelmeter: {path}: time: expected {expected}, found one 5.0 hours late\n"
    assert (result.exit_code, result.stderr) == (2, sentence)


def test_an_injected_fault_drifts_in_its_column_and_hours_alone(baseline: Path, tmp_path: Path) -> None:
    start, end = LIVE + 24 * HOUR, LIVE + 36 * HOUR
    path = write(tmp_path / "live.csv", traffic(LIVE, 48))
    found = backtest(path, baseline, "--inject", f"amount:scale:{iso(start)}:{iso(end)}:1000")
    drifted = found.of(verdict="drifted", window="1h")
    assert {line["column"] for line in drifted} == {"amount"}
    starts = [line["start"] for line in drifted]
    assert iso(start) in starts
    assert min(starts) >= iso(start)
    assert max(starts) < iso(end)
    assert [line["start"] for line in found.of(verdict="drifted", window="1d")] == [iso(start)]
    assert all(line["onset"] is not None for line in drifted)
    assert "amount" in found.result.stdout


def test_a_file_of_the_baselines_columns_in_another_order_with_more_is_told_and_read(
    baseline: Path, clean: Found, tmp_path: Path
) -> None:
    columns = traffic(LIVE, 48)
    columns = {"id": range(48 * 60), **{name: columns[name] for name in reversed(columns)}}
    found = backtest(write(tmp_path / "live.csv", columns), baseline)
    assert found.lines == clean.lines
    assert found.result.stderr == "note: not in the baseline, so not judged: id\n"


def test_a_column_that_never_came_is_told_and_insufficient(baseline: Path, tmp_path: Path) -> None:
    columns = traffic(LIVE, 24)
    del columns["city"]
    found = backtest(write(tmp_path / "live.csv", columns), baseline)
    assert "note: city: never came: live.csv has no such column\n" in found.result.stderr
    assert {(line["rows"], line["verdict"]) for line in found.of(column="city")} == {(0, "insufficient")}
    assert len(found.of(column="city")) == len(found.of(column="age"))


def test_rows_without_a_time_are_told_and_left_out(baseline: Path, clean: Found, tmp_path: Path) -> None:
    table = pa.table(traffic(LIVE, 48))
    columns = dict(zip(table.column_names, table.columns, strict=True))
    lost = {
        name: pa.chunked_array([*column.chunks, *column.slice(0, 3).chunks])
        for name, column in columns.items()
    }
    lost["time"] = pa.array([*columns["time"].to_pylist(), None, None, None])
    found = backtest(write(tmp_path / "live.parquet", lost), baseline)
    assert found.lines == clean.lines
    assert "note: time: 3 rows have no time and are left out\n" in found.result.stderr


def test_hours_in_the_middle_without_rows_are_told_as_insufficient(baseline: Path, tmp_path: Path) -> None:
    table = pa.table(traffic(LIVE, 48))
    kept = pa.array([*range(10 * 60), *range(13 * 60, 48 * 60)])
    rest = table.take(kept)
    found = backtest(
        write(tmp_path / "live.parquet", dict(zip(rest.column_names, rest.columns, strict=True))), baseline
    )
    empty = [line for line in found.of(window="1h") if line["rows"] == 0]
    assert {line["start"] for line in empty} == {iso(LIVE + at * HOUR) for at in (10, 11, 12)}
    assert {(line["verdict"], line["psi"], line["score"]) for line in empty} == {("insufficient", None, None)}
    assert len(found.of(window="1h")) == 48 * len(COLUMNS)


def test_windows_that_the_file_covers_in_part_are_never_judged(baseline: Path, tmp_path: Path) -> None:
    # 10:30 to 20:20 three days later, all of it far off.
    columns = traffic(LIVE + 10.5 * HOUR, 58 - 1 / 6)
    columns["amount"] = columns["amount"] * 1000
    found = backtest(write(tmp_path / "live.csv", columns), baseline)
    for window, first, last, rows in (
        ("1h", LIVE + 10 * HOUR, LIVE + 68 * HOUR, (30, 20)),
        ("1d", LIVE, LIVE + 2 * DAY, (810, 1220)),
    ):
        lines = found.of(column="amount", window=window)
        assert [line["start"] for line in (lines[0], lines[-1])] == [iso(first), iso(last)]
        assert tuple(line["rows"] for line in (lines[0], lines[-1])) == rows
        for line in (lines[0], lines[-1]):
            assert {key: line[key] for key in KEYS[6:]} == {
                **dict.fromkeys(KEYS[6:]),
                "verdict": "insufficient",
                "detectors": [],
            }
        assert {line["verdict"] for line in lines[1:-1]} <= {
            "drifted",
            "ticket",
        }  # after a day it pages no more


def test_window_chooses_the_lines_and_changes_none(baseline: Path, clean: Found, tmp_path: Path) -> None:
    path = write(tmp_path / "live.parquet", traffic(LIVE, 48))
    for windows in (("1h",), ("1d",), ("1d", "1h")):
        options = [word for window in windows for word in ("--window", window)]
        wanted = [line for line in clean.lines if line["window"] in windows]
        assert backtest(path, baseline, *options).lines == wanted


def test_lines_on_standard_output_leave_the_summary_to_standard_error(
    baseline: Path, clean: Found, tmp_path: Path
) -> None:
    path = write(tmp_path / "live.parquet", traffic(LIVE, 48))
    options = ("--baseline", baseline, "--timestamp", "time")
    piped = modelmeter("backtest", path, *options, "-o", "-")
    assert piped.exit_code == 0, piped.output
    assert [json.loads(line) for line in piped.stdout.splitlines()] == clean.lines
    alone = modelmeter("backtest", path, *options)
    assert piped.stderr == alone.stdout
    assert alone.stdout.startswith(
        f"model m, 2,880 rows of live.parquet, {iso(LIVE)} to {iso(LIVE + 48 * HOUR - 60)}; baseline baseline.json"
    )
    assert "0 pages in 2.0 days, 0 a month; 1 a month without a cause is budgeted\n" in alone.stdout


def test_the_prediction_and_the_features_of_one_incident_are_listed_with_their_first_page(
    baseline: Path, tmp_path: Path
) -> None:
    path = write(tmp_path / "live.csv", traffic(LIVE, 48))
    start, end = LIVE + 24 * HOUR, LIVE + 30 * HOUR
    faults = [f"{name}:scale:{start}:{end}:1000" for name in ("amount", "score")]
    found = backtest(path, baseline, *(word for fault in faults for word in ("--inject", fault)))
    rows = {line.split("  ")[0].strip(): line for line in found.result.stdout.splitlines()}
    assert iso(start + HOUR) in rows["amount"]
    assert iso(start + HOUR) in rows["score (prediction)"]
    assert "T" not in rows["city"]


def test_a_configuration_gives_time_zone_budget_and_what_is_not_monitored(
    baseline: Path, tmp_path: Path
) -> None:
    config = tmp_path / "modelmeter.yaml"
    config.write_text(
        "timezone: Asia/Kolkata\npage_budget: 3\nmodels: [{name: m, columns: [{name: age, monitored: false}]}]\n"
    )
    columns = traffic(LIVE, 49)
    naive = {**columns, "time": [time.replace("T", " ").rstrip("Z") for time in columns["time"]]}
    found = backtest(write(tmp_path / "live.csv", naive), baseline, "--config", config)
    midnight = LIVE - 5.5 * HOUR  # of Kolkata, which the naive times are of
    days = found.of(window="1d", column="city")
    assert [line["start"] for line in days] == [iso(midnight), iso(midnight + DAY), iso(midnight + 2 * DAY)]
    assert [line["rows"] for line in days] == [1440, 1440, 60]
    assert days[-1]["verdict"] == "insufficient"
    hours = found.of(window="1h", column="city")
    assert [line["start"] for line in hours] == [iso(midnight + at * HOUR) for at in range(49)]
    assert found.of(column="age") == []
    assert "3 a month without a cause are budgeted" in found.result.stdout
    assert "note: hours and days are those of Asia/Kolkata" in found.result.stderr


@pytest.mark.parametrize(("date", "hours", "absent"), [("2024-03-31", 23, 2), ("2024-10-27", 25, None)])
def test_days_on_which_the_clocks_change_have_23_and_25_hours(
    date: str, hours: int, absent: int | None, baseline: Path, tmp_path: Path
) -> None:
    config = tmp_path / "modelmeter.yaml"
    config.write_text("timezone: Europe/Berlin\n")
    midnight = np.datetime64(date, "s")
    walls = [midnight + np.timedelta64(minute, "m") for minute in range(-60, 25 * 60)]
    walls = [wall for wall in walls if absent is None or (wall - midnight).astype(int) // 3600 != absent]
    columns = {**traffic(0, len(walls) / 60), "time": [str(wall) for wall in walls]}
    found = backtest(write(tmp_path / "live.csv", columns), baseline, "--config", config)
    day = next(line for line in found.of(window="1d", column="city") if line["rows"] > 100)
    length = np.datetime64(day["end"][:-1]) - np.datetime64(day["start"][:-1])
    assert length == np.timedelta64(hours * 3600, "s")
    # The hour that the clocks show twice is the first of the two, since a naive time can not tell which.
    assert day["rows"] == 60 * (23 if hours == 23 else 24)
    assert (
        len(
            [
                line
                for line in found.of(window="1h", column="city")
                if day["start"] <= line["start"] < day["end"]
            ]
        )
        == hours
    )


def test_without_a_configuration_naive_times_are_of_the_baselines_time_zone(tmp_path: Path) -> None:
    config = tmp_path / "modelmeter.yaml"
    config.write_text("timezone: America/New_York\n")
    columns = traffic(LIVE, 48)
    columns["time"] = [time.rstrip("Z") for time in columns["time"]]
    path, baseline = write(tmp_path / "live.csv", columns), tmp_path / "b.json"
    built = modelmeter("baseline", "build", path, "--config", config, "--timestamp", "time", "-o", baseline)
    assert built.exit_code == 0, built.output
    found = backtest(path, baseline)
    assert found.of(window="1d", column="city")[0]["start"] == iso(LIVE + 5 * HOUR)


def test_values_that_do_not_fit_their_column_cost_no_other(baseline: Path, tmp_path: Path) -> None:
    columns: dict[str, Any] = traffic(LIVE, 24)
    columns["amount"] = ["n.a." if at % 3 == 0 else str(value) for at, value in enumerate(columns["amount"])]
    found = backtest(write(tmp_path / "live.csv", columns), baseline)
    assert {line["rows"] for line in found.of(window="1h")} == {60}
    assert {line["verdict"] for line in found.of(column="city")} <= {"ok", "insufficient"}


NO_FILE = "expected a CSV or Parquet file, found no file of that name"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"--timestamp": "tim"}, "{live}: --timestamp: expected 'time', found 'tim', which is no column"),
        ({"--timestamp": "city"}, "{live}: city, row 1: expected an ISO 8601 time or Unix seconds, found 'Rome'"),
        ({"live": "{here}/absent.csv"}, "{here}/absent.csv: " + NO_FILE),
        ({"--baseline": "{here}/absent.json"}, "{here}/absent.json: expected a baseline file, found no file of that name"),
        ({"--config": "{here}/absent.yaml"}, "{here}/absent.yaml: expected a readable YAML file, found no file of that name"),
        ({"live": "{here}/other.csv"}, "{here}/other.csv: header: expected columns of {baseline} (amount, age, city, member, score), found none of them"),
        ({"live": "{here}/header.csv"}, "{here}/header.csv: time: expected an ISO 8601 time or Unix seconds, found a header alone"),
        ({"live": "{here}/timeless.csv"}, "{here}/timeless.csv: time: expected an ISO 8601 time or Unix seconds, found missing entries only"),
        ({"live": "{here}/apart.csv"}, "{here}/apart.csv: time: expected rows without a gap of more than 366 days, found none from 1970-01-15T00:00:00Z to 2024-01-01T00:00:00Z"),
        ({"-o": "{here}/no/where.jsonl"}, "{here}/no/where.jsonl: expected a file that can be written, found No such file or directory"),
        ({"--inject": "amount:shift:2024-01-22"}, "--inject: amount:shift:2024-01-22: expected COLUMN:FAULT:FROM:TO[:STRENGTH] with two dates, times or Unix seconds, found 2024-01-22"),
        ({"--inject": "amont:shift:2024-01-22:2024-01-23"}, "--inject: amont:shift:2024-01-22:2024-01-23: expected a column of file and baseline, 'amount' perhaps, found amont"),
        ({"--inject": "amount:shif:2024-01-22:2024-01-23"}, "--inject: amount:shif:2024-01-22:2024-01-23: expected COLUMN:FAULT:FROM:TO[:STRENGTH] with a fault, 'shift' perhaps, found shif"),
        ({"--inject": "amount:shift:2024-01-23:2024-01-22"}, "--inject: amount:shift:2024-01-23:2024-01-22: expected FROM before TO 2024-01-22, found 2024-01-23"),
        ({"--inject": "amount:shift:2023-01-22:2023-01-23"}, "--inject: amount:shift:2023-01-22:2023-01-23: expected rows from FROM to TO; the file's are of 2024-01-22T00:00:00Z to 2024-01-22T01:55:00Z, found none"),
        ({"--inject": "amount:shift:2024-01-22:2024-01-23:lots"}, "--inject: amount:shift:2024-01-22:2024-01-23:lots: expected a number other than 0 (standard deviations of the column, signed) as strength of shift, found 'lots'"),
        ({"--inject": "amount:unseen:2024-01-22:2024-01-23"}, "--inject: amount:unseen:2024-01-22:2024-01-23: expected a fault that the column can have, found unseen_category: a column of numbers can not have this fault"),
        ({"--inject": "amount:swapped:2024-01-22:2024-01-23:cty"}, "--inject: amount:swapped:2024-01-22:2024-01-23:cty: expected another column, one of amount, age, city, member, score, found cty"),
        ({"--inject": "age:replayed:2024-01-22:2024-01-23"}, "--inject: age:replayed:2024-01-22:2024-01-23: expected rows 24 hours before 2024-01-22T00:00:00Z, to be sent again, found none"),
    ],
    ids=lambda value: next(iter(value.values())) if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_mistake_is_one_sentence_and_status_2(
    options: dict[str, str], sentence: str, baseline: Path, tmp_path: Path
) -> None:
    two = write(tmp_path / "live.csv", {**traffic(LIVE, 2), "city": ["Rome"] * 120})
    (tmp_path / "other.csv").write_text("time,x\n2024-01-22,1\n")
    (tmp_path / "header.csv").write_text("time,amount\n")
    (tmp_path / "timeless.csv").write_text("time,amount\n,1\n")
    (tmp_path / "apart.csv").write_text("time,amount\n1209600,1\n2024-01-01,1\n")
    names = {"here": tmp_path, "live": two, "baseline": baseline}
    given = {"live": "{live}", "--baseline": "{baseline}", "--timestamp": "time", **options}
    words = [word.format(**names) for pair in list(given.items())[1:] for word in pair]
    result = modelmeter("backtest", given["live"].format(**names), *words)
    assert (result.exit_code, result.stderr) == (2, f"modelmeter: {sentence.format(**names)}\n")


def test_a_run_that_fails_leaves_the_file_of_before(baseline: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "live.csv", traffic(LIVE, 3))
    path.write_text(path.read_text() + "half a row")
    (tmp_path / "out.jsonl").write_text("before\n")
    options = ("--baseline", baseline, "--timestamp", "time", "-o", tmp_path / "out.jsonl")
    assert modelmeter("backtest", path, *options).exit_code == 2
    assert (tmp_path / "out.jsonl").read_text() == "before\n"
    assert {entry.name for entry in tmp_path.iterdir()} == {"live.csv", "out.jsonl"}


def test_a_configuration_of_several_models_has_to_have_the_baselines(baseline: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "live.csv", traffic(LIVE, 2))
    config = tmp_path / "modelmeter.yaml"
    options = ("--baseline", baseline, "--timestamp", "time", "--config", config)
    config.write_text("models: [{name: a}, {name: b}]\n")
    result = modelmeter("backtest", path, *options)
    assert (result.exit_code, result.stderr) == (
        2,
        f"modelmeter: {config}: models: expected 'm', the model of {baseline}, found a, b\n",
    )
    config.write_text("models: [{name: a}]\n")
    result = modelmeter("backtest", path, *options)
    assert result.exit_code == 0
    assert f"note: {baseline} is of model 'm'; it judges 'a' here\n" in result.stderr
    config.write_text("models: [{name: m, columns: [{name: city, kind: numeric}]}]\n")
    result = modelmeter("backtest", path, *options)
    assert result.exit_code == 2
    assert f"modelmeter: {config}: models[0].columns[0].kind: expected 'categorical'" in result.stderr
