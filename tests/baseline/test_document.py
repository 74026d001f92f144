from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.baseline import Baseline, BaselineError
from exporter.baseline import document as files
from exporter.derived import derived_names
from tests.baseline.made import built, parquet_file
from tests.baseline.test_build import traffic


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Baseline:
    columns = traffic(21)
    columns["amount"][::7] = np.nan
    columns["note"] = [f"note {at}" for at in range(len(columns["amount"]))]
    columns["flag"] = [at % 3 == 0 for at in range(len(columns["amount"]))]
    path = parquet_file(tmp_path_factory.mktemp("data"), columns)
    return built(path, timestamp="time", predictions=["score"], timezone="Europe/Berlin").baseline


@pytest.fixture
def file(baseline: Baseline, tmp_path: Path) -> Path:
    path = tmp_path / "baseline.json"
    baseline.write(path)
    return path


def test_what_is_written_reads_back_equal(baseline: Baseline, file: Path) -> None:
    loaded = Baseline.load(file)
    assert loaded.sealed() == baseline.sealed()
    assert loaded.sha256 == baseline.sealed().sha256
    assert loaded.created == baseline.created
    assert list(loaded.columns) == list(baseline.columns)
    for key, column in baseline.columns.items():
        again = loaded.columns[key]
        assert again.bins == column.bins
        assert again.bins.id == column.bins.id
        assert again.counts.tolist() == column.counts.tolist()
        assert again.calibration == column.calibration
        assert again.top == column.top


def test_the_file_can_be_read_and_compared_line_by_line(file: Path) -> None:
    lines = file.read_text().splitlines()
    document = json.loads(file.read_text())
    assert document["format"] == "modelmeter baseline"
    assert {column["name"] for column in document["columns"]} == {
        "amount",
        "carrier",
        "score",
        "note",
        "flag",
        *derived_names("note", "text"),
    }
    counts = [line for line in lines if line.strip().startswith('"counts": [')]
    assert len(counts) == 11
    assert all(line.rstrip(",").endswith("]") for line in counts)
    # Only what can not be broken is long: lists of numbers, the sketch and the hours.
    long = {
        line.strip().split(":")[0] for line in lines if len(line) > 110 and not line.strip().startswith("[")
    }
    assert long <= {'"edges"', '"counts"', '"quantiles"', '"recent"', '"natural"', '"scales"', '"shares"'}


def test_the_recorder_can_not_change_a_loaded_baseline(file: Path) -> None:
    column = Baseline.load(file).columns["feature", "amount"]
    with pytest.raises(ValueError, match="read-only"):
        column.counts[0] = 1


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: (
            st.lists(inner, max_size=30)
            | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
        ),
    )
)
def test_the_readable_form_is_json(value: Any) -> None:
    assert json.loads(files.render(value)) == value


def damage(file: Path, change: Callable[[dict[str, Any]], object], sealed: bool) -> None:
    """Change the document in *file*, and seal it anew when *sealed*."""
    document = json.loads(file.read_text())
    change(document)
    if sealed:
        document["sha256"] = files.digest(document)
    file.write_text(json.dumps(document))


def refusal(file: Path) -> BaselineError:
    with pytest.raises(BaselineError) as caught:
        Baseline.load(file)
    assert caught.value.file == str(file)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_file_that_was_changed_is_refused(file: Path) -> None:
    damage(file, lambda d: d["columns"][0]["counts"].__setitem__(3, 1), sealed=False)
    error = refusal(file)
    assert error.key == "sha256"
    assert re.fullmatch(r"[0-9a-f]{64}, which its content has", error.expected)
    assert error.found.endswith(": it was changed after it was built")


def test_blanks_and_the_order_of_keys_are_no_change(file: Path) -> None:
    document = json.loads(file.read_text())
    file.write_text(json.dumps(dict(reversed(document.items())), indent=9))
    assert Baseline.load(file).sha256 == document["sha256"]


@pytest.mark.parametrize(
    ("change", "key", "expected", "found"),
    [
        (lambda d: d.pop("timezone"), "timezone", "a value", "nothing"),
        (lambda d: d["columns"][1].pop("kind"), "columns[1].kind", "a value", "nothing"),
        (lambda d: d["columns"][0].update(rows="many"), "columns[0].rows", "int", "'many'"),
        (lambda d: d["columns"][0].update(rows=-1), "columns[0].rows", "int >= 0", "-1"),
        (lambda d: d["columns"][0].update(extra=1), "columns[0].extra", "a known key", "an unknown one"),
        (
            lambda d: d["columns"][0].update(kind="date"),
            "columns[0].kind",
            None,
            "'date'",
        ),
        (
            lambda d: d["columns"][0]["counts"].pop(),
            "columns[0].counts",
            "one count for each of 18 bins",
            "17 counts",
        ),
        (
            lambda d: d["columns"][0].update(bins={}),
            "columns[0].bins",
            "edges, or categories and known",
            None,
        ),
        (
            lambda d: d["columns"][0]["bins"]["edges"].reverse(),
            "columns[0].bins",
            "edges, or categories and known",
            None,
        ),
        (
            lambda d: d["columns"][0].update(kind="categorical"),
            "columns[0].bins",
            "categories, for a categorical column",
            "edges",
        ),
        (
            lambda d: d["columns"][0].update(quantiles="AAAA"),
            "columns[0].quantiles",
            "a quantile sketch in base64",
            None,
        ),
        (
            lambda d: d["columns"][0].update(quantiles="?"),
            "columns[0].quantiles",
            "a quantile sketch in base64",
            None,
        ),
        (
            lambda d: d["columns"].append(d["columns"][0]),
            "columns[11].name",
            "each column of a role once",
            "feature 'amount' twice",
        ),
        (lambda d: d.update(created="soon"), "created", "an ISO 8601 time", "'soon'"),
        (lambda d: d.update(format="other"), "format", "'modelmeter baseline'", "'other'"),
        (lambda d: d.update(schema=3), "schema", "at most 2, which this modelmeter can read", "3"),
        (lambda d: d.update(schema=1), "schema", "2: rebuild it with this modelmeter", "1"),
        (
            lambda d: d["columns"][0]["calibration"]["windows"]["1h"].pop("rows"),
            "columns[0].calibration.windows[...].rows",
            "a value",
            "nothing",
        ),
        (
            lambda d: d["columns"][0]["calibration"]["shares"]["shape"][0].pop(),
            "columns[0].calibration.shares.shape",
            None,
            None,
        ),
        (
            lambda d: d["columns"][0]["calibration"]["windows"]["1h"]["tests"]["missing"]["blend"].pop(),
            "columns[0].calibration.windows.1h.tests.missing",
            None,
            None,
        ),
        (
            lambda d: d["columns"][0]["calibration"]["windows"]["1h"]["tests"].pop("missing"),
            "columns[0].calibration.windows.1h.tests",
            None,
            None,
        ),
        (
            lambda d: d["columns"][0]["calibration"]["windows"].update(
                {"1w": {"windows": 1, "rows": 1, "tests": {}}}
            ),
            "columns[0].calibration.windows",
            "1h and 1d",
            "'1w'",
        ),
        (
            lambda d: d["columns"][0].update(recent="AAAA"),
            "columns[0].recent",
            "an hour table in base64",
            None,
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_its_key(
    file: Path, change: Callable[[dict[str, Any]], object], key: str, expected: str | None, found: str | None
) -> None:
    damage(file, change, sealed=True)
    error = refusal(file)
    assert error.key == key
    assert expected is None or error.expected == expected
    assert found is None or error.found == found


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"\xff\xfe", b"null", b'{"format": 1}'])
def test_what_is_no_baseline_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "b.json"
    path.write_bytes(content)
    refusal(path)


def test_no_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.json").found == "no file of that name"
    assert refusal(tmp_path).expected == "a readable baseline file"


def test_a_file_is_replaced_whole_or_not_at_all(
    baseline: Baseline, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(BaselineError, match="expected a file that can be written, found No space left"):
        baseline.write(file)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_file_has_the_permissions_of_any_other(file: Path, tmp_path: Path) -> None:
    ordinary = tmp_path / "ordinary"
    ordinary.write_text("")
    assert file.stat().st_mode == ordinary.stat().st_mode


def test_a_directory_that_is_not_there_is_said_so(baseline: Baseline, tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="found No such file or directory"):
        baseline.write(tmp_path / "absent" / "b.json")
