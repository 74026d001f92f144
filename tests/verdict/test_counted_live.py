"""However the rows came: one recorder or twenty, in any order, restarted, sketched or exact: same verdicts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exporter.baseline.fit import fit
from exporter.hourly import TOPS, HourTable
from exporter.profile import Layout
from exporter.verdict import Judgement, judge
from exporter.window import ColumnWindows
from tests.verdict.columns import followed, numeric, table_of

BASELINE, LIVE, ROWS = 21, 9, 60


def values_of(days: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    at = np.repeat(np.arange(days * 24), ROWS)
    values = np.round(rng.normal(20 + 3 * np.sin(at % 24 / 24 * 2 * np.pi), 2), 1)
    values[rng.random(at.size) < 0.02] = np.nan
    values[rng.random(at.size) < 0.05] = 0.0
    return at, values


def column_of() -> tuple[object, HourTable]:
    at, values = values_of(BASELINE, 0)
    column = numeric(values[~np.isnan(values)], missing=int(np.isnan(values).sum()))
    column = replace(column, top=((0.0, 0.05),))
    table = table_of(column, at, values)
    return replace(column, calibration=fit(table, numeric=True, top=column.top)), table


COLUMN, TABLE = column_of()
LAYOUT = Layout("numeric", COLUMN.bins, None, COLUMN.far)  # type: ignore[attr-defined]


def faulted(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The last day's hours: shifted, flooded, nulled, far, stuck, and clean ones."""
    values = values.copy()
    hour = at - (LIVE - 1) * 24
    rng = np.random.default_rng(5)
    draw = rng.random(at.size)
    values[hour == 2] += 4
    values[(hour == 5) & (draw < 0.4)] = 23.7
    values[(hour == 8) & (draw < 0.4)] = np.nan
    values[(hour == 11) & (draw < 0.3)] = 5e3
    values[hour == 14] = 20.0
    values[hour == 17] *= 1.8
    return values


def recorded(parts: list[np.ndarray], at: np.ndarray, values: np.ndarray, restart: bool) -> list[HourTable]:
    """The history of a recorder for each of *parts*, positions of rows; restarted in the middle or not."""
    tables = []
    for rows in parts:
        windows = ColumnWindows(LAYOUT)
        for hour in range(LIVE * 24):
            if restart and hour == LIVE * 12:
                state = windows.state()
                windows = ColumnWindows(LAYOUT)
                windows.restore(state)
            own = rows[at[rows] == hour]
            entries = [None if np.isnan(value) else value for value in values[own].tolist()]
            half = len(entries) // 2
            for slot, some in ((0, entries[:half]), (11, entries[half:])):
                if some:
                    windows.add((BASELINE * 24 + hour) * 3600.0 + slot * 300, some)
        tables.append(windows.history(before=(BASELINE + LIVE) * 86_400.0))
    return tables


def added(tables: list[HourTable]) -> HourTable:
    """The table of a fleet."""
    hours = np.unique(np.concatenate([table.hours for table in tables]))
    at = [np.searchsorted(hours, table.hours) for table in tables]
    cells = np.zeros(hours.size, np.int64)
    sums = {
        name: np.zeros((hours.size, *getattr(tables[0], name).shape[1:]), np.int64)
        for name in ("rows", "missing", "mismatched", "unseen", "far", "grid", "bins")
    }
    tops: list[dict[float, int]] = [{} for _ in range(hours.size)]
    moments = np.full((hours.size, 4), np.nan)
    held = np.zeros(hours.size)
    for table, rows in zip(tables, at, strict=True):
        cells[rows] = table.cells
        for name, total in sums.items():
            total[rows] += getattr(table, name)
        for position, row in enumerate(rows.tolist()):
            for value, count in zip(
                table.top_values[position].tolist(), table.top_counts[position].tolist(), strict=True
            ):
                if count:
                    tops[row][value] = tops[row].get(value, 0) + count
            count, (mean, squares, low, high) = table.valid[position], table.moments[position].tolist()
            if not count:
                continue
            if held[row]:
                before = moments[row].copy()
                all_of = held[row] + count
                moments[row, 0] += (mean - before[0]) * count / all_of
                moments[row, 1] += squares + (mean - before[0]) ** 2 * held[row] * count / all_of
                moments[row, 2:] = min(low, before[2]), max(high, before[3])
            else:
                moments[row] = mean, squares, low, high
            held[row] += count
    values, counts = np.full((hours.size, TOPS), np.nan), np.zeros((hours.size, TOPS), np.int64)
    for row, found in enumerate(tops):
        best = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:TOPS]
        values[row, : len(best)] = [value for value, _ in best]
        counts[row, : len(best)] = [count for _, count in best]
    return HourTable(hours=hours, cells=cells, moments=moments, top_values=values, top_counts=counts, **sums)


def verdicts(live: HourTable) -> list[Judgement]:
    """Of the last day's hours, and of the day."""
    history = followed(TABLE.part(TABLE.hours < live.hours[0]), live)
    stop = (BASELINE + LIVE) * 24
    part = history.part(history.hours >= stop - 192 - 24)
    found = [
        judge(COLUMN, part.part(part.hours <= hour), "1h", hour, hour + 1)  # type: ignore[arg-type]
        for hour in range(stop - 24, stop)
    ]
    return [*found, judge(COLUMN, part, "1d", stop - 24, stop)]  # type: ignore[arg-type]


AT, CLEAN = values_of(LIVE, 1)
VALUES = faulted(CLEAN, AT)
EXACT = verdicts(table_of(COLUMN, AT + BASELINE * 24, VALUES))  # type: ignore[arg-type]


def same(found: list[Judgement], expected: list[Judgement], sketched: bool) -> None:
    assert [one.state for one in found] == [one.state for one in expected]
    assert [one.rows for one in found] == [one.rows for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert set(one.scores) == set(other.scores)
        for name, score in other.scores.items():
            if not (sketched and name == "spike"):
                assert one.scores[name] == pytest.approx(score, rel=1e-6, abs=1e-9), name
            elif score > 1 or one.scores[name] > 1:
                assert one.scores[name] == pytest.approx(score, rel=0.1), name


def test_the_faults_are_found_and_the_rest_is_silent() -> None:
    drifted = {hour for hour, one in enumerate(EXACT[:-1]) if one.state == "drifted"}
    assert drifted == {2, 5, 8, 11, 14, 17}
    assert EXACT[-1].state == "drifted"


def test_sketches_and_exact_arrays_give_the_same_verdicts() -> None:
    (live,) = recorded([np.arange(AT.size)], AT, VALUES, restart=False)
    same(verdicts(live), EXACT, sketched=True)


@pytest.mark.parametrize("shards", [1, 20])
def test_one_recorder_or_twenty_in_any_order_with_restarts_give_the_same_verdicts(shards: int) -> None:
    order = np.random.default_rng(shards).permutation(AT.size)
    tables = recorded(np.array_split(order, shards), AT, VALUES, restart=True)
    same(verdicts(added(tables)), EXACT, sketched=True)
