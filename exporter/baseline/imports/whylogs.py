"""whylogs: a profile, ``.bin``, read without whylogs itself.

Format (whylogs 1.x): ``WHY1``; a segment header and a profile header, each a protobuf message behind its
length; then a chunk for each column, found by the header's offsets. A chunk maps the number of a metric's
path (``counts/n``, ``distribution/kll``, …) to an integer, a double or a sketch of Apache DataSketches.

Numbers: bins are cut from the KLL sketch (rank error 0.35 % at its k = 1,024). Categories: those that the
frequent items still hold, at most 128. Refuses: other formats, and files of several segments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from exporter.baseline.assemble import Parts
from exporter.baseline.edges import category_bins
from exporter.baseline.errors import BaselineError
from exporter.baseline.imports import protobuf
from exporter.baseline.imports.reading import read_bytes
from exporter.baseline.weighted import Floats, Integers, weighted_bins, weighted_quantiles, weighted_top
from exporter.rows import Role
from exporter.sketch.foreign import distinct_estimate, frequent_texts, kll_doubles
from exporter.sketch.moments import Moments
from exporter.sketch.quantile import Quantiles

_WHAT: Final = "a whylogs profile"
_MAGIC: Final = b"WHY1"
#: Points at which a sketch is read: every value it kept is met.
_POINTS: Final = 1_024
_KINDS: Final = ("integral", "fractional", "boolean", "string")
_TRUTH: Final = {"True": "true", "False": "false"}


@dataclass(slots=True)
class _Chunk:
    """What the file has of one column, by path."""

    integers: dict[str, int] = field(default_factory=dict)
    doubles: dict[str, float] = field(default_factory=dict)
    sketches: dict[str, bytes] = field(default_factory=dict)


def read_profile(path: Path, role_of: dict[str, Role], notes: list[str]) -> tuple[list[Parts], int]:
    """The columns of the profile at *path* and the number of rows; raises `BaselineError`."""
    data = read_bytes(path, _WHAT)
    if data[:4] != _MAGIC:
        raise BaselineError(str(path), "", f"{_WHAT}, which begins with WHY1", repr(data[:4]))
    try:
        chunks = _chunks(data)
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise BaselineError(str(path), "", _WHAT, str(error)) from None
    parts = []
    for name, chunk in sorted(chunks.items()):
        try:
            part = _column(name, role_of.get(name, "feature"), chunk, notes)
        except ValueError as error:
            raise BaselineError(
                str(path), name, "sketches of Apache DataSketches", str(error)[:100]
            ) from None
        if part is not None:
            parts.append(part)
    return parts, max((chunk.integers.get("counts/n", 0) for chunk in chunks.values()), default=0)


def _chunks(data: bytes) -> dict[str, _Chunk]:
    at = len(_MAGIC)
    segments, at = _delimited(data, at)
    if any(number == 1 and value for number, value in protobuf.fields(segments)):
        raise ValueError("a profile of several segments: expected one without")
    header, at = _delimited(data, at)
    offsets: dict[str, list[int]] = {}
    paths: dict[int, str] = {}
    for number, value in protobuf.fields(header):
        if number in (2, 5):
            entry = dict(protobuf.fields(protobuf.message(value)))
            if number == 2:
                name = protobuf.message(entry[1]).decode()
                found = protobuf.fields(protobuf.message(entry.get(2, b"")))
                offsets[name] = [
                    at + place for one, each in found if one == 1 for place in protobuf.numbers(each)
                ]
                offsets[name] = offsets[name] or [at]  # 0, the default, is not written
            else:
                paths[int(protobuf.signed(entry.get(1, 0)))] = protobuf.message(entry[2]).decode()
    chunks = {}
    for name, places in offsets.items():
        chunk = chunks[name] = _Chunk()
        for place in places:
            _read_chunk(data, place, paths, chunk)
    return chunks


def _delimited(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = protobuf.varint(data, at)
    if at + size > len(data):
        raise ValueError(f"cut short: expected {size} bytes at byte {at}, found {len(data) - at}")
    return data[at : at + size], at + size


def _read_chunk(data: bytes, at: int, paths: dict[int, str], chunk: _Chunk) -> None:
    header, at = _delimited(data, at)
    size = dict(protobuf.fields(header)).get(3, 0)
    if not isinstance(size, int) or at + size > len(data):
        raise ValueError(f"cut short: expected a chunk of {size!r} bytes at byte {at}")
    for number, value in protobuf.fields(data[at : at + size]):
        if number != 1:
            continue
        entry = dict(protobuf.fields(protobuf.message(value)))
        path = paths.get(protobuf.signed(entry.get(1, 0)), "")
        for kind, content in protobuf.fields(protobuf.message(entry.get(2, b""))):
            if kind == 2:
                chunk.integers[path] = protobuf.signed(content)
            elif kind == 3:
                chunk.doubles[path] = protobuf.double(content)
            elif kind in (4, 5, 6):
                sketch = dict(protobuf.fields(protobuf.message(content)))
                chunk.sketches[path] = protobuf.message(sketch.get(1, b""))


def _column(name: str, role: Role, chunk: _Chunk, notes: list[str]) -> Parts | None:
    count = chunk.integers.get
    rows = count("counts/n", 0)
    # pandas' NaN is in both counters, a lone NaN of Python's in the second alone.
    missing = max(count("counts/null", 0), count("counts/nan", 0))
    by_kind = {kind: count(f"types/{kind}", 0) for kind in _KINDS}
    numbers = by_kind["integral"] + by_kind["fractional"]
    largest = max((numbers, "numeric"), (by_kind["boolean"], "boolean"), (by_kind["string"], "categorical"))
    if not largest[0]:
        notes.append(f"{name}: left out, the profile has no value of it")
        return None
    if largest[1] == "numeric":
        whole = by_kind["fractional"] == 0
        return _numeric(name, role, chunk, rows, missing, numbers, whole, notes)
    return _categorical(name, role, chunk, rows, missing, largest[0], largest[1] == "boolean", notes)


def _numeric(
    name: str, role: Role, chunk: _Chunk, rows: int, missing: int, numbers: int, whole: bool, notes: list[str]
) -> Parts | None:
    data = chunk.sketches.get("distribution/kll")
    sketch = None if data is None else kll_doubles(data)
    if sketch is None or not sketch.count:
        notes.append(f"{name}: left out, the profile has no distribution of it")
        return None
    values, counts = _values(sketch)
    bins = weighted_bins(values, values, counts, whole)
    binned = np.bincount(bins.index(values), weights=counts, minlength=bins.size).astype(np.int64)
    valid = sketch.count
    low, high = float(values[0]), float(values[-1])
    mean = min(max(chunk.doubles.get("distribution/mean", math.nan), low), high)
    if math.isnan(mean):
        mean = float(values @ counts) / valid
    distinct = chunk.sketches.get("cardinality/hll")
    return Parts(
        name=name,
        role=role,
        kind="numeric",
        bins=bins,
        counts=binned,
        rows=rows,
        missing=missing,
        mismatched=max(0, rows - missing - numbers),
        infinite=chunk.integers.get("counts/inf", 0),
        distinct=float(values.size if distinct is None else round(distinct_estimate(distinct))),
        moments=Moments(valid, mean, max(chunk.doubles.get("distribution/m2", 0.0), 0.0), low, high),
        quantiles=weighted_quantiles(values, values, counts),
        top=weighted_top(values, values, counts, 32, 0.01),
    )


def _values(sketch: Quantiles) -> tuple[Floats, Integers]:
    """The finite values that a sketch kept, ascending, with counts that add up to all of them."""
    values = np.unique(sketch.quantile(np.linspace(0, 1, _POINTS)))
    values = values[np.isfinite(values)]
    upto = np.rint(sketch.cdf(values) * sketch.count)
    return values, np.diff(upto, prepend=0).astype(np.int64)


def _categorical(
    name: str, role: Role, chunk: _Chunk, rows: int, missing: int, valid: int, boolean: bool, notes: list[str]
) -> Parts | None:
    data = chunk.sketches.get("frequent_items/frequent_strings")
    items = [] if data is None else frequent_texts(data)
    if not items:
        notes.append(f"{name}: left out, the profile has no frequent values of it")
        return None
    counts = {_TRUTH.get(item.text, item.text) if boolean else item.text: item.lower for item in items}
    distinct_data = chunk.sketches.get("cardinality/hll")
    distinct = float(len(counts) if distinct_data is None else round(distinct_estimate(distinct_data)))
    complete = sum(counts.values()) >= valid
    if not complete:
        notes.append(
            f"{name}: the profile names {len(counts)} of {distinct:.0f} values, so unseen ones go unnoticed"
        )
    bins = category_bins(counts, ("false", "true") if boolean else None, counts)
    binned, _ = bins.count(list(counts), list(counts.values()))
    binned[-1] += max(0, valid - int(binned.sum()))
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:32]
    return Parts(
        name=name,
        role=role,
        kind="boolean" if boolean else "categorical",
        bins=bins,
        counts=binned,
        rows=rows,
        missing=missing,
        mismatched=max(0, rows - missing - valid),
        distinct=distinct,
        top=tuple((text, count / max(valid, 1)) for text, count in ordered),
        known_complete=complete,
    )
