"""The demo's one error: a sentence for the terminal."""

from __future__ import annotations


class DemoError(Exception):
    """A step failed; the text says in one sentence which, why, and where the log lies."""
