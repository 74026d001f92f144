"""What a column's windows are made of, as plain bytes and numbers: what a checkpoint holds of them.

Arrays are raw little-endian bytes of the rows in use; sketches are what `freeze` gave. Whatever
restores checks every length and raises ValueError: bytes of another program cost an error, and no crash.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from exporter.profile import Few, Tally
from exporter.sketch import Moments


class TallyState(msgspec.Struct, array_like=True, frozen=True):
    """A `Tally`."""

    counts: bytes
    """int64."""
    moments: bytes
    """Empty for kinds without numbers."""
    scaled_sum: float
    scaled_square: float


class RingState(msgspec.Struct, array_like=True, frozen=True):
    """A `TallyRing`: its rows in use."""

    slots: bytes
    """int64, shape (rows,)."""
    bytes_each: int
    counts: bytes
    """Unsigned integers of 2, 4 or 8 bytes, shape (rows, 8 + K)."""
    moments: bytes
    """float64, shape (rows, 4), or empty."""


class HoursState(msgspec.Struct, array_like=True, frozen=True):
    """An `HourRing`."""

    ring: RingState
    tops: bytes
    """The hours with frequent values: int64, shape (hours,)."""
    values: bytes
    """float64, shape (hours, 8)."""
    counts: bytes
    """uint32, shape (hours, 8)."""


class FewState(msgspec.Struct, array_like=True, frozen=True):
    """`Few`."""

    numbers: bytes
    """float64."""
    counts: bytes | None
    """uint32; None where each number stands for itself."""
    texts: bytes


class SketchSlotsState(msgspec.Struct, array_like=True, frozen=True):
    """`SketchSlots`: a slot is in one of the two, the newest one among them."""

    few: dict[int, FewState]
    many: dict[int, bytes]
    """Sketches."""
    dropped: int


class DayState(msgspec.Struct, array_like=True, frozen=True):
    """A day of `DaySketches`: values, sketches or both."""

    few: FewState | None
    many: bytes | None


class WindowsState(msgspec.Struct, array_like=True, frozen=True):
    """`ColumnWindows`."""

    layout: str
    """`Layout.id`."""
    phase: int
    total: TallyState
    slots: RingState
    hours: HoursState
    sketches: SketchSlotsState
    days: dict[int, DayState]
    closed: int
    dirty: list[int]
    late: int


def tally_state(tally: Tally) -> TallyState:
    """*tally* as it stands."""
    moments = b"" if tally.moments is None else tally.moments.to_bytes()
    return TallyState(tally.counts.tobytes(), moments, tally.scaled_sum, tally.scaled_square)


def restore_tally(tally: Tally, state: TallyState) -> None:
    """Make *tally*, which is empty, what *state* says. Raises ValueError when it is another column's."""
    counts = array(state.counts, np.int64, tally.counts.size)
    if bool(state.moments) != (tally.moments is not None):
        raise ValueError("tally: expected moments where there are numbers, and nowhere else")
    tally.counts[:] = counts
    if tally.moments is not None:
        tally.moments = Moments.from_bytes(state.moments)
    tally.scaled_sum, tally.scaled_square = state.scaled_sum, state.scaled_square


def few_state(few: Few) -> FewState:
    """*few* as it stands."""
    counts = few.counts.tobytes() if few.counts is not None else None
    return FewState(few.numbers.tobytes(), counts, few.texts)


def restore_few(state: FewState, numeric: bool) -> Few:
    """The values of a column, *numeric* or not. Raises ValueError when they are another's, or damaged."""
    counts = array(state.counts, np.uint32, -1) if state.counts is not None else None
    few = Few(array(state.numbers, np.float64, -1), counts, state.texts)
    few.check(numeric)
    return few


def array(data: bytes, dtype: Any, *shape: int) -> np.ndarray[Any, Any]:
    """*data* as an array of *shape*, of which the first may be -1; ValueError when it does not fit."""
    flat = np.frombuffer(data, np.dtype(dtype).newbyteorder("<"))  # ValueError for a broken last item
    return flat.reshape(shape).astype(dtype)
