"""Derived columns of a file: confidence and entropy of class probabilities, as the recorder derives them.

Promises: the same names and numbers as `exporter.profile.probabilities` gives live, so that a baseline knows
what a recorder will see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa

from exporter.baseline import entries
from exporter.baseline.source import Batch, Source
from exporter.profile.probabilities import CONFIDENCE, ENTROPY, MOSTLY, families, measure


class Derived:
    """Columns that stand behind those of *source* in every batch, of the *predictions* that are followed."""

    def __init__(self, source: Source, predictions: Sequence[str]) -> None:
        self._source = source
        found = families(predictions)
        taken = set(source.names)
        self._members = {
            stem: [source.names.index(name) for name in members]
            for stem, members in found.items()
            if not {stem + CONFIDENCE, stem + ENTROPY} & taken
        }
        self._complete = dict.fromkeys(self._members, 0)
        self._fitting = dict.fromkeys(self._members, 0)
        self.names = tuple(stem + suffix for stem in self._members for suffix in (CONFIDENCE, ENTROPY))
        """In the order in which they stand behind the source's."""

    def position(self, name: str) -> int:
        """Where the derived column *name* stands in the batches."""
        return len(self._source.names) + self.names.index(name)

    def batches(self) -> Iterator[Batch]:
        """The source's batches with the derived columns; raises `BaselineError` as the source does."""
        for batch in self._source.batches():
            yield self._extended(batch) if self._members else batch

    def _extended(self, batch: Batch) -> Batch:
        columns = list(batch.columns)
        for stem, members in self._members.items():
            measured = measure([entries.numbers(batch.columns[at], "numeric").values for at in members])
            self._complete[stem] += measured.complete
            self._fitting[stem] += measured.fitting
            columns += (pa.array(values, from_pandas=True) for values in measured[:2])
        return replace(batch, columns=columns)

    def holds(self, name: str) -> bool:
        """Whether *name* is no derived column, or one of what, after the first reading, are probabilities."""
        if name not in self.names:
            return True
        stem = name.removesuffix(CONFIDENCE).removesuffix(ENTROPY)
        return self._fitting[stem] > 0 and self._fitting[stem] >= MOSTLY * self._complete[stem]
