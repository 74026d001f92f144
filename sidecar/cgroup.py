"""What the container may use, by cgroup v2: never what the machine has."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def cpu_quota(root: Path = CGROUP) -> float:
    """Processors this container may use; the number of the machine's when nothing limits it."""
    available = float(len(os.sched_getaffinity(0)))
    try:
        quota, period = (root / "cpu.max").read_text(encoding="ascii").split()
        return available if quota == "max" else min(available, int(quota) / int(period))
    except (OSError, ValueError):
        return available


def memory_limit_bytes(root: Path = CGROUP) -> int | None:
    """Memory this container may use; None when nothing limits it."""
    try:
        text = (root / "memory.max").read_text(encoding="ascii").strip()
        return None if text == "max" else int(text)
    except (OSError, ValueError):
        return None
