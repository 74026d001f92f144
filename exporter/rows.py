"""Rows: what the shell hands to the core, one batch of equally shaped rows at a time.

Promises: every column of a `Rows` has the same number of entries; nothing here copies or converts.
Refuses: ragged columns (``ValueError``), since a missing entry must be an entry (None or NaN).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

Role: TypeAlias = Literal["feature", "prediction"]

#: The entries of one column for every row of a batch. Either an ndarray of shape (rows,), of any
#: boolean, integer or floating dtype (NaN is missing), of shape (rows, width) for an embedding, or a
#: sequence of what the wire held: None (missing), bool, int, float, str, bytes, or a list for an embedding.
Values: TypeAlias = "np.ndarray[Any, np.dtype[Any]] | Sequence[object]"


class FreeText(list[object]):
    """Values of a column known to be free text, however short: not to be taken for names of categories."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch of rows of one model version and role, seen at one time.

    `time` is Unix seconds on the recorder's clock (which ``--clock`` may simulate): all rows of the
    batch belong to the five-minute slot of that time. `exchanges` is how many exchanges they came from.

    >>> Rows("m", "1", "feature", 1.7e9, 2, {"age": np.array([31.0, np.nan])}).count
    2
    """

    model: str
    version: str
    role: Role
    time: float
    count: int
    columns: Mapping[str, Values]
    exchanges: int = 1
    slices: Mapping[str, Values] = field(default_factory=dict)
    """Of predictions: the features of the same rows by which the model is sliced (`ModelSpec.slices`)."""

    def __post_init__(self) -> None:
        for name, values in self.columns.items():
            if len(values) != self.count:
                raise ValueError(f"column {name!r}: expected {self.count} entries, found {len(values)}")
        for name, values in self.slices.items():
            if len(values) != self.count:
                raise ValueError(f"slice {name!r}: expected {self.count} entries, found {len(values)}")
