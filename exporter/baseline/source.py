"""Source: a CSV or Parquet file as batches of columns, read twice in bounded memory.

Promises: in memory are at most a few batches of 65,536 rows of Parquet, or some 30 blocks of 4 MiB of CSV,
which the library reads ahead. CSV entries stay the texts they are, because guessing a type from the first
block and failing on a later one is how readers lose files.
Refuses: no pyarrow, no such file, an empty file, ragged rows, repeated column names (`BaselineError`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from exporter.baseline.errors import BaselineError

if TYPE_CHECKING:
    import pyarrow as pa

#: Unquoted spellings of a missing entry in CSV: those of pandas, which read most of these files before us.
MISSING_SPELLINGS: Final = (
    *("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None"),
)

_BATCH_ROWS: Final = 65_536
_BLOCK_BYTES: Final = 4 << 20
_HEADER_BYTES: Final = 1 << 20
_DELIMITERS: Final = ",;\t|"
_CODECS: Final = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows: one array per column, in the order of `Source.names`, and how much of the file is read."""

    columns: list[pa.Array]
    first_row: int
    rows: int
    fraction: float


class Source:
    """One file, opened anew by each call of `batches`."""

    def __init__(self, path: Path) -> None:
        """Look at the head of *path*; raises `BaselineError`."""
        self.path = path
        self._pyarrow()
        if not path.exists():
            raise self._error("", "a CSV or Parquet file", "no file of that name")
        if not path.is_file():
            raise self._error("", "a CSV or Parquet file", "something that is not a file")
        try:
            with path.open("rb") as handle:
                self.parquet = handle.read(4) == b"PAR1"
        except OSError as error:
            raise self._error("", "a readable file", error.strerror or str(error)) from None
        if path.stat().st_size == 0:
            raise self._error("", "a header and rows", "an empty file")
        self._delimiter = ","
        self.names: tuple[str, ...] = self._parquet_names() if self.parquet else self._csv_names()
        for at, name in enumerate(self.names):
            if name in self.names[:at]:
                raise self._error("header", "each column name once", f"{name!r} twice")

    def batches(self, only: Sequence[str] | None = None) -> Iterator[Batch]:
        """All rows, in order; raises `BaselineError` where the file breaks off or is malformed.

        With *only*, some of `names`, batches have these columns, in this order, and others are not read.
        """
        import pyarrow as pa

        names = self.names if only is None else tuple(only)
        try:
            yield from self._parquet_batches(names) if self.parquet else self._csv_batches(names)
        except (pa.ArrowException, OSError) as error:
            kind = "Parquet" if self.parquet else f"CSV with {len(self.names)} columns in UTF-8"
            raise self._error("", f"well-formed {kind}", str(error).splitlines()[0]) from None

    def _error(self, key: str, expected: str, found: str) -> BaselineError:
        return BaselineError(str(self.path), key, expected, found)

    def _pyarrow(self) -> None:
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise self._error(
                "", "pyarrow to read it with (pip install 'modelmeter[parquet]')", "no pyarrow"
            ) from None

    def _parquet_names(self) -> tuple[str, ...]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(self.path) as file:
                return tuple(file.schema_arrow.names)
        except (pa.ArrowException, OSError) as error:
            raise self._error("", "well-formed Parquet", str(error).splitlines()[0]) from None

    def _parquet_batches(self, names: Sequence[str]) -> Iterator[Batch]:
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.path) as file:
            total = max(file.metadata.num_rows, 1)
            first = 0
            # The library takes a name for the beginning of a path too, so more than these may come.
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=list(names)):
                first += batch.num_rows
                columns = [batch.column(batch.schema.get_field_index(name)) for name in names]
                yield Batch(columns, first - batch.num_rows, batch.num_rows, first / total)

    def _csv_names(self) -> tuple[str, ...]:
        import pyarrow as pa

        try:
            with pa.OSFile(str(self.path)) as raw, self._inflated(raw) as stream:
                head = stream.read(_HEADER_BYTES)
        except (pa.ArrowException, OSError) as error:
            raise self._error("", "a readable CSV file", str(error).splitlines()[0]) from None
        text = head.decode("utf-8-sig", errors="replace").lstrip("\r\n")
        line = text.splitlines()[0] if text.strip() else ""
        if not line:
            raise self._error("", "a header and rows", "blank lines")
        self._delimiter = max(_DELIMITERS, key=line.count)
        return tuple(next(csv.reader(io.StringIO(text), delimiter=self._delimiter)))

    def _csv_batches(self, names: Sequence[str]) -> Iterator[Batch]:
        import pyarrow as pa
        import pyarrow.csv as arrow_csv

        size = self.path.stat().st_size
        convert = arrow_csv.ConvertOptions(
            column_types={name: pa.string() for name in names},
            include_columns=list(names),
            null_values=list(MISSING_SPELLINGS),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        with pa.OSFile(str(self.path)) as raw, self._inflated(raw) as stream:
            counted = _Counted(stream)
            reader = arrow_csv.open_csv(
                counted,
                read_options=arrow_csv.ReadOptions(block_size=_BLOCK_BYTES),
                parse_options=arrow_csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
                convert_options=convert,
            )
            with reader:
                first = 0
                for number, batch in enumerate(reader, 1):
                    columns = [_without_empty(column) for column in batch.columns]
                    # The library reads some 30 blocks ahead, so where the file stands says little. A batch is
                    # a block, and the file has as many bytes as were inflated from what was read of it.
                    whole = size * counted.bytes / max(raw.tell(), 1)
                    yield Batch(columns, first, batch.num_rows, min(1.0, number * _BLOCK_BYTES / whole))
                    first += batch.num_rows

    def _inflated(self, raw: Any) -> Any:
        """*raw*, decompressed where the file's name says so."""
        import pyarrow as pa

        codec = _CODECS.get(self.path.suffix.lower())
        return raw if codec is None else pa.CompressedInputStream(raw, codec)


class _Counted:
    """A stream that counts what was read from it."""

    closed = False

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.bytes = 0

    def read(self, size: int = -1) -> bytes:
        """The next *size* bytes, fewer only at the end."""
        data: bytes = self._stream.read(size)
        self.bytes += len(data)
        return data

    def readable(self) -> bool:
        """True: pyarrow asks before it reads."""
        return True


def _without_empty(texts: pa.Array) -> pa.Array:
    """A quoted empty text is missing too: writers that quote everything have no other way to say it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, texts.type), texts)
