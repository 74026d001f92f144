"""Files and baselines made for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from exporter.baseline.build import Built, Plan, build


def csv_file(directory: Path, text: str | bytes, name: str = "train.csv") -> Path:
    """A file with exactly *text*."""
    path = directory / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def csv_columns(directory: Path, columns: Mapping[str, Sequence[object]]) -> Path:
    """A CSV file of *columns*; None is an empty entry. Names and texts must need no quotes."""
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns)]
    lines.extend(",".join("" if entry is None else str(entry) for entry in row) for row in rows)
    return csv_file(directory, "\n".join(lines) + "\n")


def parquet_file(directory: Path, columns: Mapping[str, Any], name: str = "train.parquet") -> Path:
    """A Parquet file of *columns*."""
    path = directory / name
    pq.write_table(pa.table(dict(columns)), path)
    return path


def built(path: Path, **plan: Any) -> Built:
    """The baseline of the file at *path*."""
    return build(Plan(path=path, **{"model": "m", "created": 1_700_000_000.0, **plan}))
