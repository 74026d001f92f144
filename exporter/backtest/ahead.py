"""Ahead: an iterator that another thread runs, so that a file is decoded while its rows are counted."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

Item = TypeVar("Item")

#: Items that wait at most: of 65,536 rows each, they are the memory this takes.
WAITING: Final = 2
#: How often the thread looks whether anybody still wants what it has.
_LOOK_SECONDS: Final = 0.2


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """*items*, in order, made by another thread; what it raises is raised here.

    >>> list(ahead(range(3)))
    [0, 1, 2]
    """
    waiting: queue.Queue[tuple[Item] | BaseException | None] = queue.Queue(WAITING)
    left = threading.Event()

    def offer(what: tuple[Item] | BaseException | None) -> bool:
        while not left.is_set():
            try:
                waiting.put(what, timeout=_LOOK_SECONDS)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not offer((item,)):
                    return
            offer(None)
        except BaseException as error:
            offer(error)

    thread = threading.Thread(target=work, name="reading ahead", daemon=True)
    thread.start()
    try:
        while (found := waiting.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found[0]
    finally:
        left.set()
        thread.join()
