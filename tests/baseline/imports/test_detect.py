"""Whose file it is, is told by its first bytes; tables are sent to ``baseline build``."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.baseline import BaselineError
from exporter.baseline.imports import detect, import_baseline


@pytest.mark.parametrize(
    ("name", "content", "format_"),
    [
        ("a.bin", b"WHY1\0", "whylogs"),
        ("a.json", b' {"features": []}', "sagemaker"),
        ("a.prom", b"# TYPE feature_0_value_baseline histogram\n", "boxkite"),
        ("a.csv", b"age,fare\n1,2\n", "frame"),
        ("a", b"PAR1....", "frame"),
        ("a.txt", b"what", None),
    ],
)
def test_detected(name: str, content: bytes, format_: str | None, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert detect(tmp_path / name) == format_


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"age\n1\n", "baseline build reads it"), (b"what", "none of them")],
)
def test_others_are_refused_with_what_to_do(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / ("t.csv" if b"age" in content else "t")
    path.write_bytes(content)
    with pytest.raises(BaselineError, match=says):
        import_baseline(path, model="m", created=0.0)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="no file of that name"):
        detect(tmp_path / "absent.json")
