"""Where a learner's state comes from: a file, or a running recorder over HTTP."""

from __future__ import annotations

import base64
import http.client
import ssl
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from exporter.learning.model import LearningError

#: Path at which a recorder gives its learners' state.
PATH: Final = "/learning.json"
#: Two thousand columns of four weeks.
LARGEST: Final = 1 << 29
_SECONDS: Final = 120.0
"""Until it answers: it writes all of its state first, 0.1 s a column at most."""


def read_source(source: str) -> bytes:
    """The bytes of *source*, a file's name or a URL (`PATH` when it has none); raises `LearningError`."""
    if source.startswith(("http://", "https://")):
        return _fetched(source)
    try:
        return Path(source).read_bytes()
    except FileNotFoundError:
        raise LearningError(source, "", "a learner's state", "no file of that name") from None
    except OSError as error:
        raise LearningError(source, "", "a readable file", error.strerror or str(error)) from None


def _fetched(address: str) -> bytes:
    url = _without_password(address)
    connection: http.client.HTTPConnection | None = None
    try:
        parts = urlsplit(address)
        if not parts.hostname:
            raise ValueError("no host")
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=_SECONDS, context=ssl.create_default_context()
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_SECONDS)
        path = parts.path if parts.path not in ("", "/") else PATH
        headers = {}
        if parts.username is not None:  # http://user:password@host, as the web configuration asks for
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode('ascii')}"
        connection.request("GET", f"{path}?{parts.query}" if parts.query else path, headers=headers)
        answer = connection.getresponse()
        if answer.status != 200:
            raise LearningError(url, "", "a learner's state", f"status {answer.status} {answer.reason}")
        data = answer.read(LARGEST + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, LearningError):
            raise
        raise LearningError(url, "", "a recorder that answers", str(error) or type(error).__name__) from None
    finally:
        if connection is not None:
            connection.close()
    if len(data) > LARGEST:
        raise LearningError(url, "", f"at most {LARGEST} bytes", "more")
    return data


def _without_password(url: str) -> str:
    """*url* as it may be shown."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
