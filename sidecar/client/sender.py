"""Sender: a bounded queue, and a thread that empties it over one kept-alive connection.

Promises: `put` costs a lock that is held for microseconds and nothing else; the queue is bounded in bytes;
everything put is counted once, as sent or as dropped for a reason; a fork leaves the parent's entries to the
parent. *sent* means that the sidecar has said so. Refuses to keep what is older than `STALE_SECONDS`: its
rows would be counted in an hour that is not theirs.
"""

from __future__ import annotations

import base64
import http.client
import os
import random
import ssl
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

DROP_REASONS = ("full", "stale", "refused", "invalid", "fault", "closed")
"""No room in the queue; older than `STALE_SECONDS`; the sidecar could not read it (400, 413, 415); columns
that are no table; an exception of ours; not sent when the recorder was closed."""

BATCH_ENTRIES, BATCH_BYTES = 256, 1 << 20
BATCH_SECONDS = 0.25
"""How long the first entry of a batch waits for others."""
STALE_SECONDS = 100.0
"""Below the 120 s for which the sidecar believes what an event says of its age."""
TIMEOUT_SECONDS = 10.0
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 30.0
_PERMANENT = frozenset({400, 413, 415})
_ANSWER_BYTES = 65_536

Encode = Callable[[], "list[bytes]"]
"""Makes the events of an entry, as JSON; raises ValueError when that can not be."""


class Entry:
    """What waits to be sent."""

    __slots__ = ("encode", "made", "number", "size")

    def __init__(self, encode: Encode, size: int) -> None:
        self.encode = encode
        self.size = size
        self.made = time.monotonic()
        self.number = 0
        """Of all that were put."""


class Endpoint:
    """Where to send, and as whom."""

    def __init__(
        self,
        url: str,
        token: str | None,
        auth: tuple[str, str] | None,
        context: ssl.SSLContext | None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url: expected http://HOST:PORT or https://HOST:PORT")
        self.host, self.port = parts.hostname, parts.port
        self.path = "/ingest" if parts.path in ("", "/") else parts.path
        if parts.query:
            self.path += f"?{parts.query}"
        if auth is None and parts.username is not None:
            auth = unquote(parts.username), unquote(parts.password or "")
        self.headers = {"Content-Type": "application/cloudevents-batch+json", "User-Agent": "modelmeter"}
        if token is not None:
            self.headers["Authorization"] = f"Bearer {token}"
        elif auth is not None:
            credentials = base64.b64encode(f"{auth[0]}:{auth[1]}".encode()).decode()
            self.headers["Authorization"] = f"Basic {credentials}"
        self._tls = parts.scheme == "https"
        self._context = context

    def connect(self) -> http.client.HTTPConnection:
        """A connection that is opened by its first request."""
        if self._tls:
            context = self._context or ssl.create_default_context()
            return http.client.HTTPSConnection(self.host, self.port, timeout=TIMEOUT_SECONDS, context=context)
        return http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_SECONDS)


class Sender:
    """Sends what is put."""

    def __init__(self, endpoint: Endpoint, capacity_bytes: int) -> None:
        self._endpoint = endpoint
        self._capacity = capacity_bytes
        self._reset()
        _every.add(self)

    def _reset(self) -> None:
        """Everything that belongs to one process."""
        self._changed = threading.Condition(threading.Lock())
        self._queue: deque[Entry] = deque()
        self._bytes = 0
        self._flying: list[Entry] = []
        self._put = self._sent = 0
        self._dropped = dict.fromkeys(DROP_REASONS, 0)
        self._thread: threading.Thread | None = None
        self._closed = False
        self._hurry = 0
        """How many wait in `flush`: batches are not waited for then."""
        self._idle = False
        self._connection: http.client.HTTPConnection | None = None

    # For the caller's threads

    @property
    def room(self) -> bool:
        """Whether anything more would be taken; asked before anything is captured."""
        return self._bytes < self._capacity and not self._closed

    def put(self, entry: Entry) -> bool:
        """Take *entry*, or count it as dropped."""
        with self._changed:
            self._put += 1
            if self._closed:
                self._dropped["closed"] += 1
                return False
            if self._bytes + entry.size > self._capacity:
                self._dropped["full"] += 1
                return False
            entry.number = self._put
            self._queue.append(entry)
            self._bytes += entry.size
            if self._idle:
                self._changed.notify_all()
            if self._thread is None:
                self._start()
            return True

    def drop(self, reason: str) -> None:
        """Count what could not even be put."""
        with self._changed:
            self._put += 1
            self._dropped[reason] += 1

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="modelmeter-recorder", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads, or the interpreter ends: the next entry tries again
            return
        self._thread = thread

    def counts(self) -> dict[str, Any]:
        """recorded = sent + the sum of dropped + waiting, at any moment."""
        with self._changed:
            return {
                "recorded": self._put,
                "sent": self._sent,
                "dropped": dict(self._dropped),
                "waiting": len(self._queue) + len(self._flying),
            }

    def flush(self, timeout: float) -> bool:
        """Wait until what was put so far is sent or dropped; whether that was so within *timeout* seconds."""
        deadline = time.monotonic() + timeout
        with self._changed:
            wanted = self._put
            self._hurry += 1
            self._changed.notify_all()
            try:
                while self._oldest() <= wanted:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        return False
                    self._changed.wait(left)
                return True
            finally:
                self._hurry -= 1

    def _oldest(self) -> float:
        """Number of the oldest entry that waits."""
        waiting = self._flying or self._queue
        return waiting[0].number if waiting else float("inf")

    def close(self, timeout: float) -> None:
        """Send what can be sent within *timeout* seconds; what is left, and all that follows, is dropped."""
        self.flush(timeout)
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._dropped["closed"] += len(self._queue) + len(self._flying)
            self._queue.clear()
            self._flying = []
            self._bytes = 0
            self._changed.notify_all()

    # The thread

    def _run(self) -> None:
        wait = FIRST_WAIT_SECONDS
        try:
            while True:
                batch = self._next()
                if batch is None:
                    break
                body = self._encode(batch)
                while self._flying:
                    pause = self._send(body, wait)
                    if pause is None:
                        wait = FIRST_WAIT_SECONDS
                        break
                    wait = min(2 * wait, LONGEST_WAIT_SECONDS)
                    self._pause(pause)
                    if self._drop_stale():
                        body = self._encode(self._flying)
        except Exception:  # ours; the next entry starts another thread
            with self._changed:
                self._settle("fault")
                self._thread = None
        finally:
            self._disconnect()

    def _next(self) -> list[Entry] | None:
        """The next batch, which flies from now on; None when closed."""
        with self._changed:
            while not self._queue:
                if self._closed:
                    return None
                self._idle = True
                self._changed.wait()
                self._idle = False
            deadline = time.monotonic() + BATCH_SECONDS
            while not self._hurry and not self._closed and not self._full_batch():
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            size = 0
            batch: list[Entry] = []
            while self._queue and len(batch) < BATCH_ENTRIES:
                size += self._queue[0].size
                if batch and size > BATCH_BYTES:
                    break
                batch.append(self._queue.popleft())
            self._flying = batch
        return batch

    def _full_batch(self) -> bool:
        return len(self._queue) >= BATCH_ENTRIES or self._bytes >= BATCH_BYTES

    def _encode(self, batch: list[Entry]) -> bytes:
        """The batch as JSON; what can not be encoded is dropped."""
        events: list[bytes] = []
        for entry in list(batch):
            try:
                events += entry.encode()
            except Exception as error:  # a caller's values do what they like when they are looked at
                reason = "invalid" if isinstance(error, (ValueError, TypeError)) else "fault"
                with self._changed:
                    if entry in self._flying:
                        self._flying.remove(entry)
                        self._bytes -= entry.size
                        self._dropped[reason] += 1
                        self._changed.notify_all()
        return b"[" + b",".join(events) + b"]"

    def _send(self, body: bytes, wait: float) -> float | None:
        """Send once; None when the batch is settled, else how many seconds to wait before the next try."""
        try:
            if self._connection is None:
                self._connection = self._endpoint.connect()
            self._connection.request("POST", self._endpoint.path, body, self._endpoint.headers)
            answer = self._connection.getresponse()
            answer.read(_ANSWER_BYTES)
            if answer.will_close or not answer.isclosed():
                self._disconnect()
        except (OSError, http.client.HTTPException):
            self._disconnect()
            return wait * random.uniform(0.5, 1.0)
        if 200 <= answer.status < 300:
            with self._changed:
                self._settle(None)
            return None
        if answer.status in _PERMANENT:
            with self._changed:
                self._settle("refused")
            return None
        return max(wait * random.uniform(0.5, 1.0), _seconds(answer.getheader("Retry-After")))

    def _settle(self, reason: str | None) -> None:
        """Count the batch that flies; the lock is held."""
        count = len(self._flying)
        self._bytes -= sum(entry.size for entry in self._flying)
        self._flying = []
        if reason is None:
            self._sent += count
        else:
            self._dropped[reason] += count
        self._changed.notify_all()

    def _drop_stale(self) -> bool:
        """Drop what has become too old, of the batch and of the queue; whether the batch has changed."""
        oldest = time.monotonic() - STALE_SECONDS
        with self._changed:
            stale = [entry for entry in self._flying if entry.made < oldest]
            self._flying = [entry for entry in self._flying if entry.made >= oldest]
            changed = bool(stale)
            while self._queue and self._queue[0].made < oldest:
                stale.append(self._queue.popleft())
            self._bytes -= sum(entry.size for entry in stale)
            self._dropped["stale"] += len(stale)
            if stale:
                self._changed.notify_all()
        return changed

    def _pause(self, seconds: float) -> None:
        """Wait for *seconds*, or until closed."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._closed:
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _seconds(header: str | None) -> float:
    if header is None or not header.isascii() or not header.isdigit():
        return 0.0
    return min(float(header[:9]), LONGEST_WAIT_SECONDS)


_every: weakref.WeakSet[Sender] = weakref.WeakSet()


def _after_fork() -> None:
    for sender in list(_every):
        connection = sender._connection
        sender._reset()
        if connection is not None and connection.sock is not None:
            connection.sock.close()  # our copy of the descriptor; the parent's goes on


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
