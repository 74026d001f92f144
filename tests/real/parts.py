"""Programs that a machine may lack: where each lies, and how to get it.

A test asks ``part("promtool")`` (the fixture in ``tests/conftest.py``). Absent means skipped, with a
reason that is the same on every machine, since ``tests/ci-skips.txt`` lists the reasons by test.
"""

from __future__ import annotations

import shutil

#: Program → the Debian package that brings it.
DEBIAN_PACKAGES = {
    "amtool": "prometheus-alertmanager",
    "chromedriver": "chromium-driver",
    "chromium": "chromium",
    "curl": "curl",
    "haproxy": "haproxy",
    "java": "default-jre-headless",
    "nginx": "nginx-light",
    "prometheus": "prometheus",
    "promtool": "prometheus",
}

#: Debian keeps daemons where an ordinary user's PATH does not look.
EXTRA_PATH = "/usr/sbin:/sbin"


def find(program: str) -> str | None:
    """The path of *program*, or None when this machine does not have it."""
    return shutil.which(program) or shutil.which(program, path=EXTRA_PATH)


def absence(program: str) -> str:
    """Why a test that needs *program* is skipped, in one sentence."""
    package = DEBIAN_PACKAGES.get(program)
    return f"{program} is not installed" + (f" (Debian package {package})" if package else "")
