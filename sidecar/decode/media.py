"""Media: what a body is written in, where a dialect allows several: JSON, JSON lines or CSV.

The content type decides. Where it says nothing (none at all, ``text/plain``, ``text/html`` as Flask puts
it on everything, ``application/x-www-form-urlencoded`` as curl does), the beginning does: a bracket
begins JSON, a number before a comma or the end of its line CSV, which of a single number is the same thing.
All else is opaque: images, NumPy files, recordio, protobuf, multipart forms, and what somebody has written:
of ``12 monkeys, …`` no word may become a column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias

Media: TypeAlias = Literal["json", "lines", "csv", "opaque", "untold"]

_MEDIA: dict[bytes, Media] = {
    b"application/json": "json",
    b"text/json": "json",
    b"application/jsonlines": "lines",
    b"application/x-jsonlines": "lines",
    b"application/jsonl": "lines",
    b"application/x-ndjson": "lines",
    b"application/ndjson": "lines",
    b"text/csv": "csv",
    b"application/csv": "csv",
    b"": "untold",
    b"text/plain": "untold",
    b"text/html": "untold",
    b"application/x-www-form-urlencoded": "untold",
}

_NUMBER = re.compile(rb"\s*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?[ \t]*(?:[,\r\n]|\Z)")


def media_of(headers: Mapping[bytes, bytes]) -> Media:
    """What the content type of *headers* says.

    >>> media_of({b"content-type": b"Text/CSV; charset=utf-8"}), media_of({})
    ('csv', 'untold')
    """
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    media = _MEDIA.get(media_type)
    if media is None:
        return "json" if media_type.endswith(b"+json") else "opaque"
    return media


def media_in(body: bytes) -> Media:
    """What *body* looks like, where its content type does not tell.

    >>> media_in(b' {"a": 1}'), media_in(b"-0.5,1"), media_in(b"12 monkeys, 1"), media_in(b"PK..")
    ('json', 'csv', 'opaque', 'opaque')
    """
    first = body.lstrip()[:1]
    if first in (b"{", b"["):
        return "json"
    return "csv" if _NUMBER.match(body) else "opaque"
