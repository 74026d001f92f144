"""The committed list of skips holds both ways."""

import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.demo.environment import ROOT
from tests.conftest import committed_skips

TESTS = """
import pytest
from tests.real import parts

def test_that_runs(): pass

def test_that_needs_a_part(part, monkeypatch):
    monkeypatch.setattr(parts, "find", lambda program: None)
    part("promtool")
"""

ENTRY = "test_it.py::test_that_needs_a_part | promtool is not installed (Debian package prometheus)\n"


def run(tmp_path: Path, listed: str, tests: str = TESTS) -> tuple[int, str]:
    """Exit status and output of a pytest of its own on *tests*, against the list *listed*."""
    (tmp_path / "test_it.py").write_text(tests)
    (tmp_path / "test_other.py").write_text("def test_passes(): pass\n")
    (tmp_path / "skips.txt").write_text(listed)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.conftest",
            "--skips-equal",
            "skips.txt",
            f"--rootdir={tmp_path}",
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout


def test_the_skips_of_the_list_pass_and_are_counted(tmp_path: Path) -> None:
    status, output = run(tmp_path, f"# what this machine lacks\n\n{ENTRY}")
    assert "skips: 1, as in skips.txt" in output
    assert status == 0


def test_a_skip_that_is_not_listed_fails(tmp_path: Path) -> None:
    status, output = run(tmp_path, "# none\n")
    assert f"not in the list: {ENTRY}" in output
    assert status == 1


def test_a_listed_skip_that_ran_fails(tmp_path: Path) -> None:
    status, output = run(tmp_path, f"{ENTRY}test_it.py::test_that_runs | why not\n")
    assert "listed, but not skipped so: test_it.py::test_that_runs | why not\n" in output
    assert status == 1


def test_a_module_that_is_skipped_at_import_counts_too(tmp_path: Path) -> None:
    status, output = run(tmp_path, "# none\n", "import pytest\npytest.importorskip('no_such_module')\n")
    assert (
        "not in the list: test_it.py | could not import 'no_such_module': No module named 'no_such_module'"
        in output
    )
    assert status == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# a | b\n", {}),
        ("a::b[x|y] | c\n", {"a::b[x": "y] | c"}),
        (" a | b # c\n", {"a": "b # c"}),
    ],
)
def test_a_list_is_one_test_and_reason_a_line(text: str, expected: dict[str, str]) -> None:
    assert committed_skips(text) == expected
