"""Steady: feeds that stand still or repeat: frozen hours, replayed hours, one value, a spread that collapsed.

Promises: pure functions of hours; exact equality of counts and moments, so that sums over pods in another
order, which may differ in the last digits, are compared with a tolerance of 1e-9.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np

from exporter.hourly import HourTable

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
Flags: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"

#: Entries that an hour needs before its fingerprint, or its having one value alone, says anything.
ENTRIES: Final = 20
_TOLERANCE: Final = 1e-9
_WEEK: Final = 168
#: Hours up to which one by one is faster: a day and an hour, when the clocks go back.
_DAY: Final = 25
#: Bins that an hour must have filled for its counts to be a fingerprint, and how unlikely the same counts
#: must be by chance: there are 168 hours to be equal to. (Fifty rows over eight categories: 1e-6; one hour in
#: 16,000 was a replay that was none.)
_FILLED: Final = 4
_COLLISION: Final = float(np.log(1e-8))


def variances(table: HourTable) -> Floats:
    """Variance within each hour, shape (H,); NaN of none."""
    valid = np.maximum(table.valid, 1)
    return np.asarray(table.moments[:, 1] / valid, dtype=np.float64)


def _close(a: Floats, b: Floats) -> Flags:
    """Whether all of the last axis are equal but for the last digits; NaN equals nothing."""
    with np.errstate(invalid="ignore"):
        scale = np.maximum(np.abs(a), np.abs(b))
        return np.asarray((np.abs(a - b) <= _TOLERANCE * scale).all(axis=-1))


def _moments(table: HourTable) -> Floats:
    """Mean, variance, minimum and maximum of each hour: equal for equal values, however many of each."""
    moments = table.moments.copy()
    moments[:, 1] = variances(table)
    return moments


def runs(table: HourTable) -> Integers:
    """Of each hour, how many consecutive hours up to it had the same moments, at least 1, shape (H,).

    0 for hours without numbers. Hours in between that are without rows end a run.
    """
    size = table.hours.size
    if not size:
        return np.zeros(0, np.int64)
    moments = _moments(table)
    same = np.zeros(size, np.bool_)
    same[1:] = _close(moments[1:], moments[:-1]) & (np.diff(table.hours) == 1)
    at = np.arange(size)
    begun = np.maximum.accumulate(np.where(same, 0, at))
    length: Integers = at - begun + 1
    length[np.isnan(moments[:, 0])] = 0
    return length


def constant(table: HourTable, valid: Any = None) -> Flags:
    """Of each hour, whether all its entries, at least one, have one value, shape (H,).

    *valid* are the table's, where they are at hand.
    """
    if valid is None:
        valid = table.valid
    numbers = ~np.isnan(table.moments[:, 0])
    with np.errstate(invalid="ignore"):
        one_number = table.moments[:, 2] == table.moments[:, 3]
    one_bin = table.bins.max(axis=1, initial=0) == valid
    return np.asarray(np.where(numbers, one_number & one_bin, one_bin) & (valid > 0))


def replayed(now: HourTable, at: Integers, history: HourTable) -> Flags:
    """Of the hours *at* these positions of *now*: whether an hour of the seven days before was the same.

    The same: in the count of every bin, missing entries and, of numbers, all moments. Hours of one value, of
    fewer than `ENTRIES` or whose counts come by chance have no fingerprint, and an hour that repeats the
    one before is frozen, not replayed.
    """
    found = np.zeros(at.size, np.bool_)
    if not history.hours.size or not at.size:
        return found
    if at.size > _DAY:
        return _replayed_many(now, at, history)
    for number, position in enumerate(at.tolist()):
        found[number] = _replayed_one(now, position, history)
    return found


def _fingerprinted(table: HourTable) -> Flags:
    numbers = ~np.isnan(table.moments[:, 0])
    with np.errstate(invalid="ignore"):
        spread = table.moments[:, 2] < table.moments[:, 3]
    filled = (table.bins > 0).sum(axis=1) >= _FILLED
    return np.asarray(
        (table.valid >= ENTRIES) & filled & (spread | ~numbers) & (_log_collision(table) < _COLLISION)
    )


def _log_collision(table: HourTable) -> Floats:
    """Log of the chance that another hour of these shares has these very counts, shape (H,).

    √(4πn) / Π √(4πC) over the bins that have entries: two draws from a multinomial, by Stirling.
    """
    logs = np.log(4 * np.pi * np.maximum(table.bins, 1 / (4 * np.pi)))
    return np.asarray((np.log(4 * np.pi * np.maximum(table.valid, 1)) - logs.sum(axis=1)) / 2)


def _replayed_one(now: HourTable, position: int, history: HourTable) -> bool:
    hour = int(now.hours[position])
    low, high = np.searchsorted(history.hours, [hour - _WEEK, hour - 1])
    # The count of rows rules out nearly all hours; the rest is looked at for those that remain.
    candidates = np.flatnonzero(history.rows[low:high] == now.rows[position])
    if not candidates.size:
        return False
    candidates += low
    same = (history.missing[candidates] == now.missing[position]) & (
        history.bins[candidates] == now.bins[position]
    ).all(axis=1)
    if not same.any():
        return False
    row = now.part(slice(position, position + 1))
    if not _fingerprinted(row)[0]:
        return False
    own = _moments(row)[0]
    if np.isnan(own[0]):
        return True
    return bool(_close(_moments(history.part(candidates[same])), own[np.newaxis]).any())


def _replayed_many(now: HourTable, at: Integers, history: HourTable) -> Flags:
    moments = _moments(history)
    there: dict[bytes, list[int]] = {}
    keys = np.concatenate([history.rows[:, None], history.missing[:, None], history.bins], axis=1)
    for position, key in enumerate(keys):
        there.setdefault(key.tobytes(), []).append(position)
    named = _fingerprinted(now)
    own_keys = np.concatenate([now.rows[:, None], now.missing[:, None], now.bins], axis=1)
    own_moments = _moments(now)
    found = np.zeros(at.size, np.bool_)
    for number, position in enumerate(at.tolist()):
        if not named[position]:
            continue
        hour = int(now.hours[position])
        for candidate in there.get(own_keys[position].tobytes(), ()):
            if not hour - _WEEK <= int(history.hours[candidate]) < hour - 1:
                continue
            own = own_moments[position]
            if np.isnan(own[0]) or bool(_close(moments[candidate], own)):
                found[number] = True
                break
    return found


def one_value(table: HourTable, low: int, high: int) -> bool:
    """Whether the hours at [low, high), each of one value, have the same one."""
    moments = table.moments[low:high]
    if np.isnan(moments[0, 0]):
        return int((table.bins[low:high].sum(axis=0) > 0).sum()) == 1
    return bool(moments[:, 2].min() == moments[:, 3].max())
