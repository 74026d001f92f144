"""The parts of a backtest by themselves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.backtest import BacktestError
from exporter.backtest.ahead import ahead
from exporter.backtest.covered import spans
from exporter.backtest.injection import Injector, parse
from exporter.backtest.reader import Extent
from exporter.backtest.values import NEITHER, NO_VALUE, as_values, joined, read_values
from exporter.baseline import Baseline, entries
from exporter.baseline.timestamps import unix_seconds
from exporter.faults import FAULTS
from exporter.profile import Layout
from exporter.schema import Kind
from tests.backtest.made import HOUR, LIVE, backtest, iso, traffic, write

UTC_ZONE = ZoneInfo("UTC")


# Times


@pytest.mark.parametrize(
    ("text", "zone", "instant"),
    [
        ("2024-07-01 12:00", "Europe/Berlin", "2024-07-01T10:00:00"),
        ("2024-01-01T12:00:00", "Europe/Berlin", "2024-01-01T11:00:00"),
        ("2024-07-01T12:00:00Z", "Europe/Berlin", "2024-07-01T12:00:00"),
        ("2024-07-01T12:00:00+05:30", "Europe/Berlin", "2024-07-01T06:30:00"),
        ("2024-07-01", "Asia/Kolkata", "2024-06-30T18:30:00"),
        ("1720000000", "Asia/Kolkata", "2024-07-03T09:46:40"),
        ("2024-10-27 02:30", "Europe/Berlin", "2024-10-27T00:30:00"),  # the first of two
        ("2024-03-31 02:30", "Europe/Berlin", "2024-03-31T01:30:00"),  # there is none: as before the change
    ],
)
def test_a_time_is_an_instant(text: str, zone: str, instant: str) -> None:
    wanted = datetime.fromisoformat(instant).replace(tzinfo=UTC).timestamp()
    assert unix_seconds(pa.array([text, None]), ZoneInfo(zone))[0] == wanted


@given(st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)))
def test_times_of_any_form_are_the_same_instant(moment: datetime) -> None:
    zone = ZoneInfo("America/St_Johns")
    moment = moment.replace(microsecond=0)
    instant = moment.replace(tzinfo=zone).timestamp()
    naive = pa.array([moment])
    aware = pa.array([moment.replace(tzinfo=zone)], pa.timestamp("us", "America/St_Johns"))
    for array in (
        naive,
        aware,
        pa.array([str(moment)]),
        pa.array([f"{int(instant)}.0"]),
        pa.array([instant]),
    ):
        assert unix_seconds(array, zone).tolist() == [instant]


# Values

KINDS: list[tuple[Kind, pa.Array]] = [
    ("numeric", pa.array(["1", "2.5", "x", None, "nan", "inf"])),
    ("numeric", pa.array([1.0, np.nan, None, np.inf])),
    ("numeric", pa.array([True, False, None])),
    ("numeric", pa.array([b"1", None])),
    ("categorical", pa.array(["UA", None, "", "☃" * 300, "UA"])),
    ("categorical", pa.array([1, 2, 2, None])),
    ("categorical", pa.array([{"a": 1}, None])),
    ("boolean", pa.array(["true", "FALSE", "1", "0.0", "maybe", None])),
    ("boolean", pa.array([True, None, False])),
    ("text", pa.array(["some", None, "words"])),
    ("text", pa.array([1, 20, None])),
    ("embedding", pa.array([[3.0, 4.0], None, [1.0, 2.0]])),
    ("embedding", pa.array([[3.0, 4.0], [1.0, 2.0]], pa.list_(pa.float32(), 2))),
]


@pytest.mark.parametrize(("kind", "array"), KINDS)
def test_a_monitor_counts_values_as_the_builder_counted_the_entries(kind: Kind, array: pa.Array) -> None:
    tally, _ = Layout(kind).read(as_values(read_values(array, kind, canonical=False)))
    if kind in ("categorical", "boolean"):
        found = entries.categories(array, kind, canonical=False)
        mismatched = int(found.mismatched.sum())
        missing = int((found.codes < 0).sum()) - mismatched
    else:
        read = entries.numbers(array, kind)
        mismatched = int(read.mismatched.sum())
        missing = int(np.isnan(read.values).sum()) - mismatched
    assert (tally.rows, tally.missing, tally.type_mismatch) == (len(array), missing, mismatched)


def test_parts_of_a_column_with_and_without_mismatches_are_joined_without_a_change() -> None:
    parts = [np.array([1.0, np.nan]), np.array([NO_VALUE, None, 2.0], dtype=object)]
    tally, _ = Layout("numeric").read(as_values(joined(parts)))
    assert (tally.rows, tally.missing, tally.type_mismatch) == (5, 2, 1)


# What a file covers


def extent(*ranges: tuple[float, float]) -> Extent:
    """A row a minute in each [start, end)."""
    found = Extent()
    found.add(np.concatenate([np.arange(start, end, 60.0) for start, end in ranges]))
    return found


DAY = 24.0 * HOUR


@pytest.mark.parametrize(
    ("ranges", "window", "whole"),
    [
        ([(0, 3 * HOUR)], "1h", [True, True, True]),
        ([(240, 3 * HOUR - 240)], "1h", [True, True, True]),
        ([(600, 3 * HOUR)], "1h", [False, True, True]),
        ([(0, 3 * HOUR - 600)], "1h", [True, True, False]),
        ([(600, HOUR)], "1h", [False]),
        # No rows at night: the days are whole all the same, but for one that begins at noon.
        ([(day * DAY + 6 * HOUR, day * DAY + 22 * HOUR) for day in range(4)], "1d", [True] * 4),
        (
            [(12 * HOUR, 22 * HOUR), *((day * DAY + 6 * HOUR, day * DAY + 22 * HOUR) for day in range(1, 4))],
            "1d",
            [False, True, True, True],
        ),
        # An empty day in the middle is whole: what is missing there is missing in truth.
        ([(0, DAY), (2 * DAY, 3 * DAY)], "1d", [True, True, True]),
    ],
)
def test_only_the_outer_windows_may_be_covered_in_part(
    ranges: list[tuple[float, float]], window: str, whole: list[bool]
) -> None:
    assert [span.whole for span in spans(extent(*ranges), window, UTC_ZONE)] == whole


@given(st.lists(st.integers(0, 400_000), min_size=1, max_size=50))
def test_windows_follow_each_other_and_hold_all_rows(times: list[int]) -> None:
    found = Extent()
    for time in times:
        found.add(np.array([time, np.nan]))
    assert (found.rows, found.timeless) == (len(times), len(times))
    late = max((max(times[: at + 1]) - time for at, time in enumerate(times)), default=0)
    assert found.disorder == late
    for window in ("1h", "1d"):
        listed = spans(found, window, ZoneInfo("Asia/Kathmandu"))
        assert sum(span.rows for span in listed) == len(times)
        assert all(one.end == after.start for one, after in pairwise(listed))


# Reading ahead


def test_what_the_other_thread_raises_is_raised_here() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise BacktestError("f", "k", "a", "b")

    read = ahead(items())
    assert next(read) == 1
    with pytest.raises(BacktestError, match="f: k: expected a, found b"):
        next(read)


def test_the_other_thread_ends_when_nobody_wants_more() -> None:
    read = ahead(range(1000))
    assert next(read) == 0
    read.close()  # type: ignore[attr-defined]
    assert [thread.name for thread in threading.enumerate() if thread.name == "reading ahead"] == []


# --inject

NAMES = ["plain", "with:colon", "shift", "a:scale:b", "2024-01-01"]
TIMES = [
    "2024-05-01",
    "2024-05-01T10:00",
    "2024-05-01T10:00:30",
    "2024-05-01T10:00Z",
    "2024-05-01 10:00:00+02:00",
    "1714557600",
]
LATER = [
    "2024-06-01",
    "2024-06-01T10:00",
    "2024-06-01T10:00:30",
    "2024-06-01T10:00Z",
    "2024-06-01 10:00:00+02:00",
    "1717236000",
]
STRENGTHS = {"shift": "-2", "scale": "10", "stuck": "a:b", "flood": "0.1@-1", "frozen": "3", "swapped": "with:colon"}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("fault", "strength"), STRENGTHS.items())
@pytest.mark.parametrize("at", range(len(TIMES)))
def test_an_injection_is_read_whatever_holds_colons(name: str, fault: str, strength: str, at: int) -> None:
    text = f"{name}:{fault}:{TIMES[at]}:{LATER[at]}:{strength}"
    found = parse(text, NAMES, UTC_ZONE)
    bounds = unix_seconds(pa.array([TIMES[at], LATER[at]]), UTC_ZONE).tolist()
    plain = parse(f"plain:{fault}:1:2:{strength}", NAMES, UTC_ZONE)
    assert (found.column, found.fault.name, [found.start, found.end], found.strength) == (
        name,
        fault,
        bounds,
        plain.strength,
    )


def test_strengths_may_be_left_out_and_faults_called_otherwise() -> None:
    for entry in FAULTS:
        if entry.name == "swapped":
            continue
        for name in (entry.name, *entry.aliases, entry.name.upper().replace("_", "-")):
            assert parse(f"plain:{name}:1:2", NAMES, UTC_ZONE).fault == entry


def injected(
    baseline: Path, text: str, times: np.ndarray, values: np.ndarray, **others: np.ndarray
) -> list[object]:  # type: ignore[type-arg]
    """Each row's value after the injection *text*, slot by slot of five minutes."""
    loaded = Baseline.load(baseline)
    injection = parse(text, [name for _, name in loaded.columns], UTC_ZONE)
    role = "prediction" if injection.column == "score" else "feature"
    injector = Injector(loaded.columns[role, injection.column], [(0, injection)])  # type: ignore[index]
    result: list[object] = []
    for slot in np.unique(times // 300):
        chosen = times // 300 == slot
        made = injector.apply(times[chosen], values[chosen], lambda name, rows=chosen: others[name][rows])  # type: ignore[misc]
        result += made.tolist()
    return result


MINUTES = np.arange(1000.0, 1010.0) * 60  # slots of five, from a slot's beginning on


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        ("scale:60240:60480:2", [0, 1, 2, 3, 8, 10, 12, 14, 8, 9]),
        ("stuck:60180:60300:-5", [0, 1, 2, -5, -5, 5, 6, 7, 8, 9]),
        ("frozen:60180:70000:1", [0, 1, 2, *[2] * 7]),
        ("frozen:60180:60480:2", [0, 1, 2, 1, 2, 1, 2, 1, 8, 9]),
        ("replayed:60300:70000:0.0833333", [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]),
        ("swapped:60180:60360:age", [0, 1, 2, 103, 104, 105, 6, 7, 8, 9]),
        ("null_surge:60180:60240:1", [0, 1, 2, None, 4, 5, 6, 7, 8, 9]),
        ("type_change:60180:60240:1", [0, 1, 2, "3.0", 4, 5, 6, 7, 8, 9]),
    ],
)
def test_a_fault_changes_exactly_the_rows_from_from_to_to(
    fault: str, wanted: list[object], baseline: Path
) -> None:
    found = injected(baseline, f"amount:{fault}", MINUTES, np.arange(10.0), age=np.arange(100.0, 110.0))
    assert [None if value != value else value for value in found] == wanted


def test_faults_of_flags_are_flags_or_fit_no_flag(baseline: Path) -> None:
    flags = np.array([0.0, 1.0, np.nan, 1.0, 0.0, NEITHER, 1.0, 1.0, 0.0, 1.0])
    found = injected(baseline, "member:stuck:60060:60540:true", MINUTES, flags)
    assert np.array_equal(found, [0, 1, np.nan, 1, 1, NEITHER, 1, 1, 1, 1], equal_nan=True)
    found = injected(baseline, "member:unseen_category:60000:61000:1", MINUTES, flags)
    assert np.array_equal(found, [2, 2, np.nan, *[2] * 7], equal_nan=True)


def test_entries_that_fit_no_number_stay_so(baseline: Path) -> None:
    values = np.array([1.0, NO_VALUE, None, *range(7)], dtype=object)
    found = injected(baseline, "amount:scale:60000:61000:10", MINUTES, values)
    assert [None if value != value else value for value in found] == [
        10.0,
        NO_VALUE,
        None,
        *[10.0 * at for at in range(7)],
    ]


def test_every_fault_can_be_injected_where_its_kind_allows(baseline: Path) -> None:
    rng = np.random.default_rng(0)
    texts = np.array(rng.choice(["Oslo", "Rome"], 10), dtype=object)
    changed = set()
    for entry in FAULTS:
        strength = {"swapped": ":age", "stuck": ":7", "replayed": ":0.0833333"}.get(entry.name, "")
        for column, values in (("amount", rng.lognormal(3, 1, 10).round(2)), ("city", texts)):
            try:
                text = f"{column}:{entry.name}:60300:61000{strength}"
                found = injected(baseline, text, MINUTES, values, age=np.arange(100.0, 110.0))
            except BacktestError:
                continue
            assert found[:5] == values[:5].tolist()
            if found != values.tolist():
                changed.add(entry.name)
    assert changed >= {entry.name for entry in FAULTS} - {
        "null_surge",
        "flood",
        "unseen_category",
    }  # by chance


# Several processes


def test_columns_parted_among_processes_give_the_same_lines(baseline: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "live.parquet", traffic(LIVE, 48))
    start, end = iso(LIVE + 24 * HOUR), iso(LIVE + 30 * HOUR)
    faults = [
        f"amount:scale:{start}:{end}:1000",
        f"city:stuck:{start}:{end}:Rome",
        f"score:swapped:{start}:{end}:age",
    ]
    options = [word for fault in faults for word in ("--inject", fault)]
    whole = backtest(path, baseline, *options, "--processes", 1)
    parted = backtest(path, baseline, *options, "--processes", 2)
    assert parted.lines == whole.lines
    assert parted.result.stdout == whole.result.stdout
    drifted = whole.of(verdict="drifted")
    assert {line["column"] for line in drifted} == {"amount", "city", "score"}
    assert len({line["incident"] for line in drifted}) == 1
