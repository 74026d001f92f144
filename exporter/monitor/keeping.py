"""Keeping: a monitor into a store and out of it again, column by column.

A state is taken under the caller's lock for one column at a time (0.1 to 0.3 ms), so that whoever records
waits for no more than that; encoding and writing are outside. Columns are therefore of moments up to some
seconds apart, which no reader can tell, but for verdicts: when one was given meanwhile, all is taken again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Final

import msgspec

from exporter.checkpoint import CheckpointError, Store
from exporter.monitor.monitor import Monitor
from exporter.monitor.state import ColumnState, Restored, decode_monitor, decode_shown, encode

ATTEMPTS: Final = 3
"""Verdicts are given once an hour, all within seconds; twice in a row can only be a simulated clock."""


PAUSES: Final = 10_000
"""For verdicts that are being given: 20 s at 2 ms, those of 500 columns with a fault each."""


class _JudgedMeanwhileError(Exception):
    pass


def save(
    store: Store,
    monitor: Monitor,
    now: Callable[[], float],
    lock: AbstractContextManager[object],
    pause: Callable[[], object] = lambda: None,
) -> int:
    """Write a checkpoint; returns its bytes. *pause* is called after each column, the lock not held.

    Raises `CheckpointError`.
    """
    for attempt in range(ATTEMPTS):
        try:
            return store.save(_sections(monitor, now, lock, pause, strict=attempt + 1 < ATTEMPTS))
        except _JudgedMeanwhileError:
            for _ in range(PAUSES):
                if not monitor.is_judging:
                    break
                pause()
    raise AssertionError("the last attempt is not strict")


def _sections(
    monitor: Monitor,
    now: Callable[[], float],
    lock: AbstractContextManager[object],
    pause: Callable[[], object],
    *,
    strict: bool,
) -> Iterator[bytes]:
    with lock:
        before = monitor.state(now())
        columns = monitor.columns()
    for column in columns:
        with lock:
            taken: ColumnState = column.state()
        yield encode(taken)
        pause()
    with lock:
        parts = monitor.learner_parts()  # after the columns: what waited in them has been read
    for part in parts:
        with lock:
            learnt = monitor.learner_state(part)
        yield encode(learnt)
        pause()
    with lock:
        after = monitor.state(now())
        judging = monitor.is_judging
    if strict and (judging or after.schedules != before.schedules):
        raise _JudgedMeanwhileError
    # From its beginning on, rows may be missing: that is what an outage has to cover.
    yield encode(msgspec.structs.replace(after, saved=before.saved))


def restore(store: Store, monitor: Monitor, now: float) -> Restored | None:
    """Let *monitor*, which has seen nothing, go on where the store's checkpoint was taken; None without one.

    Raises `CheckpointError`, the file set aside, when nothing of it can be used. When models have other
    baselines now, the rest is used, and the file is set aside all the same.
    """
    sections = store.load()
    if sections is None:
        return None
    try:
        state = decode_monitor(sections[-1])
    except (ValueError, IndexError) as error:
        store.set_aside("corrupt")
        raise CheckpointError("corrupt", str(error)) from None
    if state.zone != monitor.calendar.zone.key:
        store.set_aside("baseline")
        raise CheckpointError(
            "baseline", f"expected time zone {monitor.calendar.zone.key}, found {state.zone}"
        )
    exposed = store.load_exposed()
    try:
        shown = decode_shown(exposed) if exposed is not None else None
    except ValueError:
        shown = None
    restored = monitor.restore(state, sections[:-1], shown, now)
    if restored.other_baselines:
        store.set_aside("baseline")
    return restored
