"""How fast `modelmeter backtest` replays a file: rows and values a second, dense and sparse.

``python -m bench.backtest [--json FILE] [--quick]``: files are made of random numbers and categories, with a
baseline of their first part; the command runs as people run it, in a process of its own, on the rest.

* *dense* is a million rows a day with 20 columns, 17 of numbers and 3 of categories, as Parquet and as CSV.
* *sparse* is 50 rows an hour with 20 columns: there, hardly any time goes into values, and all of it into
  slots of five minutes and verdicts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

NUMBERS, TEXTS = 17, 3
START = 1_700_006_400  # a midnight
DAY = 86_400
#: Rows that are made, and written, at once.
CHUNK = 200_000
#: Days that the baseline is built of: it takes seven to be calibrated for hours and days.
REFERENCE_DAYS = 14


def parts(rows_a_day: int, days: float, first_day: int, seed: int) -> Iterator[pa.Table]:
    """Rows evenly in time, numbers with a daily cycle."""
    rng = np.random.default_rng(seed)
    total = int(rows_a_day * days)
    for start in range(0, total, CHUNK):
        count = min(CHUNK, total - start)
        times = START + first_day * DAY + (start + np.arange(count)) * (DAY / rows_a_day)
        cycle = np.sin(times / DAY * 2 * np.pi)
        columns: dict[str, Any] = {"time": times}
        for at in range(NUMBERS):
            values = rng.normal(cycle, 1 + at / 4)
            columns[f"number{at}"] = values.round(at % 3) if at % 2 else values
        for at in range(TEXTS):
            names = np.array([f"category{name}" for name in range(10 ** (at + 1) // 3)])
            codes = rng.integers(0, names.size, count)
            columns[f"text{at}"] = pa.array(names[codes])
        yield pa.table(columns)


def write(path: Path, tables: Iterator[pa.Table]) -> int:
    """Write Parquet, or CSV by the name of *path*; the number of rows."""
    rows, writer = 0, None
    for table in tables:
        if writer is None:
            kind = arrow_csv.CSVWriter if path.suffix == ".csv" else pq.ParquetWriter
            writer = kind(str(path), table.schema)
        writer.write_table(table)
        rows += table.num_rows
    assert writer is not None
    writer.close()
    return rows


def run(*arguments: str) -> tuple[float, float, float]:
    """Seconds of wall time, of processor time, and MiB resident at most, of ``modelmeter`` *arguments*.

    Processor time is that of all its processes, memory that of the largest.
    """
    program = "from sidecar.cli import main; main()"
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"modelmeter {' '.join(arguments)}: exit status {process.returncode}")
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def measure(directory: Path, name: str, suffix: str, rows_a_day: int, days: float) -> dict[str, float]:
    """Build a baseline of `REFERENCE_DAYS` with at most 100,000 rows a day, and replay *days*."""
    reference, live, baseline, out = (
        directory / f"{name}{end}" for end in ("-reference.parquet", suffix, ".json", ".jsonl")
    )
    write(reference, parts(min(rows_a_day, 20_000), REFERENCE_DAYS, 0, 1))
    rows = write(live, parts(rows_a_day, days, REFERENCE_DAYS, 2))
    run("baseline", "build", str(reference), "--timestamp", "time", "-o", str(baseline), "--model", "m")
    options = ("--baseline", str(baseline), "--timestamp", "time", "-o", str(out))
    wall, cpu, memory = run("backtest", str(live), *options)
    lines = sum(1 for _ in out.open())
    size = live.stat().st_size / 1e6
    live.unlink()
    return {
        "days": days,
        "rows": rows,
        "columns": NUMBERS + TEXTS,
        "file_mb": size,
        "seconds": wall,
        "cpu_seconds": cpu,
        "peak_mib": memory,
        "lines": lines,
        "values_a_cpu_second": rows * (NUMBERS + TEXTS) / cpu,
        "cpu_minutes_a_year": cpu * 365 / days / 60,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--quick", action="store_true", help="a fifth of the days")
    arguments = parser.parse_args()
    factor = 0.2 if arguments.quick else 1.0
    wanted = (
        ("1,000,000 rows a day, Parquet", "dense", ".parquet", 1_000_000, 5 * factor),
        ("1,000,000 rows a day, CSV", "text", ".csv", 1_000_000, 2 * factor),
        ("50 rows an hour, Parquet", "sparse", ".parquet", 1_200, 100 * factor),
    )
    with tempfile.TemporaryDirectory(prefix="modelmeter-bench-") as directory:
        found = {title: measure(Path(directory), *how) for title, *how in wanted}
    print("\n\n".join(tables(found)))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


def tables(found: dict[str, dict[str, float]]) -> Iterator[str]:
    """What was found, for people."""
    from bench.tables import Table

    rows = [
        (
            title,
            f"{one['days']:,.0f}",
            f"{one['seconds']:.1f}",
            f"{one['cpu_seconds']:.1f}",
            f"{one['values_a_cpu_second'] / 1e6:.2f}",
            f"{one['peak_mib']:,.0f}",
            f"{one['cpu_minutes_a_year']:.1f}",
        )
        for title, one in found.items()
    ]
    header = ("file", "days", "seconds", "CPU s", "M values/CPU s", "peak MiB", "a year, CPU min")
    yield Table(f"modelmeter backtest, 20 columns, {os.cpu_count()} processors", header, rows).text()


if __name__ == "__main__":
    main()
