"""TextTally: how many characters of which class, and texts of which script and language, were seen.

Promises: integers of closed sets: any order and any split into merges gives the same bytes. Bytes: 332
serialised. The rows of counts keep their order; another set of names gets another tag, so that bytes of two
releases never add up by accident.
"""

from __future__ import annotations

import struct
from typing import ClassVar, Final, Self

import numpy as np

from exporter.text.features import Integers, Texts
from exporter.text.languages import LANGUAGES
from exporter.text.scripts import CLASSES, SCRIPTS

_SIZE: Final = 2 + len(CLASSES) + len(SCRIPTS) + len(LANGUAGES)


class TextTally:
    """Counts over texts.

    >>> from exporter.text.features import text_features
    >>> tally = TextTally()
    >>> tally.update(text_features(["The price of it is 42 €.", ""]))
    >>> tally.texts, tally.characters, tally.tokens, tally.mix()["digits"], tally.languages()
    (2, 24, 6, 0.08333333333333333, {'en': 1, 'und': 1})
    """

    __slots__ = ("_counts",)

    _TAG: ClassVar[bytes] = b"T1"
    _HEAD: ClassVar[struct.Struct] = struct.Struct("<2sH")

    def __init__(self) -> None:
        self._counts: Integers = np.zeros(_SIZE, np.int64)

    @property
    def nbytes(self) -> int:
        """Memory, about: the one array and its object."""
        return 150 + self._counts.nbytes

    def update(self, texts: Texts) -> None:
        """Adds what `text_features` found."""
        self._counts[0] += len(texts.script)
        self._counts[1] += int(texts.tokens.sum())
        at = 2
        self._counts[at : at + len(CLASSES)] += texts.characters.sum(axis=0)
        for names, found in ((SCRIPTS, texts.script), (LANGUAGES, texts.language)):
            at = at + (len(CLASSES) if names is SCRIPTS else len(SCRIPTS))
            numbers = {name: number for number, name in enumerate(names)}
            counts = np.bincount([numbers[name] for name in found], minlength=len(names)) if found else 0
            self._counts[at : at + len(names)] += counts

    def merge(self, other: TextTally) -> None:
        """Adds what *other* has seen."""
        self._counts += other._counts

    @property
    def texts(self) -> int:
        """Texts seen, empty ones included."""
        return int(self._counts[0])

    @property
    def tokens(self) -> int:
        """Tokens in all of them."""
        return int(self._counts[1])

    @property
    def character_counts(self) -> Integers:
        """Characters by class, in the order of `CLASSES`: int64, shape (5,)."""
        return self._counts[2 : 2 + len(CLASSES)].copy()

    @property
    def characters(self) -> int:
        """Characters looked at."""
        return int(self.character_counts.sum())

    @property
    def script_counts(self) -> Integers:
        """Texts by script, in the order of `SCRIPTS`: int64, shape (12,)."""
        start = 2 + len(CLASSES)
        return self._counts[start : start + len(SCRIPTS)].copy()

    @property
    def language_counts(self) -> Integers:
        """Texts by language, in the order of `LANGUAGES`: int64, shape (22,)."""
        return self._counts[-len(LANGUAGES) :].copy()

    def mix(self) -> dict[str, float]:
        """Class of characters → its share; empty before the first character."""
        total = self.characters
        if not total:
            return {}
        return {name: n / total for name, n in zip(CLASSES, self.character_counts.tolist(), strict=True)}

    def languages(self) -> dict[str, int]:
        """Language → texts, of those that were seen."""
        return {name: n for name, n in zip(LANGUAGES, self.language_counts.tolist(), strict=True) if n}

    def scripts(self) -> dict[str, int]:
        """Script → texts, of those that were seen."""
        return {name: n for name, n in zip(SCRIPTS, self.script_counts.tolist(), strict=True) if n}

    def to_bytes(self) -> bytes:
        """Tag and size, then the counts, little-endian."""
        return self._HEAD.pack(self._TAG, _SIZE) + self._counts.astype("<i8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` wrote. Raises ValueError for anything else."""
        head = cls._HEAD.size
        if len(data) != head + 8 * _SIZE or cls._HEAD.unpack_from(data) != (cls._TAG, _SIZE):
            raise ValueError(f"text tally: expected {head + 8 * _SIZE} bytes that begin {cls._TAG!r}")
        tally = cls()
        tally._counts = np.frombuffer(data, "<i8", offset=head).astype(np.int64)
        if tally._counts.min() < 0:
            raise ValueError("text tally: expected counts from 0 up")
        return tally
