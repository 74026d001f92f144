"""What is wrong with a baseline or with the file it is built from, in one sentence."""

from __future__ import annotations

from exporter.mistake import MistakeError


class BaselineError(MistakeError):
    """What is wrong with a baseline file, or with the table it is to be built from."""
