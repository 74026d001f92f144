"""Order: a store to a shared word comes after what was written before it, on every machine.

Promises: behind `ordered`, a word is stored after everything that this process read or wrote before, and
what it reads or writes after loading a word comes after that load. So a record that lies before HEAD is
whole, and room that lies before TAIL is free. On x86-64, which keeps that order by itself (loads with loads,
stores with stores, and a load with a later store), it costs nothing: the page is used as it is.

Elsewhere (arm64) Python offers no barrier, but a lock is one. Taking it is an acquire (nothing after may
move before), giving it back a release (nothing before may move after); POSIX lists both among the functions
that synchronise memory (4.12), and CPython's lock is a semaphore of POSIX. One hand-over alone lets what
was before and what comes after meet in the middle of it. Of two, the release of the first stands before the
acquire of the second (it is the same word, and arm64 never moves an acquire before an earlier release), so
nothing passes from before to after, or back. Nobody else ever holds the lock, so nothing waits.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import cast

from sidecar.words import Words

_lock = threading.Lock()


def fence() -> None:
    """A full memory barrier of this thread; 0.1 µs.

    >>> fence()
    """
    _lock.acquire()
    _lock.release()
    _lock.acquire()
    _lock.release()


class OrderedWords:
    """A page of words whose loads acquire and whose stores release."""

    __slots__ = ("_words",)

    def __init__(self, words: Words) -> None:
        self._words = words

    def __getitem__(self, index: int) -> int:
        value = self._words[index]
        fence()
        return value

    def __setitem__(self, index: int, value: int) -> None:
        fence()
        self._words[index] = value


def _as_it_is(words: Words) -> Words:
    return words


def ordered_on(machine: str) -> Callable[[Words], Words]:
    """How a page is used on a *machine*, as `uname -m` names it.

    >>> from sidecar.words import PAGE, attach, create, words
    >>> page = words(attach(create("doctest", PAGE)))
    >>> ordered_on("x86_64")(page) is page, type(ordered_on("aarch64")(page)).__name__
    (True, 'OrderedWords')
    """
    if machine == "x86_64":
        return _as_it_is
    return cast(Callable[[Words], Words], OrderedWords)


ordered = ordered_on(os.uname().machine)
"""The page to use for words whose order matters."""
