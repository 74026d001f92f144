"""Sampled: do rows in a CSV file match a baseline? Asked by ``modelmeter check --sample``, before a start.

Promises: needs no pyarrow; reads the first `ROWS` rows alone. A CSV file has no types: what is all numbers is
numbers, so numbers sent in quotes are seen only in traffic.
Refuses: a file without a header and a row, or with rows of another length (`BaselineError`).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from exporter.baseline import Baseline, BaselineError
from exporter.matching import Finding, findings
from exporter.rows import Role, Values
from exporter.schema import ModelSpec

ROWS: Final = 1_000


def sample_findings(path: Path, baseline: Baseline, spec: ModelSpec | None) -> list[Finding]:
    """What of the rows in *path* does not match *baseline*; raises `BaselineError`."""
    seen: dict[tuple[Role, str], Values] = {}
    for name, texts in read_sample(path).items():
        predicted = ("prediction", name) in baseline.columns and ("feature", name) not in baseline.columns
        seen["prediction" if predicted else "feature", name] = typed(texts)
    return findings(baseline, spec, seen)


def read_sample(path: Path) -> dict[str, list[str]]:
    """The first rows of the CSV file *path*, by column; raises `BaselineError`."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            header, *rows = islice(csv.reader(file, strict=True), ROWS + 1)
    except OSError as error:
        found = (error.strerror or str(error)).lower()
        raise BaselineError(str(path), "", "a readable CSV file", found) from None
    except (ValueError, csv.Error):  # of no line at all, of no UTF-8, of a broken quote
        raise BaselineError(str(path), "", "a CSV file with a header", "another") from None
    rows = [row for row in rows if row]
    if not rows:
        raise BaselineError(str(path), "", "at least one row below the header", "none")
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise BaselineError(str(path), f"row {number}", f"{len(header)} fields", str(len(row)))
    return {name: [row[at] for row in rows] for at, name in enumerate(header)}


def typed(texts: Sequence[str]) -> Values:
    """*texts* as what they look like: numbers, flags or texts; an empty one is missing.

    >>> typed(["1", "", "2.5"]).tolist(), typed(["true", "False"]), typed(["AA", ""])
    ([1.0, nan, 2.5], [True, False], ['AA', None])
    """
    present = [text for text in texts if text]
    try:
        numbers = np.array([float(text) if text else np.nan for text in texts])
    except ValueError:
        pass
    else:
        return numbers
    if all(text.casefold() in ("true", "false") for text in present):
        return [text.casefold() == "true" if text else None for text in texts]
    return [text or None for text in texts]
