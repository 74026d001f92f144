"""The documents say nothing of files, commands, metrics or settings that are not there."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from exporter.faults import FAULTS
from exporter.metrics import DETECTOR, METRICS
from exporter.schema import Configuration
from sidecar.cli import main
from sidecar.decode import is_stream, make_routes
from sidecar.decode.calls import CALLS

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"\bmodelmeter ((?:[a-z]+ )?[a-z]+)((?: +[^\s`|]+)*)")


def test_there_are_pages() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/flow.md", "docs/metrics.md"} <= {
        str(page.relative_to(ROOT)) for page in PAGES
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def commands(group: click.Group, prefix: str = "") -> dict[str, click.Command]:
    context = click.Context(group)
    found: dict[str, click.Command] = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found[prefix + name] = command
        if isinstance(command, click.Group):
            found |= commands(command, f"{prefix}{name} ")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_in_a_code_block_exists_with_its_flags(page: Path) -> None:
    known = commands(main)
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^(?:    |\t)(.*)$|`(modelmeter [^`]+)`", text, flags=re.MULTILINE)
    for line in ("".join(block) for block in blocks):
        match = COMMAND.search(line)
        if match is None:
            continue
        words = match[1].split()
        name = " ".join(words) if " ".join(words) in known else words[0]
        assert name in known, line
        flags = {option for p in known[name].params if isinstance(p, click.Option) for option in p.opts}
        ours = line[match.start() :].partition(" -- ")[0]
        used = set(re.findall(r"(?<!\S)(--[a-z][a-z.-]*)", ours))
        assert used - flags - {"--help", "--version"} == set(), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_metric_that_is_named_is_declared(page: Path) -> None:
    declared = {metric.name for metric in METRICS}
    named = set(re.findall(r"\bmodelmeter_[a-z_]+\b", page.read_text(encoding="utf-8")))
    parts = {f"{name}_{part}" for name in declared for part in ("bucket", "sum", "count")}
    assert named - declared - parts == set()


def test_no_page_names_a_path_of_a_machine() -> None:
    assert [
        str(page) for page in PAGES if re.search(r"(?<![\w.])/(?:work|root|home)/", page.read_text())
    ] == []


ROW = re.compile(r"^\| `(/[^`]+)` \|.*\| \[(\w+)\.py\]", re.MULTILINE)


def test_the_table_of_dialects_names_what_reads_each_path_and_leaves_none_out() -> None:
    rows = dict(ROW.findall((ROOT / "docs/dialects.md").read_text(encoding="utf-8")))
    routes = make_routes(Configuration())
    read_by = {}
    for path in rows:
        call = CALLS.get(path.encode())
        place = routes.find(path.encode(), b"application/json")
        if call is not None:
            read_by[path] = call.read.__module__
        elif is_stream(path.encode()):
            read_by[path] = is_stream.__module__
        else:
            assert place is not None, path
            dialect = getattr(place.dialect, "func", place.dialect)
            read_by[path] = dialect.__module__
    assert read_by == {path: f"sidecar.decode.{module}" for path, module in rows.items()}
    known = {getattr(route.dialect, "func", route.dialect).__module__ for route in routes.rows}
    known |= {call.read.__module__ for call in CALLS.values()} | {is_stream.__module__}
    assert known == set(read_by.values())


def test_every_fault_and_detector_is_explained() -> None:
    text = (ROOT / "docs" / "verdict.md").read_text(encoding="utf-8")
    assert [entry.name for entry in FAULTS if f"| `{entry.name}` | {entry.definition} |" not in text] == []
    assert [name for name in DETECTOR.values if f"`{name}`" not in text] == []
