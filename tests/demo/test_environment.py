"""Lock files and environments."""

import itertools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sidecar.demo import environment
from sidecar.demo.errors import DemoError

REQUIREMENTS = environment.ROOT / "requirements"
LOCKS = sorted(REQUIREMENTS.glob("*.txt"))


def requirements(text: str) -> list[str]:
    """The logical lines of a requirements file."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def test_every_input_has_its_lock_file() -> None:
    assert {path.stem for path in LOCKS} == {path.stem for path in REQUIREMENTS.glob("*.in")}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_file_pins_by_version_and_hash_and_names_no_place(lock: Path) -> None:
    text = lock.read_text()
    lines = requirements(text)
    assert lines
    for line in lines:
        requirement, *hashes = line.split(" --hash=sha256:")
        assert re.match(r"[a-z0-9-]+(\[[a-z0-9,-]+\])?==\S+( ; .+)?$", requirement.strip()), requirement
        assert hashes, requirement
        assert all(re.fullmatch("[0-9a-f]{64}", digest.strip()) for digest in hashes), requirement
    assert "://" not in text
    assert str(environment.ROOT) not in text


def test_every_dependency_of_the_project_is_locked() -> None:
    project = tomllib.loads((environment.ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    locked = {line.split("==")[0] for line in requirements((REQUIREMENTS / "development.txt").read_text())}
    names = {re.match("[A-Za-z0-9._-]+", line)[0].lower().replace("_", "-") for line in declared}  # type: ignore[index]
    assert names - locked == set()


def test_uv_of_the_bootstrap_is_uv_of_the_environment() -> None:
    pinned = {
        name: [
            line.split()[0]
            for line in requirements((REQUIREMENTS / name).read_text())
            if line.startswith("uv==")
        ]
        for name in ("bootstrap.txt", "development.txt")
    }
    assert pinned["bootstrap.txt"] == pinned["development.txt"] != []


def test_outside_a_clone_the_demo_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    with pytest.raises(DemoError) as raised:
        environment.ensure("mlserver")
    missing = tmp_path / "requirements" / "demo-mlserver.txt"
    assert str(raised.value) == f"the demo runs from a clone of the repository: {missing} is missing"


def test_without_a_suitable_python_the_versions_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(environment.PYTHONS, "mlserver", ((3, 1), (3, 2)))
    with pytest.raises(DemoError) as raised:
        environment.ensure("mlserver")
    assert str(raised.value) == (
        "mlserver needs a Python from 3.1 to below 3.2; this one is "
        f"{sys.version_info[0]}.{sys.version_info[1]} and no other was found"
    )


def test_what_is_not_in_the_lock_file_ends_with_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "build.txt").touch()
    (tmp_path / "requirements" / "demo-mlserver.txt").write_text("not a requirement at all\n")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "CACHE", tmp_path / "cache")
    log = tmp_path / "cache" / "envs" / "mlserver.log"
    for _ in range(2):  # a failure leaves no stamp that would make the second try pass
        with pytest.raises(DemoError) as raised:
            environment.ensure("mlserver")
        assert str(raised.value) == f"the environment of mlserver could not be made; see {log}"
        assert "not a requirement at all" in log.read_text()


def test_an_environment_is_made_once_and_anew_when_its_lock_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "build.txt").touch()
    lock = tmp_path / "requirements" / "demo-mlserver.txt"
    lock.write_text("# nothing\n")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "CACHE", tmp_path / "cache")

    python = environment.ensure("mlserver")
    prefix = subprocess.run(
        [python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True
    )
    mark = python.parent / "mark"
    mark.touch()
    assert prefix.stdout.strip() == str(tmp_path / "cache" / "envs" / "mlserver")
    assert environment.ensure("mlserver") == python
    assert mark.exists()

    lock.write_text("# still nothing\n")
    assert environment.ensure("mlserver") == python
    assert not mark.exists()
