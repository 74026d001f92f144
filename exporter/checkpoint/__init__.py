"""Checkpoint: what a recorder knows, on disk, so that its successor goes on with it.

Promises: a file is either whole or not there (written beside, synced, renamed), at most 256 MiB, and says
what it is: magic, version, checksum. Reading never raises but `CheckpointError`, whose reason is one of
`REASONS`: what can not be used is set aside, told and counted, and nothing of it is used.
Refuses: another version's files, older or newer: they are a minute of history each, not an archive.
Knows no monitor and no clock: sections of bytes go in and come out.
"""

from exporter.checkpoint.file import LARGEST_BYTES, REASONS, VERSION, CheckpointError, read, write
from exporter.checkpoint.store import Store

__all__ = ["LARGEST_BYTES", "REASONS", "VERSION", "CheckpointError", "Store", "read", "write"]
