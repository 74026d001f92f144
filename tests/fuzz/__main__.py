"""``python -m tests.fuzz TARGET [--seconds N] [--seed N] [--save DIR] [--mutate]``: fuzz one target for long.

With atheris it is guided by coverage; without (or with ``--mutate``) inputs are mutations of the seeds alone. Ends
with status 1 at the first broken promise, whose input it writes and names.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import sys
import time
import traceback
from pathlib import Path
from random import Random
from types import ModuleType

from tests.fuzz import TARGETS, found, load
from tests.fuzz.mutate import LONGEST, mutated

SLOW_SECONDS = 1.0
"""An input of `LONGEST` bytes that takes longer has found something that is not linear."""


def save(directory: Path, name: str, data: bytes) -> Path:
    """*data* in a file named by its hash."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
    path.write_bytes(data)
    return path


def run_mutations(name: str, module: ModuleType, seconds: float, seed: int, directory: Path) -> int:
    """Mutate until *seconds* are over; returns the exit status."""
    random = Random(seed)
    seeds = [*module.seeds(), *(path.read_bytes() for path in found(name))]
    end = time.monotonic() + seconds
    count = 0
    slowest = 0.0
    while (now := time.monotonic()) < end:
        data = mutated(random, seeds, module.WORDS)
        try:
            module.target(data)
        except Exception:
            traceback.print_exc()
            print(f"{name}: broken after {count} inputs by {save(directory, name, data)}")
            return 1
        took = time.monotonic() - now
        if took > max(slowest, SLOW_SECONDS):
            print(f"{name}: {took:.1f} s for {len(data)} bytes, {save(directory, name + '-slow', data)}")
        slowest = max(slowest, took)
        count += 1
        if len(seeds) < 2000 and random.random() < 0.001:
            seeds.append(data)  # so that mutations go further than eight steps
    print(
        f"{name}: {count} inputs in {seconds:g} s, the slowest took {slowest * 1000:.0f} ms; no promise broken"
    )
    return 0


def run_atheris(name: str, seconds: float, seed: int, directory: Path) -> None:
    """As `run_mutations`, with atheris, which ends the process itself."""
    import atheris  # type: ignore[import-not-found]

    with atheris.instrument_imports(include=["sidecar", "exporter.jsonpath"]):
        module = load(name)
    corpus = directory / name
    corpus.mkdir(parents=True, exist_ok=True)
    for data in module.seeds():
        save(corpus, "seed", data)
    options = [f"-max_total_time={int(seconds)}", f"-max_len={LONGEST}", f"-seed={seed}", "-timeout=20",
               f"-artifact_prefix={directory}/{name}-", "-print_final_stats=1", "-rss_limit_mb=4096"]  # fmt: skip
    dictionary = save(directory, name, b"\n".join(
        b'"' + b"".join(b"\\x%02x" % byte for byte in word) + b'"' for word in module.WORDS))  # fmt: skip
    atheris.Setup([sys.argv[0], *options, f"-dict={dictionary}", str(corpus)], module.target)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--save", type=Path, default=Path(".cache/fuzz"))
    parser.add_argument("--mutate", action="store_true", help="without atheris, even where it is installed")
    given = parser.parse_args()
    if not given.mutate and importlib.util.find_spec("atheris") is not None:
        run_atheris(given.target, given.seconds, given.seed, given.save)
    return run_mutations(given.target, load(given.target), given.seconds, given.seed, given.save)


if __name__ == "__main__":
    raise SystemExit(main())
