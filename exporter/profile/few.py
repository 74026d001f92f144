"""Few: values kept as they are, for as long as they take no more room than sketches of them would.

Building three sketches takes 45 µs, and freezing, thawing and merging them as much again; keeping values
takes a few and 4 kB at most, as much as sketches take as bytes. Kept are up to 512 numbers, or, where they
repeat, up to 341 different ones of 16,384 and how often each was seen; of texts each different one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self, TypeAlias

import msgspec
import numpy as np

from exporter.profile.layout import Batch, runs_of
from exporter.sketch import Counts, Floats, Frequent

Repeats: TypeAlias = "np.ndarray[Any, np.dtype[np.uint32]]"

#: Bytes of numbers that are few, and of texts.
NUMBER_BYTES: Final = 4096
TEXT_BYTES: Final = 2048
#: Numbers that may stand behind few different ones: their quantiles are sketched when asked for, 10 ns each.
TOTAL: Final = 16_384
#: A number takes 8 bytes, a different one with its count 12; below this many it does not matter.
_WORTH: Final = 64

_NO_NUMBERS: Final = np.empty(0, np.float64)
_TEXTS: Final = msgspec.msgpack.Decoder(dict[str, int])


class Few:
    """Some values of one column; never changed, but replaced.

    >>> from exporter.profile.layout import Layout
    >>> few = Few.of(Layout("numeric").read([5.0, 1.0, None, 5.0])[1])
    >>> few.numbers.tolist(), few.batch().different.tolist()
    ([1.0, 5.0, 5.0], [1.0, 5.0])
    >>> Few.joined([few, few]).frequent().top(1)
    [FrequentItem(item=5.0, lower=4, upper=4)]
    """

    __slots__ = ("counts", "numbers", "texts")

    def __init__(
        self, numbers: Floats = _NO_NUMBERS, counts: Repeats | None = None, texts: bytes = b""
    ) -> None:
        """*numbers* are finite and this object's own: in any order, or with *counts* ascending and different.

        *texts* as `encoded` has them.
        """
        self.numbers = numbers
        self.counts = counts
        self.texts = texts

    @classmethod
    def of(cls, batch: Batch) -> Self | None:
        """What *batch* holds; None when it is not few, or of free text, which nobody keeps."""
        if batch.lengths is not None:
            return None
        texts, repeats = batch.different, batch.repeats
        if isinstance(texts, np.ndarray):
            if _repeat(texts.size, batch.ascending.size):
                few = cls(texts.copy(), np.asarray(repeats, np.uint32))
            else:
                few = cls(batch.ascending[: NUMBER_BYTES // 8 + 1].copy())  # no more than it takes to see
        else:
            counts = dict(zip(texts, map(int, repeats), strict=True)) if len(texts) <= TEXT_BYTES else {}
            if len(counts) < len(texts):
                return None
            few = cls(batch.ascending.copy(), None, encoded(counts))
        return few if few.fits else None

    @classmethod
    def joined(cls, parts: Sequence[Few]) -> Self:
        """All values of *parts*, of one column."""
        some = [part for part in parts if part.numbers.size]
        texts = [part.texts for part in parts if part.texts]
        if len(texts) > 1:
            total: dict[str, int] = {}
            for text, count in (pair for part in texts for pair in _TEXTS.decode(part).items()):
                total[text] = total.get(text, 0) + count
            texts = [encoded(total)]
        numbers = np.concatenate([part.numbers for part in some]) if some else _NO_NUMBERS
        counts = None
        if any(part.counts is not None for part in some):
            ones = (
                np.ones(part.numbers.size, np.uint32) if part.counts is None else part.counts for part in some
            )
            order = np.argsort(numbers)
            numbers, runs = runs_of(numbers[order])
            starts = np.cumsum(runs) - runs
            counts = np.add.reduceat(np.concatenate(list(ones))[order], starts, dtype=np.uint32)
        return cls(numbers, counts, texts[0] if texts else b"")

    def compact(self) -> Few:
        """The same, in the less room of two."""
        if self.counts is not None or self.texts:
            return self
        different, repeats = runs_of(np.sort(self.numbers))
        if not _repeat(different.size, self.numbers.size):
            return self
        return Few(different, repeats.astype(np.uint32))

    @property
    def nbytes(self) -> int:
        """Memory, about: the values, and 200 bytes for their objects."""
        counts = 112 + self.counts.nbytes if self.counts is not None else 0
        return 200 + self.numbers.nbytes + counts + len(self.texts)

    @property
    def fits(self) -> bool:
        """Whether it is few, and may be kept."""
        if self.counts is None:
            return self.numbers.nbytes <= NUMBER_BYTES and len(self.texts) <= TEXT_BYTES
        room = self.numbers.nbytes + self.counts.nbytes
        return room <= NUMBER_BYTES and int(self.counts.sum(dtype=np.int64)) <= TOTAL and not self.texts

    def _different(self) -> tuple[Floats | Sequence[str], Counts | Sequence[int]]:
        if self.texts:
            counts = _TEXTS.decode(self.texts)
            return list(counts), list(counts.values())
        if self.counts is not None:
            return self.numbers, self.counts.astype(np.int64)
        return runs_of(np.sort(self.numbers))

    def batch(self) -> Batch:
        """The values as they are read."""
        if self.counts is not None:
            return Batch(np.repeat(self.numbers, self.counts), *self._different())
        ascending = np.sort(self.numbers)
        return Batch(ascending, *(self._different() if self.texts else runs_of(ascending)))

    def frequent(self) -> Frequent:
        """The most frequent values."""
        frequent = Frequent()
        different, repeats = self._different()
        if len(different):
            frequent.update(different, repeats)
        return frequent

    def check(self, numeric: bool) -> None:
        """Raise ValueError when this can not have come from a column, *numeric* or not."""
        try:
            seen = _TEXTS.decode(self.texts) if self.texts else {}
        except msgspec.MsgspecError as error:  # a ValueError, whose words are about another format
            raise ValueError(f"few: {error}") from None
        if not self.fits or not np.isfinite(self.numbers).all() or (self.numbers.size and not numeric):
            raise ValueError("few: expected few finite numbers, where there are any")
        if any(count < 1 for count in seen.values()):
            raise ValueError("few: expected texts that were seen")
        if self.counts is None:
            return
        if (
            self.counts.size != self.numbers.size
            or not self.counts.all()
            or (np.diff(self.numbers) <= 0).any()
        ):
            raise ValueError("few: expected different numbers that were seen")


def encoded(counts: Mapping[str, int]) -> bytes:
    """Different texts and how often each was seen, as bytes; none as no bytes."""
    return msgspec.msgpack.encode(counts) if counts else b""


def _repeat(different: int, total: int) -> bool:
    """Whether numbers take less room as different ones and their counts."""
    return total > _WORTH and 3 * different < 2 * total
