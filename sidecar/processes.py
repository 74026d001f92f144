"""Processes as Linux shows them, by prctl(2) and proc(5): whose parent we are, and what each of them takes.

Promises: what is gone, or goes while it is read, takes nothing and raises nothing.
"""

from __future__ import annotations

import os

PR_SET_CHILD_SUBREAPER = 36
"""From linux/prctl.h."""


def adopt_orphans() -> None:
    """Become the parent of whatever the model server leaves behind, so that it can be ended with it."""
    import ctypes  # 1 MB, and needed around a server only

    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def orphans() -> list[int]:
    """Our children."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if int(_stat(int(entry))[1]) == os.getpid():
                    found.append(int(entry))
            except (OSError, ValueError, IndexError):
                continue
    return found


def resident_bytes(pid: int) -> int:
    """Resident memory of *pid*, 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def cpu_seconds(pid: int) -> tuple[str, float]:
    """State (R, S, D, T, Z …) and processor seconds of *pid*; "" and 0 when it is gone."""
    try:
        fields = _stat(pid)
        return fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return "", 0.0


def _stat(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` behind the program's name, which may have anything in it."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()
