"""Pictures of columns from arrays, as the recorder makes them from its sketches."""

from __future__ import annotations

from typing import Final

import numpy as np

from bench.detection.counting import Integers, Values, hour_table
from exporter.baseline.baseline import BaselineColumn
from exporter.sketch import Moments, Quantiles
from exporter.verdict.picture import Picture

#: Most frequent values that a picture has.
TOP: Final = 64


def picture(column: BaselineColumn, values: Values, seconds: Integers) -> Picture:
    """The picture of *values* at ascending *seconds*, both shape (n,): quantiles from a KLL sketch (k =
    200).
    """
    table = hour_table(column, values, seconds)
    top: list[tuple[float | str, float]] = []
    quantiles = moments = None
    if column.kind in ("categorical", "boolean"):
        texts = [value for value in values.tolist() if isinstance(value, str)]
        kept, counts = np.unique(np.array(texts, dtype=str), return_counts=True)
    else:
        numbers = np.array(
            [value for value in values.tolist() if isinstance(value, float) and value == value]
        )
        finite = numbers[np.isfinite(numbers)]
        quantiles, moments = Quantiles(), Moments()
        quantiles.update(finite)
        moments.update(finite)
        kept, counts = np.unique(finite, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:TOP]
    total = max(int(counts.sum()), 1)
    top = [(kept[at].item(), counts[at] / total) for at in order]
    return Picture(
        kind=column.kind,
        bins=column.bins,
        counts=table.bins.sum(axis=0),
        rows=int(table.rows.sum()),
        missing=int(table.missing.sum()),
        mismatched=int(table.mismatched.sum()),
        unseen=int(table.unseen.sum()),
        far=int(table.far.sum()),
        grid=int(table.grid.sum()),
        quantiles=quantiles,
        top=tuple(top),
        distinct=float(kept.size),
        moments=moments,
    )
