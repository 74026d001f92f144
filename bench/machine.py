"""What a measurement was taken on: no host names, no paths."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("uvloop", "httptools", "msgspec", "numpy", "datasketches", "cheroot")

COMMANDS = {
    "nginx": ("nginx", "-v"),
    "HAProxy": ("haproxy", "-v"),
    "wrk": ("wrk", "-v"),
    "h2load": ("h2load", "--version"),
}


def describe() -> dict[str, str]:
    """The machine in words, in the order in which they are printed."""
    described = {
        "processor": f"{os.cpu_count()} × {_processor()}",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "load at the start": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }
    for name, command in COMMANDS.items():
        described[name] = _version(command)
    return described


def _processor() -> str:
    fields = dict(
        re.findall(r"^(model name|flags)\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    )
    virtual = ", virtual" if "hypervisor" in fields.get("flags", "").split() else ""
    return f"{fields.get('model name', platform.machine())}{virtual}"


def _version(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except OSError:
        return "not installed"
    match = re.search(r"\d+\.\d+(?:\.\d+)?", done.stdout + done.stderr)
    return match[0] if match else "unknown"


if __name__ == "__main__":
    for key, text in describe().items():
        print(f"{key}: {text}", file=sys.stdout)
