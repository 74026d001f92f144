"""Processes: the columns of one file parted among several processes, each with a monitor of its own.

Columns are independent but for the names of incidents, which `tell` joins. Every process reads the times and
its own columns. Processes are started anew, not forked: the reader's library has threads.

Promises: the batches of all processes for one moment at a time; a process that fails ends all, and is told.
"""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Final, NamedTuple

from exporter.backtest.errors import BacktestError
from exporter.backtest.reader import Extent
from exporter.backtest.replay import Batch, ColumnKey
from exporter.derived import origin_of
from exporter.mistake import MistakeError
from exporter.profile.probabilities import CONFIDENCE, ENTROPY, stem_of

if TYPE_CHECKING:
    from exporter.backtest.run import Plan

#: What one process takes for a slot of five minutes of one column, and for a value; to see whether several
#: are worth the second that it takes to start them.
_SLOT_SECONDS: Final = 100e-6
_VALUE_SECONDS: Final = 0.2e-6
_WORTH_SECONDS: Final = 10.0


def how_many(extent: Extent, columns: int) -> int:
    """Processes to use: one for what takes seconds, else as many as there are processors for it."""
    seconds = columns * (extent.slots.size * _SLOT_SECONDS + extent.rows * _VALUE_SECONDS)
    if seconds < _WORTH_SECONDS:
        return 1
    return max(1, min(len(os.sched_getaffinity(0)), columns))


def parts(columns: Sequence[ColumnKey], count: int) -> list[list[ColumnKey]]:
    """*columns* in at most *count* parts; what is derived of a column stays with it.

    >>> found = parts([("prediction", "p[0]"), ("feature", "t"), ("prediction", "p.entropy")], 2)
    >>> [[name for _, name in part] for part in found]
    [['p[0]', 'p.entropy'], ['t']]
    >>> parts([("feature", "t"), ("feature", "t.tokens")], 2)
    [[('feature', 't'), ('feature', 't.tokens')]]
    """
    known = set(columns)
    together: dict[ColumnKey, list[ColumnKey]] = {}
    names = {name for role, name in columns if role == "prediction"}
    for role, name in columns:
        stem = stem_of(name)
        derived = role == "prediction" and {stem + CONFIDENCE, stem + ENTROPY} & names
        origin = origin_of(name) if (role, origin_of(name)) in known else name
        together.setdefault((role, stem if derived else origin), []).append((role, name))
    groups = list(together.values())
    return [[key for group in groups[at::count] for key in group] for at in range(min(count, len(groups)))]


def parted(plan: Plan, extent: Extent, columns: Sequence[ColumnKey], count: int) -> Iterator[list[Batch]]:
    """Replay *columns* in *count* processes; the batches of each moment, one of each process."""
    context = multiprocessing.get_context("spawn")
    processes, ends = [], []
    try:
        for columns_of_one in parts(columns, count):
            mine, its = context.Pipe(duplex=False)
            part = replace(plan, part=tuple(columns_of_one))
            process = context.Process(target=_work, args=(part, extent, its), daemon=True)
            process.start()
            its.close()
            processes.append(process)
            ends.append(mine)
        while True:
            got = [_next(end) for end in ends]
            batches = [batch for batch in got if batch is not None]
            if not batches:
                return
            yield batches
    finally:
        for end in ends:
            end.close()
        for process in processes:
            process.terminate()
            process.join()


class _Mistake(NamedTuple):
    """A `MistakeError`; exceptions with more than a message do not travel."""

    file: str
    key: str
    expected: str
    found: str


def _next(end: Connection) -> Batch | None:
    try:
        said = end.recv()
    except EOFError:
        raise RuntimeError("a process of the backtest ended before its time") from None
    if isinstance(said, _Mistake):
        raise BacktestError(*said)
    if isinstance(said, str):
        raise RuntimeError(said)
    assert said is None or isinstance(said, Batch)
    return said


def _work(plan: Plan, extent: Extent, end: Connection) -> None:
    """What one process does."""
    from exporter.backtest.run import prepare

    try:
        prepared = prepare(plan, extent)
        for batch in prepared.batches():
            end.send(batch)
        end.send(None)
    except MistakeError as error:
        end.send(_Mistake(error.file, error.key, error.expected, error.found))
    except (BrokenPipeError, KeyboardInterrupt):
        return  # nobody wants to know any more
    except Exception:
        end.send(traceback.format_exc())
