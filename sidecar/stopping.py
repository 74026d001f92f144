"""Stopping from outside: ``modelmeter drain`` finds the supervisor, asks it, and waits until it has drained.

Promises: nothing but the supervisor of a sidecar is ever signalled, be the number given or found; asking
twice is asking once. It needs no port: the board is read through /proc, which a process of the same user
in the same container may do.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from sidecar.drain import Phase
from sidecar.plan import Plan
from sidecar.words import Board, Words, attach, words

PROC = Path("/proc")
POLL_SECONDS = 0.1
SUPERVISOR = ("-m", "sidecar.supervisor")


class DrainError(ValueError):
    """What is wrong with a process number, in one sentence."""


def supervisors(proc: Path = PROC) -> list[int]:
    """Every running supervisor of this user, in this container."""
    found = []
    for entry in proc.iterdir():
        try:
            if (
                entry.name.isdigit()
                and entry.stat().st_uid == os.geteuid()
                and _descriptor(entry) is not None
            ):
                found.append(int(entry.name))
        except OSError:  # it has ended
            continue
    return sorted(found)


def ask_to_drain(pid: int) -> None:
    """Ask supervisor *pid*; raises `DrainError` when there is none of that number, or it is another's."""
    try:
        if _descriptor(PROC / str(pid)) is None:
            raise DrainError(f"expected a running sidecar's supervisor, found another process, {pid}")
        os.kill(pid, signal.SIGUSR1)
    except FileNotFoundError:
        raise DrainError(f"expected a running sidecar's supervisor, found no process {pid}") from None
    except OSError as error:
        raise DrainError(f"expected a sidecar of this user, found {pid} ({error.strerror})") from None


def wait_until_drained(pid: int) -> None:
    """Return when supervisor *pid* has drained, or has ended."""
    try:
        board = _board(pid)
        while board[Board.DRAINING] != Phase.DRAINED and _runs(pid):
            time.sleep(POLL_SECONDS)
    except (FileNotFoundError, ProcessLookupError):
        return
    except OSError as error:
        raise DrainError(
            f"expected a sidecar whose memory may be read, found {pid} ({error.strerror})"
        ) from None


def _runs(pid: int) -> bool:
    try:
        return (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def _descriptor(process: Path) -> int | None:
    """The number of the plan's descriptor in *process*, None when it is no supervisor."""
    arguments = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    if tuple(arguments[-3:-1]) == SUPERVISOR and arguments[-1].isdigit():
        return int(arguments[-1])
    return None


def _board(pid: int) -> Words:
    descriptors = PROC / str(pid) / "fd"
    number = _descriptor(PROC / str(pid))
    plan = os.open(descriptors / str(number), os.O_RDONLY)
    try:
        board = os.open(descriptors / str(Plan.read(plan).board), os.O_RDWR)
    finally:
        os.close(plan)
    try:
        return words(attach(board))
    finally:
        os.close(board)
