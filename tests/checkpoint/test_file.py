"""Checkpoint files: whole or not there, and never believed when a bit has changed."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.checkpoint import VERSION, CheckpointError, Store, read, write

SECTIONS = st.lists(st.binary(max_size=40), max_size=5)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state") / "checkpoint"


def reason_of(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read(path)
    return caught.value.reason


def signed(body: bytes) -> bytes:
    return body + blake2b(body, digest_size=16).digest()


@settings(max_examples=50, deadline=None)
@given(sections=SECTIONS)
def test_what_is_written_is_read(path: Path, sections: list[bytes]) -> None:
    assert write(path, sections, durable=False) == path.stat().st_size
    assert read(path) == sections


def test_nobody_else_can_read_it(path: Path) -> None:
    write(path, [b"x"])
    assert path.stat().st_mode & 0o777 == 0o600


def test_every_changed_byte_is_noticed(path: Path) -> None:
    write(path, [b"some section", b"", b"another"])
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x40]) + whole[at + 1 :])
        assert reason_of(path) == ("foreign" if at < 8 else "corrupt")


def test_every_cut_and_every_addition_is_noticed(path: Path) -> None:
    write(path, [b"some section", b"another"])
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert reason_of(path) == ("foreign" if length < 8 else "corrupt")
    path.write_bytes(whole + b"\0")
    assert reason_of(path) == "corrupt"


@pytest.mark.parametrize("version", [VERSION - 1, VERSION + 1])
def test_another_version_is_refused(path: Path, version: int) -> None:
    path.write_bytes(signed(struct.pack("<8sI", b"mmcheck\n", version) + b"who knows what"))
    assert reason_of(path) == "version"


@pytest.mark.parametrize("body", [b"", b"\x05\0\0\0abc", b"\xff\xff\xff\xff\0", b"\xff\xff\xff\xfe"])
def test_sections_that_do_not_fill_the_file_are_refused(path: Path, body: bytes) -> None:
    path.write_bytes(signed(struct.pack("<8sI", b"mmcheck\n", VERSION) + body.ljust(4, b"\0")))
    assert reason_of(path) == "corrupt"


def test_a_file_that_would_be_too_large_is_neither_written_nor_read(path: Path) -> None:
    write(path, [b"before"])
    with pytest.raises(CheckpointError, match="at most 1000 bytes"):
        write(path, [b"x" * 600, b"x" * 600], largest=1000)
    assert read(path) == [b"before"]
    with pytest.raises(CheckpointError, match="at most 20 bytes"):
        read(path, largest=20)
    assert os.listdir(path.parent) == ["checkpoint"]


def test_whatever_fails_the_file_that_was_there_stays(path: Path) -> None:
    write(path, [b"before"])

    def sections() -> Iterator[bytes]:
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(path, sections())
    assert read(path) == [b"before"]
    assert os.listdir(path.parent) == ["checkpoint"]


WRITER = """
import sys
from pathlib import Path
from exporter.checkpoint import Store
store, number = Store(Path(sys.argv[1])), 0
while True:
    number += 1
    store.save([number.to_bytes(4, "little") * 5000 for _ in range(20)])
    print(number, flush=True)
"""


def test_killed_in_the_middle_leaves_a_whole_one(tmp_path: Path) -> None:
    for attempt in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        time.sleep(0.02 + 0.013 * attempt)
        process.send_signal(signal.SIGKILL)
        told = 1 + process.stdout.read().count("\n")
        process.stdout.close()
        process.wait()
        sections = read(tmp_path / "checkpoint")
        number = int.from_bytes(sections[0][:4], "little")
        assert number in (told, told + 1)  # killed between its name and its word
        assert sections == [number.to_bytes(4, "little") * 5000] * 20


def test_a_full_disk_costs_that_checkpoint_and_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    store.save([b"before"])

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="no space left"):
        store.save([b"after"])
    assert store.load() == [b"before"]
    assert {reason for reason, count in store.failures.items() if count} == {"write"}
    store.close()


def test_what_can_not_be_used_is_set_aside_and_counted(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.load() is None
    (tmp_path / "checkpoint").write_bytes(b"garbage")
    store.save_exposed(b"shown")
    with pytest.raises(CheckpointError):
        store.load()
    assert store.failures["foreign"] == 1
    assert (tmp_path / "checkpoint.corrupt").read_bytes() == b"garbage"
    assert store.load() is None
    assert store.load_exposed() is None  # counters without their history would be nobody's
    store.close()


def test_two_recorders_never_keep_in_one_directory(tmp_path: Path) -> None:
    store = Store(tmp_path / "made" / "here")
    with pytest.raises(CheckpointError) as caught:
        Store(tmp_path / "made" / "here")
    assert caught.value.reason == "locked"
    store.close()
    Store(tmp_path / "made" / "here").close()


def test_a_directory_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="not a directory"):
        Store(tmp_path / "file" / "below")


@pytest.mark.parametrize("data", [b"", b"x", b"mmcheck\n" * 9])
def test_damage_to_what_was_exposed_is_no_error(tmp_path: Path, data: bytes) -> None:
    store = Store(tmp_path)
    store.save_exposed(b"shown")
    assert store.load_exposed() == b"shown"
    (tmp_path / "exposed").write_bytes(data)
    assert store.load_exposed() is None
    store.close()
