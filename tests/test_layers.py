"""Who may import whom: the table is compared with the tree, both ways.

`exporter` is the core and never imports `sidecar`; the readers know no socket, clock or loop; one package
alone imports datasketches; what the tap and the supervisor load stays small.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FREE = sys.stdlib_module_names
"""The standard library, but for what a row of the table forbids."""

IO = {"socket", "asyncio", "select", "selectors", "ssl", "time", "threading", "subprocess", "multiprocessing"}

_MEASURED = {
    "exporter.hourly",
    "exporter.profile",
    "exporter.sketch",
    "exporter.statistics",
    "exporter.views",
}
"""What fitting and judging look at."""

#: package or module → (third-party libraries, our own packages, standard modules it must not import)
LAYERS: dict[str, tuple[set[str], set[str], set[str]]] = {
    # The core
    "exporter.rows": ({"numpy"}, set(), IO),
    "exporter.schema": ({"msgspec"}, {"exporter.rows"}, IO),
    "exporter.views": ({"numpy"}, {"exporter.rows", "exporter.schema"}, IO),
    "exporter.metrics": (set(), set(), IO),
    "exporter.sketch": ({"numpy", "datasketches"}, set(), IO),
    "exporter.statistics": ({"numpy"}, set(), IO),
    "exporter.embedding": ({"numpy"}, {"exporter.statistics"}, IO),
    "exporter.text": ({"numpy"}, set(), IO),
    "exporter.derived": (
        {"numpy"},
        {
            *("exporter.embedding", "exporter.profile", "exporter.rows", "exporter.schema"),
            "exporter.text",
        },
        IO,
    ),
    "exporter.tumbling": (set(), set(), IO),
    "exporter.hourly": ({"numpy"}, set(), IO),
    "exporter.faults": ({"numpy"}, set(), IO),
    "exporter.profile": ({"msgspec", "numpy"}, {"exporter.rows", "exporter.schema", "exporter.sketch"}, IO),
    "exporter.window": (
        {"msgspec", "numpy"},
        {
            *("exporter.hourly", "exporter.profile", "exporter.rows", "exporter.schema", "exporter.sketch"),
            "exporter.tumbling",
        },
        IO,
    ),
    "exporter.learning": (
        {"numpy"},
        {
            *("exporter.baseline", "exporter.hourly", "exporter.mistake", "exporter.profile"),
            *("exporter.rows", "exporter.schema", "exporter.sketch"),
        },
        IO - {"ssl"},  # a state may be fetched from a recorder
    ),
    "exporter.baseline.imports": (
        {"msgspec", "numpy", "prometheus_client"},
        {"exporter.baseline", "exporter.hourly", "exporter.rows", "exporter.sketch"},
        IO,
    ),
    "exporter.matching": (
        {"numpy"},
        {"exporter.baseline", "exporter.profile", "exporter.rows", "exporter.schema"},
        IO,
    ),
    "exporter.sampled": (
        {"numpy"},
        {"exporter.baseline", "exporter.matching", "exporter.rows", "exporter.schema"},
        IO,
    ),
    "exporter.checkpoint": (set(), set(), IO),
    **{
        module: ({"numpy", "msgspec"}, {"exporter.baseline", "exporter.verdict", *_MEASURED}, IO)
        for module in (
            *("exporter.baseline.blind", "exporter.baseline.calibration", "exporter.baseline.expected"),
            *("exporter.baseline.changes", "exporter.baseline.fit", "exporter.baseline.table"),
            *("exporter.baseline.tail", "exporter.verdict.accumulate", "exporter.verdict.library"),
            *("exporter.verdict.engine", "exporter.verdict.judge", "exporter.verdict.matching"),
            *("exporter.verdict.measures", "exporter.verdict.model", "exporter.verdict.references"),
            *("exporter.verdict.spike", "exporter.verdict.steady", "exporter.verdict.windows"),
        )
    },
    "exporter.verdict.pair": (
        {"numpy"},
        {"exporter.baseline", "exporter.hourly", "exporter.verdict"},
        IO,
    ),
    "exporter.versions": (
        set(),
        {"exporter.baseline", "exporter.hourly", "exporter.rows", "exporter.verdict", "exporter.views"},
        IO,
    ),
    "exporter.slices": (
        {"msgspec", "numpy"},
        {
            *("exporter.baseline", "exporter.hourly", "exporter.profile", "exporter.rows"),
            *("exporter.schema", "exporter.sketch", "exporter.tumbling", "exporter.verdict"),
            *("exporter.views", "exporter.window"),
        },
        IO,
    ),
    "exporter.traffic": (set(), {"exporter.views"}, IO),
    "exporter.backtest": (
        {"click", "msgspec", "numpy", "pyarrow", "rich"},
        {
            *(
                "exporter.baseline",
                "exporter.configuration",
                "exporter.derived",
                "exporter.faults",
                "exporter.mistake",
            ),
            *("exporter.monitor", "exporter.rows", "exporter.schema", "exporter.sketch", "exporter.tumbling"),
            *("exporter.profile", "exporter.verdict", "exporter.views", "exporter.window"),
        },
        IO - {"threading", "multiprocessing"},  # reading ahead, and columns parted among processes
    ),
    # The readers of the wire
    "sidecar.framing": (set(), set(), IO),
    "sidecar.packing": (set(), set(), IO),
    "sidecar.wire": (
        {"hpack", "httptools"},
        {"sidecar.exchange", "sidecar.framing", "sidecar.packing"},
        IO,
    ),
    "sidecar.exchange": ({"msgspec"}, set(), IO),
    # The tap and the supervisor
    "sidecar.words": (set(), set(), {"socket", "asyncio"}),
    "sidecar.order": (set(), {"sidecar.words"}, IO - {"threading"}),  # its lock, as a fence
    "sidecar.ring": (set(), {"sidecar.order", "sidecar.words"}, IO),
    "sidecar.draws": (set(), {"sidecar.ring", "sidecar.words"}, IO),
    "sidecar.tables": (set(), {"sidecar.framing", "sidecar.packing"}, IO),
    "sidecar.frames": (
        set(),
        {"sidecar.draws", "sidecar.framing", "sidecar.ring", "sidecar.tables", "sidecar.words"},
        IO,
    ),
    "sidecar.plan": (set(), set(), IO),
    "sidecar.copier": (
        set(),
        {"sidecar.draws", "sidecar.frames", "sidecar.framing", "sidecar.ring", "sidecar.words"},
        IO,
    ),
    "sidecar.pace": (set(), set(), IO),
    "sidecar.drain": (set(), set(), IO),
    "sidecar.tls": (set(), {"sidecar.log", "sidecar.plan"}, {"asyncio", "socket", "logging"}),
    "sidecar.half": (set(), {"sidecar.copier", "sidecar.listener"}, {"select", "ssl", "logging"}),
    "sidecar.sealed": (
        set(),
        {"sidecar.copier", "sidecar.half", "sidecar.listener", "sidecar.tls"},
        {"select", "socket", "logging"},
    ),
    "sidecar.listener": (
        set(),
        {
            *("sidecar.copier", "sidecar.half", "sidecar.log", "sidecar.plan", "sidecar.sealed"),
            *("sidecar.tls", "sidecar.words"),
        },
        {"select", "ssl", "logging"},
    ),
    "sidecar.tap": (
        {"uvloop"},
        {
            *("sidecar.copier", "sidecar.drain", "sidecar.listener", "sidecar.log", "sidecar.plan"),
            *("sidecar.ring", "sidecar.tls", "sidecar.words"),
        },
        set(),
    ),
    "sidecar.client": (set(), set(), {"asyncio", "logging"}),
    "sidecar.ingest": (
        {"msgspec"},
        {
            *("exporter.errors", "exporter.schema", "exporter.views", "exporter.web"),
            *("sidecar.books", "sidecar.decode", "sidecar.exchange", "sidecar.words"),
        },
        {"asyncio", "subprocess"},
    ),
    "sidecar.keeper": (
        set(),
        {"exporter.checkpoint", "exporter.monitor", "exporter.views", "sidecar.log"},
        {"asyncio", "socket", "subprocess", "logging"},
    ),
    "sidecar.health": (set(), set(), set()),
    "sidecar.log": (set(), set(), {"logging"}),
    "sidecar.processes": (set(), set(), IO),
    "sidecar.supervisor": (
        set(),
        {
            *("sidecar.drain", "sidecar.health", "sidecar.log", "sidecar.plan", "sidecar.processes"),
            "sidecar.words",
        },
        {"asyncio", "logging"},
    ),
}

ONE_IMPORTER = {
    "datasketches": "exporter.sketch",
    "google.protobuf": "sidecar.decode",
    "hpack": "sidecar.wire",
    "httptools": "sidecar.wire",
    "uvloop": "sidecar.tap",
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources() -> dict[str, Path]:
    return {
        module_name(path): path
        for package in ("exporter", "sidecar")
        for path in (ROOT / package).rglob("*.py")
    }


def imports(path: Path) -> set[str]:
    """Every module that *path* imports, anywhere in it, type checking included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            found.add(node.module)
    return found - {"__future__"}


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_what_its_row_allows(layer: str) -> None:
    libraries, ours, forbidden = LAYERS[layer]
    members = {name: path for name, path in sources().items() if within(name, layer)}
    assert members, f"{layer} is in the table and not in the tree"
    wrong = {}
    for name, path in members.items():
        for imported in imports(path):
            top = imported.partition(".")[0]
            if top in ("exporter", "sidecar"):
                fine = within(imported, layer) or any(within(imported, package) for package in ours)
            elif top in FREE:
                fine = top not in forbidden
            else:
                fine = top in libraries
            if not fine:
                wrong[name] = imported
    assert wrong == {}


def test_the_core_never_imports_the_shell() -> None:
    wrong = {
        name
        for name, path in sources().items()
        if within(name, "exporter") and any(within(imported, "sidecar") for imported in imports(path))
    }
    assert wrong == set()


@pytest.mark.parametrize("library", ONE_IMPORTER)
def test_a_library_has_one_importer(library: str) -> None:
    importers = {name for name, path in sources().items() if any(within(i, library) for i in imports(path))}
    assert importers, f"nothing imports {library}"
    assert {name for name in importers if not within(name, ONE_IMPORTER[library])} == set()


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        (
            "sidecar.tap",
            {"numpy", "click", "yaml", "flask", "prometheus_client", "exporter.schema", "httptools"},
        ),
        (
            "sidecar.supervisor",
            {"numpy", "click", "yaml", "flask", "uvloop", "asyncio", "msgspec", "logging"},
        ),
        ("sidecar.recorder", {"scipy", "pyarrow", "rich", "pandas", "uvloop"}),
        ("sidecar.cli", {"numpy", "scipy", "pyarrow", "rich", "flask"}),
        ("sidecar.client", {"numpy", "msgspec", "asyncio", "logging", "sidecar.decode", "exporter"}),
        ("sidecar", {"sidecar.client", "http", "threading"}),
        ("exporter", {"numpy", "flask", "requests"}),
    ],
)
def test_a_process_loads_no_more_than_it_needs(module: str, absent: set[str]) -> None:
    program = f"import sys, {module}; print('\\n'.join(sys.modules))"
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert module in loaded
    assert loaded & absent == set()
