"""The baseline file: one JSON document, readable, diffable, and sealed with a SHA-256.

Promises: what is written reads back equal, floats to the last digit; a file is replaced whole or not at all;
anything missing, of a wrong type, changed by hand or written by a newer schema is refused with file, key,
expected and found.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import tempfile
import zlib
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta

from exporter.baseline.calibration import Calibration
from exporter.baseline.errors import BaselineError
from exporter.embedding import Frame, Projections, Reference, Spread
from exporter.hourly import TOPS, HourTable
from exporter.rows import Role
from exporter.schema import Kind

FORMAT: Final = "modelmeter baseline"
#: Raised when an older modelmeter could not read the file.
SCHEMA: Final = 2

Count = Annotated[int, Meta(ge=0)]


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a baseline came from."""

    file: str
    """Name only: paths say more about a machine than about the data."""
    rows: Count
    timestamp: str | None = None
    """The column that told the time; None: no calibration."""
    start: str | None = None
    end: str | None = None
    """First and last time, in the baseline's time zone, ISO 8601 without offset."""
    builder: str = ""


class BinsDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Either edges, or categories with the rest of the known ones."""

    edges: list[float] | None = None
    categories: list[str] | None = None
    known: list[str] | None = None


class MomentsDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of the finite values."""

    count: Count
    mean: float
    m2: float | None
    """Null where it passes the largest float."""
    minimum: float
    maximum: float


class EmbeddingDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What vectors are looked at from, and what the baseline's own looked like."""

    bandwidth: float
    spread: tuple[float, float]
    natural: float
    centroid: str
    """Base64 of float32, little-endian."""
    sums: str
    """Base64 of `exporter.embedding.Projections`."""


class ColumnDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One column."""

    name: str
    role: Role
    kind: Kind
    rows: Count
    missing: Count
    mismatched: Count
    infinite: Count
    distinct: float
    range: tuple[float, float] | None
    bins: BinsDocument
    counts: list[Count]
    moments: MomentsDocument | None
    known_complete: bool
    top: list[tuple[float | str, float]]
    calibration: Calibration | None
    grid_step: float | None
    blind_below: dict[str, float | None]
    quantiles: str | None
    """Base64 of the sketch."""
    recent: str | None
    """Base64 of the last eight days' hour table, compressed."""
    embedding: EmbeddingDocument | None = None
    """Of embeddings built from a file; a learnt one has its norm alone."""


class SliceDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The prediction columns in the rows of one slice value."""

    slice: str
    value: str | None
    """Null: the rows of all values that are not followed."""
    columns: list[ColumnDocument]


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The file."""

    format: str
    schema: int
    sha256: str
    model: str
    created: str
    """ISO 8601, UTC."""
    timezone: str
    origin: Origin
    columns: list[ColumnDocument]
    slices: list[SliceDocument] = []


def read(path: Path) -> Document:
    """The document at *path*, checked; raises `BaselineError`."""
    file = str(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise BaselineError(file, "", "a baseline file", "no file of that name") from None
    except OSError as error:
        raise BaselineError(file, "", "a readable baseline file", error.strerror or str(error)) from None
    try:
        plain = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise BaselineError(file, "", "a JSON document", _plain(str(error))) from None
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        found = repr(plain.get("format")) if isinstance(plain, dict) else type(plain).__name__
        raise BaselineError(file, "format", repr(FORMAT), found)
    schema = plain.get("schema")
    if isinstance(schema, int) and schema < SCHEMA:
        expected = f"{SCHEMA}: rebuild it with this modelmeter"
        raise BaselineError(file, "schema", expected, str(schema))
    if isinstance(schema, int) and schema > SCHEMA:
        expected = f"at most {SCHEMA}, which this modelmeter can read"
        raise BaselineError(file, "schema", expected, str(schema))
    try:
        document = msgspec.convert(plain, Document)
    except msgspec.ValidationError as error:
        raise _explain(error, plain, file) from None
    actual = digest(plain)
    if document.sha256 != actual:
        raise BaselineError(
            file,
            "sha256",
            f"{actual}, which its content has",
            f"{document.sha256}: it was changed after it was built",
        )
    return document


def seal(document: Document) -> Document:
    """*document* with the SHA-256 of its content."""
    return msgspec.structs.replace(document, sha256=digest(msgspec.to_builtins(document)))


def write(document: Document, path: Path) -> None:
    """Replace *path* with *document* in one step; raises `BaselineError` where that can not be done."""
    text = render(msgspec.to_builtins(document)) + "\n"
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", suffix=".new", encoding="utf-8", delete=False
        ) as handle:
            try:
                handle.write(text)
                handle.flush()
                os.fsync(handle.fileno())
                umask = os.umask(0)
                os.umask(umask)
                os.chmod(handle.name, 0o666 & ~umask)  # a temporary file is born unreadable to others
                os.replace(handle.name, path)
            except BaseException:
                os.unlink(handle.name)
                raise
    except OSError as error:
        raise BaselineError(
            str(path), "", "a file that can be written", error.strerror or str(error)
        ) from None


def digest(plain: dict[str, Any]) -> str:
    """SHA-256 of everything but ``sha256``: keys sorted, no blanks, floats as their shortest digits."""
    content = {key: value for key, value in plain.items() if key != "sha256"}
    canonical = json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


_WIDTH: Final = 110


def render(value: Any, indent: str = "") -> str:
    """JSON that a person can read and ``diff`` can compare.

    A list of plain numbers stays on one line, a list of texts is wrapped at 110 characters, everything else
    has a line of its own.

    >>> print(render({"edges": [0.5, 1.0], "top": [["UA", 0.25]]}))
    {
      "edges": [0.5, 1.0],
      "top": [
        ["UA", 0.25]
      ]
    }
    """
    inner = indent + "  "
    if isinstance(value, dict) and value:
        parts = [f"{inner}{_scalar(key)}: {render(entry, inner)}" for key, entry in value.items()]
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}"
    if isinstance(value, list | tuple) and value:
        if all(isinstance(entry, str) for entry in value):
            return _wrapped([_scalar(entry) for entry in value], indent)
        if not any(isinstance(entry, dict | list | tuple) for entry in value):
            return "[" + ", ".join(_scalar(entry) for entry in value) + "]"
        return "[\n" + ",\n".join(inner + render(entry, inner) for entry in value) + f"\n{indent}]"
    return _scalar(value)


def _wrapped(texts: list[str], indent: str) -> str:
    if sum(len(text) + 2 for text in texts) + len(indent) <= _WIDTH:
        return "[" + ", ".join(texts) + "]"
    lines = [indent + "  " + texts[0]]
    for text in texts[1:]:
        if len(lines[-1]) + len(text) + 2 <= _WIDTH:
            lines[-1] += f", {text}"
        else:
            lines[-1] += ","
            lines.append(f"{indent}  {text}")
    return "[\n" + "\n".join(lines) + f"\n{indent}]"


def _scalar(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`")
_EXPECTED = re.compile(r"Expected (?P<expected>.*?)(?:, got (?P<found>.*))?$")


def _explain(error: msgspec.ValidationError, plain: object, file: str) -> BaselineError:
    """Our sentence for msgspec's, with the value that was found."""
    message, path = str(error), ""
    if match := _PATH.search(message):
        path = match["path"].lstrip(".")
        message = message[: match.start()]
    if match := _MISSING.match(message):
        return BaselineError(file, f"{path}.{match['name']}".lstrip("."), "a value", "nothing")
    if match := _UNKNOWN.match(message):
        return BaselineError(file, f"{path}.{match['name']}".lstrip("."), "a known key", "an unknown one")
    found = repr(_lookup(plain, path))
    found = found if len(found) <= 80 else f"{found[:77]}..."
    if match := _EXPECTED.match(message):
        return BaselineError(file, path, match["expected"].replace("`", ""), found)
    return BaselineError(file, path, _plain(message), found)


def _lookup(value: Any, path: str) -> Any:
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+|\.\.\.)\]", path):
        try:
            value = value[name] if name else value[int(index)]
        except (KeyError, IndexError, TypeError, ValueError):
            return value
    return value


def _plain(message: str) -> str:
    """*message* as part of a sentence; JSON stays JSON."""
    return message if message[1:2].isupper() else message[:1].lower() + message[1:]


def encode_bytes(content: bytes) -> str:
    """Base64, one line."""
    return base64.b64encode(content).decode("ascii")


def decode_bytes(text: str) -> bytes:
    """The bytes of `encode_bytes`; raises ValueError for anything else."""
    return base64.b64decode(text, validate=True)


def encode_embedding(reference: Reference) -> EmbeddingDocument:
    """What is kept of an embedding, as the file has it."""
    return EmbeddingDocument(
        bandwidth=reference.frame.bandwidth,
        spread=(reference.spread.total, reference.spread.square),
        natural=reference.natural,
        centroid=encode_bytes(reference.frame.centroid.astype("<f4").tobytes()),
        sums=encode_bytes(reference.sums.to_bytes()),
    )


def decode_embedding(document: EmbeddingDocument) -> Reference:
    """What `encode_embedding` wrote; raises ValueError for anything else."""
    centroid = np.frombuffer(decode_bytes(document.centroid), "<f4").astype(np.float64)
    if not np.isfinite(centroid).all():
        raise ValueError("expected a centroid of finite numbers")
    frame = Frame(centroid, document.bandwidth)
    sums = Projections.from_bytes(decode_bytes(document.sums))
    return Reference(frame, sums, Spread(*document.spread), document.natural)


#: Columns of an hour table that are whole numbers, in the order in which they are written.
_WHOLE: Final = ("hours", "cells", "rows", "missing", "mismatched", "unseen", "far", "grid")


def encode_table(table: HourTable) -> str:
    """An hour table in base64: its integers, then its floats, little-endian, compressed.

    >>> decode_table(encode_table(HourTable.empty(bins=3)), bins=3).bins.shape
    (0, 3)
    """
    whole = [getattr(table, name).astype("<i8").ravel() for name in (*_WHOLE, "bins", "top_counts")]
    real = [getattr(table, name).astype("<f8").ravel() for name in ("moments", "top_values")]
    raw = b"".join(part.tobytes() for part in (*whole, *real))
    return encode_bytes(table.hours.size.to_bytes(4, "little") + zlib.compress(raw, 9))


def decode_table(text: str, bins: int) -> HourTable:
    """The table of `encode_table` of a column of *bins* bins; raises ValueError for anything else."""
    content = decode_bytes(text)
    hours = int.from_bytes(content[:4], "little")
    entries = hours * (len(_WHOLE) + bins + TOPS + 4 + TOPS)
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(content[4:], entries * 8 + 1)  # one more shows what is too long
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(raw) != entries * 8 or not inflater.eof:
        raise ValueError(f"expected {entries * 8} bytes of {hours} hours, found {len(raw)}")
    at = 0

    def take(width: int, kind: str) -> Any:
        nonlocal at
        array = np.frombuffer(raw, kind, hours * width, at).astype(kind[1:], copy=True)
        at += array.nbytes
        return array

    whole = {name: take(1, "<i8") for name in _WHOLE}
    whole["bins"] = take(bins, "<i8").reshape(hours, bins)
    whole["top_counts"] = take(TOPS, "<i8").reshape(hours, TOPS)
    real = {
        name: take(width, "<f8").reshape(hours, width)
        for name, width in (("moments", 4), ("top_values", TOPS))
    }
    return HourTable(**whole, **real)
