from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.baseline import BaselineError
from exporter.baseline.source import MISSING_SPELLINGS, Source
from tests.baseline.made import csv_file, parquet_file


def columns_of(source: Source) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {name: [] for name in source.names}
    for batch in source.batches():
        for name, column in zip(source.names, batch.columns, strict=True):
            assert len(column) == batch.rows
            found[name].extend(column.to_pylist())
    return found


def test_entries_of_csv_stay_texts(tmp_path: Path) -> None:
    source = Source(csv_file(tmp_path, 'a,b\n007,"x, ""y"""\n1.50,é\n'))
    assert columns_of(source) == {"a": ["007", "1.50"], "b": ['x, "y"', "é"]}


@pytest.mark.parametrize("spelling", MISSING_SPELLINGS)
def test_missing_entries_have_the_spellings_of_pandas(tmp_path: Path, spelling: str) -> None:
    assert columns_of(Source(csv_file(tmp_path, f"a,b\n{spelling},1\n"))) == {"a": [None], "b": ["1"]}


def test_a_quoted_spelling_is_a_text_and_a_quoted_nothing_is_missing(tmp_path: Path) -> None:
    assert columns_of(Source(csv_file(tmp_path, 'a,b\n"NA",""\n'))) == {"a": ["NA"], "b": [None]}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_read_from_the_header(tmp_path: Path, delimiter: str) -> None:
    path = csv_file(tmp_path, f"a{delimiter}b\n1{delimiter}2\n")
    assert columns_of(Source(path)) == {"a": ["1"], "b": ["2"]}


@pytest.mark.parametrize(
    "text",
    ["\ufeffa,b\n1,2\n", "\r\na,b\r\n1,2\r\n", "a,b\n1,2", '"a","b"\n"1","2"\n'],
)
def test_headers_of_other_writers_are_read(tmp_path: Path, text: str) -> None:
    assert columns_of(Source(csv_file(tmp_path, text))) == {"a": ["1"], "b": ["2"]}


def test_a_value_may_hold_a_line_break(tmp_path: Path) -> None:
    assert columns_of(Source(csv_file(tmp_path, '"a\nb",c\n"1\n2",3\n'))) == {"a\nb": ["1\n2"], "c": ["3"]}


def test_a_compressed_file_is_inflated(tmp_path: Path) -> None:
    path = csv_file(tmp_path, gzip.compress(b"a,b\n1,2\n"), "train.csv.gz")
    assert columns_of(Source(path)) == {"a": ["1"], "b": ["2"]}


@pytest.mark.parametrize("name", ["train.csv", "train.csv.gz"])
def test_a_big_file_comes_in_batches_that_tell_how_much_is_read(tmp_path: Path, name: str) -> None:
    # 40 MB: a rising number keeps gzip from making one block of it.
    content = (
        "a,b\n" + "".join(f"{at},abcdefghijklmnopqrstuvwxyz0123456789\n" for at in range(900_000))
    ).encode()
    path = csv_file(tmp_path, gzip.compress(content, 1) if name.endswith("gz") else content, name)
    batches = list(Source(path).batches())
    fractions = [batch.fraction for batch in batches]
    assert len(batches) == -(-len(content) // (4 << 20))
    assert fractions == pytest.approx([(at + 1) / len(batches) for at in range(len(batches))], abs=0.15)
    assert fractions[-1] == 1.0
    assert [batch.first_row for batch in batches][1:] == [
        batch.first_row + batch.rows for batch in batches[:-1]
    ]


def test_parquet_keeps_its_types_and_comes_in_batches(tmp_path: Path) -> None:
    path = parquet_file(tmp_path, {"a": list(range(150_000)), "b": ["x"] * 150_000})
    batches = list(Source(path).batches())
    assert [batch.first_row for batch in batches] == [0, 65_536, 131_072]
    assert batches[-1].fraction == 1.0
    assert [str(column.type) for column in batches[0].columns] == ["int64", "string"]


@pytest.mark.parametrize(
    ("content", "key", "expected", "found"),
    [
        (b"", "", "a header and rows", "an empty file"),
        (b"\n\n", "", "a header and rows", "blank lines"),
        (b"a,b,a\n1,2,3\n", "header", "each column name once", "'a' twice"),
        (b"a,b\n1\n", "", "well-formed CSV with 2 columns in UTF-8", "Expected 2 columns, got 1"),
        (b"a,b\n1,2,3\n", "", "well-formed CSV with 2 columns in UTF-8", "Expected 2 columns, got 3"),
        (b"a,b\n\xff,2\n", "", "well-formed CSV with 2 columns in UTF-8", "invalid UTF8"),
        (b"PAR1 not really", "", "well-formed Parquet", ""),
    ],
)
def test_a_file_that_is_none_is_refused(
    tmp_path: Path, content: bytes, key: str, expected: str, found: str
) -> None:
    path = csv_file(tmp_path, content)
    with pytest.raises(BaselineError) as caught:
        list(Source(path).batches())
    error = caught.value
    assert (error.file, error.key, error.expected) == (str(path), key, expected)
    assert found in error.found
    assert "\n" not in str(error)


def test_no_file_and_no_ordinary_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="found no file of that name"):
        Source(tmp_path / "absent.csv")
    with pytest.raises(BaselineError, match="found something that is not a file"):
        Source(tmp_path)


def test_parquet_with_repeated_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), path)
    with pytest.raises(BaselineError, match="header: expected each column name once, found 'a' twice"):
        Source(path)


def test_without_pyarrow_the_command_says_how_to_get_it(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a\n1\n")
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from exporter.baseline.cli import baseline\n"
        f"baseline(['build', {str(path)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        f"modelmeter: {path}: expected pyarrow to read it with (pip install 'modelmeter[parquet]'), "
        "found no pyarrow\n"
    )


@pytest.mark.parametrize("module", ["exporter.baseline", "exporter.verdict"])
def test_what_the_recorder_imports_is_light(module: str) -> None:
    program = f"import sys, {module}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert module in loaded
    assert loaded & {"pyarrow", "scipy", "rich", "pandas", "click", "yaml"} == set()


def test_show_and_diff_need_no_pyarrow() -> None:
    program = "import sys, exporter.baseline.compare, exporter.baseline.show; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"pyarrow", "scipy", "pandas"} & set(done.stdout.split()) == set()
