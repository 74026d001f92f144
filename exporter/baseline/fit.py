"""Fitting a calibration: the baseline's own windows, each compared with the baseline without its neighbours.

Cross-fits use contiguous blocks of days. Random folds would put a window's neighbours on both sides, and
since neighbours resemble each other the variance between windows would come out too small (detection.md 7).

Promises: pure functions of an hour table; no clock, no random numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import numpy as np
from msgspec.structs import replace

from exporter.baseline.calibration import (
    DEFAULT_ALPHA,
    WINDOW_SECONDS,
    Calibration,
    Evidence,
    Extreme,
    Reference,
    Spike,
    Spread,
    Test,
    WindowCalibration,
)
from exporter.baseline.tail import chi_square_quantile, fit_tail
from exporter.hourly import CELLS, HourTable
from exporter.verdict import accumulate, spike
from exporter.verdict.engine import PAST_HOURS, PAST_ROWS, reference_scores
from exporter.verdict.measures import RATES, SHAPE, kinds, parts_of, residuals, starts, totals_of
from exporter.verdict.model import expand, model_of
from exporter.verdict.references import Compared, Departures, compare, departures, lay_out, statistics
from exporter.verdict.steady import ENTRIES, one_value, replayed, runs
from exporter.verdict.windows import day_starts

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
Flags: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"

BLOCKS: Final = 5
#: Rows a window needs: below, the shape says more about chance than about the column.
WINDOW_ROWS: Final = 20
#: Windows a calibration needs. Twenty days say what is rare at 1 in 200, and 14 days of hours have seen each
#: weekday twice (detection.md 5).
NEEDED_WINDOWS: Final = {"1h": 100, "1d": 20}
NEEDED_DAYS: Final = 14
EXTREMES: Final = 5
#: Windows of prior that a cell's shares are drawn towards its parent's with, by its own usual size.
_PRIOR_WINDOWS: Final = 4.0
#: A finer cell must make the cross-fitted residuals smaller by this factor to be worth its numbers.
_PAYS: Final = 0.98
#: Natural variance: weight of the column's mean in a bin's own, in windows; the least mean; and the mean from
#: which on a column has one value for all bins (detection.md 2.2: event columns < 0.003, context > 0.01).
_PRIOR_NATURAL: Final = 20.0
_LEAST_NATURAL: Final = 1e-3
_CONTEXT_NATURAL: Final = 0.01
#: Standard errors that are added to it in windows of more rows than the baseline's.
_ERRORS: Final = 2.0
#: At which the scale of a bin's gain is taken.
_SCALE_ALPHA: Final = 1e-3
#: Entries of a rate, over the whole baseline, that it takes to blend its last days.
_RARE: Final = 100
#: Sums of evidence that are a ticket, a day of a column: one in ten years of clean days would be 1 / 3,650.
TICKET_ALPHA: Final = 1e-3
#: Windows with a past that a reference needs for numbers of its own; with fewer it has the baseline's.
_OWN_REFERENCE: Final = 20


def blocks(hours: Integers) -> Integers:
    """The block, 0 … 4, of each of *hours*: five contiguous runs of as many days each as can be.

    >>> blocks(np.array([0, 23, 24, 48, 72, 96])).tolist()
    [0, 0, 1, 2, 3, 4]
    """
    days = hours // 24
    present = np.unique(days)
    return np.searchsorted(present, days) * BLOCKS // max(present.size, 1)


def tests_of(table: HourTable, numeric: bool, known: bool, grid: bool) -> tuple[str, ...]:
    """Which tests a column has: *known*: its dictionary is whole, *grid*: it has a coarse step."""
    tests = [SHAPE, "missing", "mismatched"]
    if not numeric and known:
        tests.append("unseen")
    if numeric and grid:
        tests.append("grid")
    return tuple(tests)


def fit(
    table: HourTable,
    *,
    numeric: bool,
    known: bool = True,
    grid: bool = False,
    top: Sequence[tuple[float | str, float]] = (),
    alpha: float = DEFAULT_ALPHA,
) -> Calibration | None:
    """The calibration of a column whose baseline is *table*; None where that is too short for any window.

    *known* says whether the dictionary of categories is whole, *grid* whether the column has a coarse step,
    *top* are its most frequent values with their shares.
    """
    days = np.unique(table.hours // 24)
    if days.size < NEEDED_DAYS:
        return None
    tests = tests_of(table, numeric, known, grid)
    block = blocks(table.hours)
    totals = totals_of(table)
    parts = parts_of(table, tests, totals)
    if not _spread_over_blocks(totals, block):
        return None
    shares, by_block = cross_fitted_shares(table, parts, totals, tests, block)
    per_day = np.bincount(np.searchsorted(days, table.hours // 24), weights=totals[:, 0])
    hours_per_day = np.bincount(np.searchsorted(days, table.hours // 24), weights=totals[:, 1] > 0)
    calibration = Calibration(
        days=int(days.size),
        day_hours=int(np.median(hours_per_day)),
        day_rows=int(np.median(per_day)),
        shares={test: _listed(shares[test]) for test in tests},
        windows={},
    )
    usual = spike.Usual.of(top)
    for window in WINDOW_SECONDS:
        found = _window(table, calibration, tests, by_block, block, window, usual, numeric, alpha)
        if found is not None:
            calibration.windows[window] = found
    return calibration if calibration.windows else None


def iso(wall_clock: float) -> str:
    """A wall clock time in the file. Not of `timestamps`, which imports pyarrow: a recorder learns, too.

    >>> iso(1356998400)
    '2013-01-01T00:00:00'
    """
    return datetime.fromtimestamp(wall_clock, UTC).replace(tzinfo=None).isoformat(timespec="seconds")


def _listed(shares: Floats) -> list[list[float]]:
    """Shares with six significant digits: a file is read by people, too."""
    return [[float(f"{value:.6g}") for value in row] for row in shares.tolist()]


def _spread_over_blocks(totals: Floats, block: Integers) -> bool:
    """Whether each block's others hold something: not so when one block alone holds all of the column."""
    inside = np.bincount(block, weights=totals[:, 0], minlength=BLOCKS)
    return bool((inside.sum() - inside > 0).all())


# Expected shares


def cross_fitted_shares(
    table: HourTable, parts: Floats, totals: Floats, tests: tuple[str, ...], block: Integers
) -> tuple[dict[str, Floats], list[Floats]]:
    """Each test's shares by the cells that pay, and for each block all tests' shares found without it."""
    bins = table.bins.shape[1]
    begins = starts(tests, bins)
    ends = [*begins[1:], parts.shape[1]]
    enough = totals[:, 0] >= WINDOW_ROWS
    found: dict[str, Floats] = {}
    crossed: list[list[Floats]] = [[] for _ in range(BLOCKS)]
    for test, begin, end in zip(tests, begins, ends, strict=True):
        total = totals[:, 0 if test == SHAPE else RATES[test]]
        own = parts[:, begin:end]
        best, chosen = np.inf, None
        for cells in (1, 24, CELLS):
            cell = table.cells % cells
            others = [
                _cell_shares(own[block != b], total[block != b], cell[block != b], cells)
                for b in range(BLOCKS)
            ]
            expected = np.stack(others)[block, cell] * total[:, np.newaxis]
            residual = residuals(
                own[enough], expected[enough], np.repeat(total[enough, np.newaxis], end - begin, 1)
            )
            misfit = float((residual**2).sum()) if enough.any() else 0.0
            if chosen is None or misfit < _PAYS * best:
                best, chosen = misfit, (cells, others)
        assert chosen is not None
        cells, others = chosen
        found[test] = _cell_shares(own, total, table.cells % cells, cells)
        for b in range(BLOCKS):
            crossed[b].append(expand(others[b]))
    return found, [np.concatenate(one, axis=1) for one in crossed]


def _cell_shares(parts: Floats, total: Floats, cell: Integers, cells: int) -> Floats:
    """Shares in each cell, drawn towards those of its hour, these towards all, shape (cells, k)."""
    overall = parts.sum(axis=0) / max(float(total.sum()), 1.0)
    if cells == 1:
        return np.asarray(overall[np.newaxis])
    parent = overall[np.newaxis] if cells == 24 else _cell_shares(parts, total, cell % 24, 24)
    counts = np.zeros((cells, parts.shape[1]))
    np.add.at(counts, cell, parts)
    rows = np.bincount(cell, weights=total, minlength=cells)
    hours = np.bincount(cell, weights=total > 0, minlength=cells)
    prior = np.where(hours > 0, _PRIOR_WINDOWS * rows / np.maximum(hours, 1), 1.0)[:, np.newaxis]
    inherited = parent[np.arange(cells) % parent.shape[0]]
    return np.asarray((counts + prior * inherited) / (rows[:, np.newaxis] + prior))


# Windows


def _bounds(table: HourTable, window: str) -> tuple[Integers, Integers]:
    """First hour and stop of each window of the baseline that the file holds whole."""
    if window == "1h":
        return table.hours, table.hours + 1
    days = np.unique(table.hours - table.cells % 24)
    # A day of summer time's change has two such numbers, an hour apart; the first is its own.
    days = days[np.concatenate([[True], np.diff(days) >= 12])]
    days = days[~_cut_off(table.hours, days)]
    return days, days + 24


def _cut_off(hours: Integers, days: Integers) -> Flags:
    """Of which of *days* the file holds only a part: the first or the last, shape (days,).

    A file that ends at noon would otherwise say that a day without afternoon is natural. Judged by the hours
    in which the other days begin and end, since nights may be without traffic.
    """
    cut = np.zeros(days.size, dtype=np.bool_)
    if days.size < 3:
        return cut
    low = np.searchsorted(hours, days)
    high = np.searchsorted(hours, days + 24)
    first = hours[np.minimum(low, hours.size - 1)] - days
    last = hours[np.maximum(high - 1, 0)] - days
    cut[0] = first[0] > np.median(first[1:-1]) + 1
    cut[-1] = last[-1] < np.median(last[1:-1]) - 1
    return cut


def _window(
    table: HourTable,
    calibration: Calibration,
    tests: tuple[str, ...],
    by_block: list[Floats],
    block: Integers,
    window: str,
    usual: spike.Usual,
    numeric: bool,
    alpha: float,
) -> WindowCalibration | None:
    first, stop = _bounds(table, window)
    totals = totals_of(table)
    low, high = np.searchsorted(table.hours, first), np.searchsorted(table.hours, stop)
    enough = _summed(totals[:, 1], low, high) >= WINDOW_ROWS
    first, stop, low, high = first[enough], stop[enough], low[enough], high[enough]
    filled = _summed(totals[:, 0], low, high) >= WINDOW_ROWS
    if filled.sum() < NEEDED_WINDOWS[window]:
        return None
    bins = table.bins.shape[1]
    kind = kinds(tests, bins)
    floor = _floor(table)
    compared, baseline_totals = _cross_fitted(
        table, tests, kind, by_block, block, window, first, stop, low, totals, floor
    )
    past = (compared.week[:, 4] >= min(PAST_HOURS, calibration.day_hours)) & (
        compared.week_valid >= min(PAST_ROWS, calibration.day_rows)
    )
    begins = starts(tests, bins)
    sizes = np.diff([*begins, kind.size])
    usable = [filled if test == SHAPE else np.ones_like(filled) for test in tests]
    blend = np.repeat(_blend(compared, past, usable, begins, sizes), sizes, axis=1)
    departed = departures(compared, blend, kind, baseline_totals)
    natural, errors = _natural(departed, past, usable, begins, sizes, window)
    found = statistics(departed, natural, begins, bins)
    fitted = {}
    for at, test in enumerate(tests):
        references = []
        for which in range(3):
            chosen, source = _chosen(which, past, usable[at])
            part = slice(begins[at], begins[at] + sizes[at])
            reference = Reference(
                natural=_rounded(natural[which, part]),
                error=_rounded(errors[which, at : at + 1])[0],
                tail=fit_tail(found.tests[chosen, source, at]),
            )
            if test == SHAPE:
                gains = found.gains[chosen, source]
                scales = _rounded(_scales(gains, bins))
                largest_gain = (gains / np.array(scales)).max(axis=1)
                reference = replace(reference, scales=scales, peak=fit_tail(largest_gain))
            references.append(reference)
        largest = 0.0
        if test != SHAPE:
            count = _summed(parts_of(table, tests, totals)[:, begins[at]], low, high)
            of = compared.totals[:, RATES[test]]
            largest = float((count / np.maximum(of, 1)).max())
        fitted[test] = Test(blend=_rounded(blend[:, begins[at]]), references=references, largest=largest)
    length = runs(table)
    result = WindowCalibration(
        windows=int(first.size),
        rows=int(np.median(compared.totals[:, 1])),
        tests=fitted,
        spike=_spike(table, low, high, compared.totals[:, 0], usual) if numeric else None,
        spread=_spread(compared, past, floor) if numeric else None,
        frozen=int(length.max(initial=1)),
        constant=_constant_windows(table, compared, low, high),
        replays=int(replayed(table, np.arange(table.hours.size), table).sum()),
    )
    alone = replace(calibration, windows={window: result})
    model = model_of(alone)
    scores, evidence = reference_scores(model, model.windows[window], departed, compared, alpha)
    scores[~past, 1:] = np.inf
    scores[~filled, :, 0] = scores[~filled, :, -1] = 0.0
    return replace(
        result,
        extremes=_extremes(scores.min(axis=1), (*tests, "bin"), first, compared.totals[:, 1]),
        evidence=_evidence(evidence[filled & past]),
    )


def _evidence(series: Floats) -> Evidence | None:
    """How *series*, windows in their order, shape (W,), adds up; None of too few."""
    if series.size < NEEDED_WINDOWS["1d"]:
        return None
    mean, deviation = float(series.mean()), float(series.std())
    if deviation <= 0:
        return None
    usual = Evidence(mean=mean, deviation=deviation, limit=accumulate.LEAST_LIMIT)
    sums = np.array([one.sum for one in accumulate.sums(series.tolist(), usual, cap=np.inf)])
    limit = max(accumulate.LEAST_LIMIT, float(sums.max()), fit_tail(sums).quantile(TICKET_ALPHA))
    mean, deviation, limit = _rounded(np.array([mean, deviation, limit]))
    return Evidence(mean=mean, deviation=deviation, limit=limit)


def _extremes(scores: Floats, detectors: Sequence[str], first: Integers, rows: Floats) -> list[Extreme]:
    """The windows with the highest scores, of shape (W, detectors)."""
    worst = np.argsort(-scores.max(axis=1), kind="stable")[:EXTREMES]
    return [
        Extreme(
            start=iso(float(first[at]) * 3_600),
            rows=int(rows[at]),
            detector=detectors[int(scores[at].argmax())],
            score=round(float(scores[at].max()), 3),
        )
        for at in worst.tolist()
    ]


def _rounded(values: Floats) -> list[float]:
    return [float(f"{value:.4g}") for value in values.tolist()]


def _scales(gains: Floats, bins: int) -> Floats:
    """How large each bin's gain gets in a window of a thousand, shape (bins,); at least by chance."""
    least = chi_square_quantile(_SCALE_ALPHA, 1)
    return np.array([max(least, fit_tail(gains[:, at]).quantile(_SCALE_ALPHA)) for at in range(bins)])


def _summed(values: Floats, low: Integers, high: Integers) -> Floats:
    running = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(running[high] - running[low])


def _constant_windows(table: HourTable, compared: Compared, low: Integers, high: Integers) -> bool:
    """Whether any window has one value in all its entries."""
    own, valid = compared.own, compared.totals[:, 0]
    alone = np.flatnonzero((own[:, 3] > 0) & (own[:, 3] == own[:, 4]) & (valid >= ENTRIES)).tolist()
    return any(one_value(table, int(low[at]), int(high[at])) for at in alone)


def _cross_fitted(
    table: HourTable,
    tests: tuple[str, ...],
    kind: Any,
    by_block: list[Floats],
    block: Integers,
    window: str,
    first: Integers,
    stop: Integers,
    low: Integers,
    totals: Floats,
    floor: float,
) -> tuple[Compared, Floats]:
    """All windows beside their past, each by the shares found without its block, and the others' totals."""
    of = block[np.minimum(low, table.hours.size - 1)]
    day = day_starts(window, first, table.hours, table.cells)
    parts = []
    others = np.empty((first.size, 2))
    for b in range(BLOCKS):
        chosen = of == b
        hours = lay_out(table, tests, kind, by_block[b], floor)
        parts.append(compare(window, hours, hours, first[chosen], stop[chosen], day[chosen], kind))
        others[chosen] = totals[block != b].sum(axis=0)
    # Windows ascend, and so do their blocks: one after the other they are in order.
    return Compared(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in Compared.__slots__)
    ), others


def _chosen(which: int, past: Flags, usable: Flags) -> tuple[Flags, int]:
    """Windows from which a reference has its numbers, and which reference's: the baseline's, if too few."""
    chosen = usable & past if which else usable
    return (chosen, which) if chosen.sum() >= _OWN_REFERENCE else (usable, 0)


def _blend(compared: Compared, past: Flags, usable: list[Flags], begins: Any, sizes: Any) -> Floats:
    """Weights of the blend's terms, shape (L, tests): least squares, in [0, 1], together at most 1."""
    terms = compared.residual.shape[1] - 2
    weights = np.zeros((terms, sizes.size))
    for at, (begin, size) in enumerate(zip(begins, sizes, strict=True)):
        chosen = past & usable[at]
        # Of a rate that hardly ever was anything the terms have nothing but chance in common.
        few = at > 0 and compared.counts[:, begin].sum() < _RARE
        if few or chosen.sum() < _OWN_REFERENCE:
            continue
        residual = compared.residual[chosen]
        x = residual[:, 1:-1, begin : begin + size].transpose(0, 2, 1).reshape(-1, terms)
        y = residual[:, 0, begin : begin + size].ravel()
        square = x.T @ x
        ridge = 1e-6 * np.trace(square) + 1e-12
        found = np.clip(np.linalg.solve(square + ridge * np.eye(terms), x.T @ y), 0.0, 1.0)
        weights[:, at] = found / max(1.0, found.sum())
    return weights.round(4)


def _natural(
    departed: Departures, past: Flags, usable: list[Flags], begins: Any, sizes: Any, window: str
) -> tuple[Floats, Floats]:
    """Natural variance of each residual, shape (3, M): beyond chance, drawn towards the column's mean.

    And how far off that may be, shape (3, tests).
    """
    natural = np.zeros((3, departed.residual.shape[2]))
    errors = np.zeros((3, len(usable)))
    for which in range(3):
        for at, (begin, size) in enumerate(zip(begins, sizes, strict=True)):
            chosen, source = _chosen(which, past, usable[at])
            part = slice(begin, begin + size)
            noise = departed.chance[chosen, source, part]
            excess = departed.residual[chosen, source, part] ** 2 - noise
            # Windows of many rows say more about what is not chance.
            weight = 1 / (noise + _LEAST_NATURAL)
            total = weight.sum(axis=0)
            own = (excess * weight).sum(axis=0) / total
            error = np.sqrt(((excess - own) ** 2 * weight**2).sum(axis=0)) / total
            errors[which, at] = _ERRORS * error.mean()
            own = np.maximum(own, 0.0)
            if at:
                natural[which, part] = own.mean()
                continue
            mean = max(_LEAST_NATURAL, float(own.mean()))
            independent = chosen.sum() / (4 if window == "1h" else 1)
            shrunk = (independent * own + _PRIOR_NATURAL * mean) / (independent + _PRIOR_NATURAL)
            common = min(1.0, mean / _CONTEXT_NATURAL)
            natural[which, part] = (1 - common) * shrunk + common * mean
    return natural, errors


def _spike(table: HourTable, low: Integers, high: Integers, total: Floats, usual: spike.Usual) -> Spike:
    over, _, _ = spike.excess(table, low, high, total, usual)
    natural = max(0.0, float((over**2 - np.where(over > 0, 0.25 / np.maximum(total, 1), 0.0)).mean()))
    natural = float(f"{natural:.4g}")
    return Spike(natural=natural, tail=fit_tail(spike.deviations(over, total, natural)))


def _floor(table: HourTable) -> float:
    """What is taken for the variance of an hour of one value: a millionth of the column's within hours."""
    valid = table.valid
    chosen = (valid > 0) & np.isfinite(table.moments[:, 1])
    within = float(table.moments[chosen, 1].sum() / max(int(valid[chosen].sum()), 1))
    return max(1e-6 * within, 1e-300)


def _spread(compared: Compared, past: Flags, floor: float) -> Spread | None:
    measured = compared.own[:, 2] > 0
    if measured.sum() < _OWN_REFERENCE or floor <= 1e-300:
        return None
    mean = compared.own[:, 1] / np.maximum(compared.own[:, 2], 1)
    usual = float(np.median(mean[measured]))
    week = compared.week[:, 2] > 0
    lately = measured & past & week
    fallen = np.maximum(usual - mean[measured], 0.0)
    below = np.maximum((compared.week[:, 1] / np.maximum(compared.week[:, 2], 1) - mean)[lately], 0.0)
    tails = [fit_tail(fallen), fit_tail(below if below.size >= _OWN_REFERENCE else fallen)]
    return Spread(usual=usual, floor=floor, tails=tails)
