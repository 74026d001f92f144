"""Shared memory for tests, as the tap and the recorder have it, that holds no descriptor of its own."""

from __future__ import annotations

import mmap
import os

from sidecar.words import attach, create


def shared_memory(size: int) -> mmap.mmap:
    """*size* bytes, freed with the last reference; hypothesis makes thousands of them in one process."""
    descriptor = create("test", size)
    try:
        return attach(descriptor)
    finally:
        os.close(descriptor)
