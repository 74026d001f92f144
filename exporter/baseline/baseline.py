"""Baseline: what a model's columns looked like in training, frozen, and how much they move by themselves.

Promises: read-only after `Baseline.load`; bins, counts and dictionary of a column always fit together.
Imports numpy, msgspec and the sketches alone, so that the recorder can hold it: no pyarrow, scipy or rich.
Refuses: a file that does not hold what it says (`BaselineError`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, Self, TypeAlias

import msgspec
import numpy as np

from exporter.baseline import document as files
from exporter.baseline.calibration import Calibration
from exporter.baseline.document import Origin
from exporter.baseline.errors import BaselineError
from exporter.embedding import Reference
from exporter.hourly import HourTable
from exporter.rows import Role
from exporter.schema import Kind
from exporter.sketch.bins import Bins, Counts, NumericBins, bins_from_json
from exporter.sketch.moments import Moments
from exporter.sketch.quantile import Quantiles

ColumnKey: TypeAlias = tuple[Role, str]
SliceKey: TypeAlias = tuple[str, str | None]
"""Slice and value; None for the values that are not followed."""
CalibrationState: TypeAlias = Literal["calibrated", "uncalibrated"]

#: A value is far outside the baseline's range when it lies more than half of that range beyond it.
FAR: Final = 0.5
#: Weights of a calibration's blend by window (`exporter.verdict.windows.TERMS`).
TERMS: Final = {"1h": 4, "1d": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineColumn:
    """One column of the baseline."""

    name: str
    role: Role
    kind: Kind
    bins: Bins
    counts: Counts
    """Observations in each bin, int64, shape (K,)."""
    rows: int
    """Entries, missing ones included."""
    missing: int
    mismatched: int
    """Entries of another type than the column's, such as texts among numbers; in no bin."""
    infinite: int
    distinct: float
    range: tuple[float, float] | None
    """Smallest and largest finite value; None for categories."""
    moments: Moments | None
    """Of the finite values; None for categories."""
    quantiles: Quantiles | None
    """None for categories. Of 200 evenly spaced exact quantiles (rank error 0.25 %), or of all values."""
    top: tuple[tuple[float | str, float], ...]
    """Most frequent values with their shares of the valid entries, descending."""
    known_complete: bool
    """False where the categories were too many to keep: then nothing counts as unseen."""
    calibration: Calibration | None = None
    """None without timestamps, or where the file is too short."""
    grid_step: float | None = None
    """Coarse step of which few values are multiples (`exporter.grid`); None where there is none."""
    recent: HourTable | None = None
    """The last eight days, so that the first live hour has a past; None without timestamps."""
    blind_below: Mapping[str, float | None] = field(default_factory=dict)
    """By fault: the smallest strength that is found on nearly every day; None where none is."""
    embedding: Reference | None = None
    """Of an embedding built from a file: from where its vectors are looked at."""

    @property
    def valid(self) -> int:
        """Entries that are in a bin."""
        return int(self.counts.sum())

    @property
    def shares(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Share of the valid entries in each bin, shape (K,)."""
        return self.counts / max(self.valid, 1)

    @property
    def far(self) -> tuple[float, float] | None:
        """Beyond these a number is far: half the range's width outside it; None without a range."""
        if self.range is None or not self.range[0] < self.range[1]:
            return None
        low, high = self.range
        margin = FAR * (high - low)
        if not (math.isfinite(low - margin) and math.isfinite(high + margin)):
            return None
        return low - margin, high + margin

    @property
    def missing_share(self) -> float:
        """Share of the entries that is missing."""
        return self.missing / max(self.rows, 1)

    def to_document(self) -> files.ColumnDocument:
        """The column as the file has it."""
        moments = self.moments
        return files.ColumnDocument(
            name=self.name,
            role=self.role,
            kind=self.kind,
            rows=self.rows,
            missing=self.missing,
            mismatched=self.mismatched,
            infinite=self.infinite,
            distinct=float(self.distinct),
            range=None if self.range is None else (float(self.range[0]), float(self.range[1])),
            bins=files.BinsDocument(**self.bins.to_json()),
            counts=self.counts.tolist(),
            moments=None
            if moments is None
            else files.MomentsDocument(
                count=moments.count,
                mean=moments.mean,
                m2=moments.m2 if math.isfinite(moments.m2) else None,
                minimum=moments.minimum,
                maximum=moments.maximum,
            ),
            known_complete=self.known_complete,
            top=list(self.top),
            calibration=self.calibration,
            grid_step=self.grid_step,
            blind_below=dict(self.blind_below),
            recent=None if self.recent is None else files.encode_table(self.recent),
            quantiles=None if self.quantiles is None else files.encode_bytes(self.quantiles.to_bytes()),
            embedding=None if self.embedding is None else files.encode_embedding(self.embedding),
        )

    @classmethod
    def from_document(cls, document: files.ColumnDocument, file: str, key: str) -> Self:
        """The column that the file has under *key*; raises `BaselineError` where its parts do not fit."""
        try:
            bins = bins_from_json(msgspec.to_builtins(document.bins))  # without the keys it does not have
        except (KeyError, ValueError) as error:
            raise BaselineError(file, f"{key}.bins", "edges, or categories and known", str(error)) from None
        if len(document.counts) != bins.size:
            found = f"{len(document.counts)} counts"
            raise BaselineError(file, f"{key}.counts", f"one count for each of {bins.size} bins", found)
        numeric = isinstance(bins, NumericBins)
        if numeric != (document.kind not in ("categorical", "boolean")):
            expected = f"{'categories' if numeric else 'edges'}, for a {document.kind} column"
            raise BaselineError(file, f"{key}.bins", expected, "edges" if numeric else "categories")
        try:
            quantiles = (
                None
                if document.quantiles is None
                else Quantiles.from_bytes(files.decode_bytes(document.quantiles))
            )
        except ValueError as error:
            raise BaselineError(file, f"{key}.quantiles", "a quantile sketch in base64", str(error)) from None
        try:
            recent = None if document.recent is None else files.decode_table(document.recent, bins.size)
        except ValueError as error:
            raise BaselineError(file, f"{key}.recent", "an hour table in base64", str(error)) from None
        try:
            embedding = None if document.embedding is None else files.decode_embedding(document.embedding)
        except ValueError as error:
            raise BaselineError(file, f"{key}.embedding", "a frame and its sums", str(error)) from None
        _check_calibration(document.calibration, bins.size, file, key)
        counts = np.array(document.counts, dtype=np.int64)
        counts.setflags(write=False)
        moments = document.moments
        return cls(
            name=document.name,
            role=document.role,
            kind=document.kind,
            bins=bins,
            counts=counts,
            rows=document.rows,
            missing=document.missing,
            mismatched=document.mismatched,
            infinite=document.infinite,
            distinct=document.distinct,
            range=document.range,
            moments=None
            if moments is None
            else Moments(
                moments.count,
                moments.mean,
                math.inf if moments.m2 is None else moments.m2,
                moments.minimum,
                moments.maximum,
            ),
            quantiles=quantiles,
            top=tuple(document.top),
            known_complete=document.known_complete,
            calibration=document.calibration,
            grid_step=document.grid_step,
            recent=recent,
            blind_below=document.blind_below,
            embedding=embedding,
        )


def _check_calibration(calibration: Calibration | None, bins: int, file: str, key: str) -> None:
    """Raises `BaselineError` where a calibration's lists do not fit the column's bins."""
    if calibration is None:
        return
    sizes = {test: bins if test == "shape" else 2 for test in calibration.shares}
    expected = f"lists of {bins} for the shape and of 2 for rates"
    where = f"{key}.calibration"
    if next(iter(sizes), "") != "shape" or not set(sizes) <= {
        "shape",
        "missing",
        "mismatched",
        "unseen",
        "grid",
    }:
        raise BaselineError(file, f"{where}.shares", "shape, then rates", ", ".join(sizes) or "nothing")
    for test, shares in calibration.shares.items():
        if len(shares) not in (1, 24, 48) or any(len(row) != sizes[test] for row in shares):
            raise BaselineError(file, f"{where}.shares.{test}", f"1, 24 or 48 {expected}", "others")
    for window, entry in calibration.windows.items():
        terms = TERMS.get(window)
        if terms is None:
            raise BaselineError(file, f"{where}.windows", "1h and 1d", repr(window))
        if set(entry.tests) != set(sizes):
            raise BaselineError(
                file, f"{where}.windows.{window}.tests", ", ".join(sizes), ", ".join(entry.tests)
            )
        for test, one in entry.tests.items():
            fits = len(one.blend) == terms and len(one.references) == 3
            if not fits or any(len(reference.natural) != sizes[test] for reference in one.references):
                found = "another number of weights, references or variances"
                raise BaselineError(file, f"{where}.windows.{window}.tests.{test}", expected, found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The columns of one model, sealed by `sha256`."""

    model: str
    created: float
    """Unix seconds."""
    sha256: str
    """64 hex digits over the whole content; empty until written."""
    timezone: str
    """IANA name: where hours and days of the calibration begin."""
    origin: Origin
    columns: Mapping[ColumnKey, BaselineColumn]
    slices: Mapping[SliceKey, Mapping[str, BaselineColumn]] = field(default_factory=dict)
    """The prediction columns, by name, in the rows of one slice value; values by frequency."""

    @property
    def rows(self) -> int:
        """Rows it was built from."""
        return self.origin.rows

    @property
    def state(self) -> CalibrationState:
        """``calibrated`` when any column has a calibration, else ``uncalibrated``."""
        calibrated = any(column.calibration is not None for column in self.columns.values())
        return "calibrated" if calibrated else "uncalibrated"

    @property
    def calibrated(self) -> str:
        """For people: for which windows at least one column is calibrated."""
        windows = sorted(
            {
                window
                for column in self.columns.values()
                if column.calibration is not None
                for window in column.calibration.windows
            },
            reverse=True,
        )
        return f"calibrated for {' and '.join(windows)}" if windows else "uncalibrated"

    @classmethod
    def load(cls, path: Path) -> Self:
        """The baseline in the file at *path*; raises `BaselineError`."""
        file = str(path)
        document = files.read(path)
        try:
            created = datetime.fromisoformat(document.created).timestamp()
        except ValueError:
            raise BaselineError(file, "created", "an ISO 8601 time", repr(document.created)) from None
        columns: dict[ColumnKey, BaselineColumn] = {}
        for at, entry in enumerate(document.columns):
            key = f"columns[{at}]"
            if (entry.role, entry.name) in columns:
                found = f"{entry.role} {entry.name!r} twice"
                raise BaselineError(file, f"{key}.name", "each column of a role once", found)
            columns[entry.role, entry.name] = BaselineColumn.from_document(entry, file, key)
        slices: dict[SliceKey, dict[str, BaselineColumn]] = {}
        for at, one in enumerate(document.slices):
            slices[one.slice, one.value] = {
                entry.name: BaselineColumn.from_document(entry, file, f"slices[{at}].columns[{number}]")
                for number, entry in enumerate(one.columns)
            }
        return cls(
            model=document.model,
            created=created,
            sha256=document.sha256,
            timezone=document.timezone,
            origin=document.origin,
            columns=columns,
            slices=slices,
        )

    def sealed(self) -> files.Document:
        """The document with its SHA-256."""
        created = datetime.fromtimestamp(self.created, UTC).isoformat(timespec="seconds")
        return files.seal(
            files.Document(
                format=files.FORMAT,
                schema=files.SCHEMA,
                sha256="",
                model=self.model,
                created=created.replace("+00:00", "Z"),
                timezone=self.timezone,
                origin=self.origin,
                columns=[column.to_document() for column in self.columns.values()],
                slices=[
                    files.SliceDocument(
                        slice=name, value=value, columns=[column.to_document() for column in columns.values()]
                    )
                    for (name, value), columns in self.slices.items()
                ],
            )
        )

    def write(self, path: Path) -> str:
        """Write the file in one step and return its SHA-256; raises `BaselineError`."""
        document = self.sealed()
        files.write(document, path)
        return document.sha256
