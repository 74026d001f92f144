"""import_baseline: another monitor's files to a baseline, whatever monitor it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from exporter.baseline.assemble import Parts, assemble, builder
from exporter.baseline.baseline import Baseline
from exporter.baseline.document import Origin
from exporter.baseline.errors import BaselineError
from exporter.baseline.imports.boxkite import read_histograms
from exporter.baseline.imports.reading import read_bytes
from exporter.baseline.imports.sagemaker import read_constraints, read_statistics
from exporter.baseline.imports.whylogs import read_profile
from exporter.rows import Role

Format: TypeAlias = Literal["sagemaker", "whylogs", "boxkite", "frame"]

_Reader: TypeAlias = Callable[[Path, dict[str, Role], list[str]], tuple[list[Parts], int]]
_READERS: Final[dict[Format, tuple[str, _Reader]]] = {
    "sagemaker": ("SageMaker Model Monitor", read_statistics),
    "whylogs": ("whylogs", read_profile),
    "boxkite": ("boxkite", read_histograms),
}
UNCALIBRATED: Final = (
    "uncalibrated: the file kept no times, so drift gives tickets, never a page, until live days calibrate it"
)


@dataclass(frozen=True, slots=True)
class Imported:
    """A baseline, and what its user should know about it."""

    baseline: Baseline
    notes: list[str] = field(default_factory=list)


def detect(path: Path) -> Format | None:
    """Whose file *path* is, by its first bytes; None for nobody's. Raises `BaselineError`."""
    head = read_bytes(path, "a file to import")[:4096]
    if head.startswith(b"WHY1"):
        return "whylogs"
    if head.startswith(b"PAR1") or path.suffix.lower() in (".csv", ".parquet", ".gz"):
        return "frame"
    if b"_value_baseline" in head:
        return "boxkite"
    if head.lstrip()[:1] == b"{":
        return "sagemaker"
    return None


def import_baseline(
    path: Path,
    *,
    model: str,
    created: float,
    timezone: str = "UTC",
    source: Format | None = None,
    constraints: Path | None = None,
    predictions: Sequence[str] = (),
) -> Imported:
    """The baseline in the file at *path*; raises `BaselineError`.

    *constraints*, SageMaker's, are read for their faults and named in the notes; `violations` applies them.
    """
    source = source or detect(path)
    if source == "frame":
        raise BaselineError(
            str(path), "", "a monitor's file", "a table: modelmeter baseline build reads it, and calibrates"
        )
    if source is None:
        expected = "SageMaker's statistics.json, a whylogs profile or boxkite's histogram.prom"
        raise BaselineError(str(path), "", expected, "none of them")
    if constraints is not None and source != "sagemaker":
        raise BaselineError(str(constraints), "", "statistics.json beside it", f"a file of {source}")
    notes: list[str] = []
    name, reader = _READERS[source]
    role_of: dict[str, Role] = dict.fromkeys(predictions, "prediction")
    parts, rows = reader(path, role_of, notes)
    absent = [each for each in predictions if each not in {part.name for part in parts}]
    if absent:
        raise BaselineError(str(path), "--prediction", "a column of the file", repr(absent[0]))
    if not parts:
        raise BaselineError(str(path), "", "at least one column that can be monitored", "none")
    if constraints is not None:
        notes.extend(_declared(constraints, parts))
    notes.append(UNCALIBRATED)
    columns = {(part.role, part.name): assemble(part) for part in parts}
    origin = Origin(
        file=path.name,
        rows=max(rows, 0),
        timestamp=None,
        start=None,
        end=None,
        builder=builder(f"imported from {name}"),
    )
    baseline = Baseline(
        model=model, created=created, sha256="", timezone=timezone, origin=origin, columns=columns
    )
    return Imported(baseline, notes)


def _declared(path: Path, parts: Sequence[Parts]) -> list[str]:
    """What the constraints declare, as lines of modelmeter.yaml, and columns that the statistics lack."""
    known = {part.name for part in parts}
    notes = []
    for feature in read_constraints(path).features:
        if feature.name not in known:
            notes.append(f"{feature.name}: in {path.name}, but not in the statistics")
        elif feature.num_constraints is not None and feature.num_constraints.is_non_negative:
            notes.append(
                f"{feature.name}: declared not to be negative; in modelmeter.yaml: range: [0, 1e300]"
            )
    notes.append(f"{path.name} is not part of the baseline: modelmeter baseline violations applies it")
    return notes
