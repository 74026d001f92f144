"""Words: 64-bit counters in shared memory that outlive the process that writes them.

Rule 1: every word has one writer (the class says which process), so a plain store is enough.
Rule 2: readers may see a word a moment late, never torn: aligned 8-byte stores are atomic on x86-64 and
arm64. Rule 3: nothing here parses, allocates or waits.

Two kinds of page exist: one at the head of each tap's channel (`Tap`, `Recorder`), and one board for the
whole sidecar (`Board`), written by the supervisor, but for what its words say of the recorder.
"""

from __future__ import annotations

import mmap
import os
from enum import IntEnum
from typing import TypeAlias

PAGE = 4096

Words: TypeAlias = "memoryview[int]"


class Tap(IntEnum):
    """Words a tap writes, at the head of its channel."""

    HEAD = 0
    """Bytes ever put into the ring."""
    SEQUENCE = 1
    """HEAD as of when an exchange last began; one more than HEAD is about to become (so odd, which HEAD never
    is) while HEAD and COPIED are being changed together: a seqlock, for a recorder that attaches."""
    COPIED = 2
    """Exchanges begun in the ring."""
    DROPPED_PRESSURE = 3
    """Exchanges not begun in the ring, because it was filling up (`sidecar.draws`)."""
    CONNECTIONS_OPENED = 4
    CONNECTIONS_CLOSED = 5
    UPSTREAM_CONNECTS = 6
    UPSTREAM_FAILURES = 7
    """Connections of clients that were reset because the server could not be reached."""
    COPY_ERRORS = 8
    """Faults of ours after which a connection is forwarded without a copy."""
    DROPPED_FAULT = 11
    """Exchanges seen on a connection that is forwarded without a copy after a fault of ours."""
    NEXT_COPIED = 13
    """What COPIED is about to become: what a killed tap began the next one completes."""
    BUSY = 16
    """Connections on which something may be under way, counted while the sidecar drains only."""
    BEAT = 17
    """Monotonic nanoseconds at which the tap's loop last came round (20 times a second); 0 before it has."""


class Recorder(IntEnum):
    """Words the recorder writes, in the same page: the parts of the conservation law that it settles."""

    TAIL = 128
    """Bytes ever taken out of the ring."""
    EXTRA = 129
    """Exchanges beyond the first of one begun by the tap (pipelined requests)."""
    RECORDED = 130
    SAMPLED_OUT = 131
    DROPPED = 136
    """First of the words for `DROPPED_REASONS`."""
    UNDECODABLE = 160
    UNOBSERVABLE = 192
    IGNORED = 224
    END = 256
    """End of the words of the conservation law."""
    SAMPLING = 257
    """Share of exchanges to be recorded, times 2³²; 0: not set, as planned. Never more than was planned."""
    IN_FLIGHT = 258
    """Requests begun and not answered, of those that are followed, at the recorder's last beat."""
    EPOCH = 259
    """Goes up with each recorder that replaces another and so knows no connection (`sidecar.frames`)."""


class Board(IntEnum):
    """Words of the whole sidecar."""

    RECORDER_HEARTBEAT = 0
    """Monotonic nanoseconds; the recorder writes it, the supervisor's watchdog reads it."""
    RECORDER_READY = 1
    """1 while /metrics is served; the recorder sets it, the supervisor clears it."""
    LAST_SCRAPE = 2
    """Monotonic nanoseconds of the moment that the last scrape of /metrics showed; 0: there never was one."""
    RECORDER_RESTARTS = 8
    """First of the words for `RESTART_REASONS`."""
    UPSTREAM_UP = 16
    TAP_RESTARTS = 17
    DRAINING = 18
    """A `sidecar.drain.Phase`."""


class Door(IntEnum):
    """Words of `sidecar.ingest`, in the page of its books, beside those of `Tap.COPIED` and `Recorder`: the
    recorder's process writes all of that page."""

    EVENTS = 320
    """First of the words for `sidecar.ingest.pairs.EVENT_RESULTS`."""


DOOR_UNITS = 32_768
"""Exchanges of `sidecar.ingest` that are known to have been counted: at 1,000 a second, of half a minute."""
DOOR_BYTES = PAGE + 8 * DOOR_UNITS
"""The page of `Door`, then a ring of their numbers."""


RESTART_REASONS = ("exit", "hang", "memory")
"""It ended by itself or was killed; it stopped beating; it came too near to the memory limit."""


def create(name: str, size: int) -> int:
    """A new shared memory file of *size* bytes; returns its descriptor, which children may inherit."""
    descriptor = os.memfd_create(name)
    os.ftruncate(descriptor, size)
    os.set_inheritable(descriptor, True)
    return descriptor


def attach(descriptor: int) -> mmap.mmap:
    """The memory behind *descriptor*, shared with every process that attaches it."""
    return mmap.mmap(descriptor, os.fstat(descriptor).st_size)


def words(memory: mmap.mmap) -> Words:
    """The first page of *memory* as 512 unsigned 64-bit words.

    >>> page = words(attach(create("doctest", PAGE)))
    >>> page[Tap.COPIED] += 1
    >>> page[Tap.COPIED]
    1
    """
    return memoryview(memory)[:PAGE].cast("Q")
