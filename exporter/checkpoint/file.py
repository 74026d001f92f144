"""The file: a magic word, a version, sections behind their lengths, and a checksum of everything before it.

    magic (8) · version (u32) · [length (u32) · section]* · 0xffffffff · BLAKE2b (16)

All integers are little-endian. The checksum comes last, so that sections are written as they are made and no
more than one is in memory; reading takes it all at once.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Final, Literal, TypeAlias

Reason: TypeAlias = Literal["baseline", "corrupt", "foreign", "locked", "version", "write"]
REASONS: Final[tuple[Reason, ...]] = ("baseline", "corrupt", "foreign", "locked", "version", "write")
"""Of other baselines; cut short or changed; not a checkpoint; in another's use; of another version; not
written (a full disk, no rights)."""

VERSION: Final = 1
LARGEST_BYTES: Final = 256 << 20
"""1,200 busy columns."""

_MAGIC: Final = b"mmcheck\n"
_HEAD: Final = struct.Struct("<8sI")
_LENGTH: Final = struct.Struct("<I")
_END: Final = 0xFFFF_FFFF
_DIGEST: Final = 16


class CheckpointError(Exception):
    """Why a checkpoint can not be used or written: *reason*, of `REASONS`, and a sentence."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        self.reason: Reason = reason
        super().__init__(sentence)


def write(
    path: Path, sections: Iterable[bytes], *, durable: bool = True, largest: int = LARGEST_BYTES
) -> int:
    """Put *sections* into *path*, all or nothing; returns the file's bytes. Raises `CheckpointError`.

    With *durable* it is on disk before it takes its name, so that it outlives a machine that loses power;
    without, it outlives the process alone, and takes microseconds where a sync takes milliseconds.
    Whatever *sections* raises, the file that was there stays.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     size = write(Path(directory, "x"), [b"one", b""])
    ...     read(Path(directory, "x"))
    [b'one', b'']
    """
    beside = path.with_name(f"{path.name}.tmp")
    digest, size = blake2b(digest_size=_DIGEST), 0
    try:
        with open(beside, "wb", buffering=1 << 16, opener=_private) as file:

            def put(data: bytes) -> None:
                nonlocal size
                size += len(data)
                if size + _LENGTH.size + _DIGEST > largest:
                    raise CheckpointError("write", f"expected at most {largest} bytes, found more")
                digest.update(data)
                file.write(data)

            put(_HEAD.pack(_MAGIC, VERSION))
            for section in sections:
                put(_LENGTH.pack(len(section)))
                put(section)
            put(_LENGTH.pack(_END))
            file.write(digest.digest())
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(beside, path)
        if durable:
            _sync_directory(path.parent)
    except OSError as error:
        _remove(beside)
        raise CheckpointError("write", (error.strerror or str(error)).lower()) from None
    except BaseException:
        _remove(beside)
        raise
    return size + _DIGEST


def read(path: Path, largest: int = LARGEST_BYTES) -> list[bytes]:
    """The sections in *path*. Raises `CheckpointError`, and FileNotFoundError when there is none."""
    try:
        with open(path, "rb") as file:
            data = file.read(largest + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CheckpointError("corrupt", (error.strerror or str(error)).lower()) from None
    if len(data) > largest:
        raise CheckpointError("corrupt", f"expected at most {largest} bytes, found more")
    if not data.startswith(_MAGIC):
        raise CheckpointError("foreign", f"expected a file that begins {_MAGIC!r}, found {data[:8]!r}")
    if len(data) < _HEAD.size + _LENGTH.size + _DIGEST:
        raise CheckpointError("corrupt", f"expected a whole file, found {len(data)} bytes")
    # The checksum first: a version of which a bit has fallen over would be told to be from the future.
    if blake2b(data[:-_DIGEST], digest_size=_DIGEST).digest() != data[-_DIGEST:]:
        raise CheckpointError("corrupt", "expected the checksum of its content, found another")
    version = _HEAD.unpack_from(data)[1]
    if version != VERSION:
        raise CheckpointError("version", f"expected version {VERSION}, found {version}")
    return _sections(memoryview(data)[_HEAD.size : -_DIGEST])


def _sections(body: memoryview) -> list[bytes]:
    sections: list[bytes] = []
    at = 0
    while at + _LENGTH.size <= len(body):
        (length,) = _LENGTH.unpack_from(body, at)
        at += _LENGTH.size
        if length == _END and at == len(body):
            return sections
        if length > len(body) - at:
            break
        sections.append(bytes(body[at : at + length]))
        at += length
    raise CheckpointError("corrupt", "expected sections that fill the file, found others")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # values of requests are in it


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
