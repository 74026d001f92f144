"""Columns derived of a file's texts and embeddings, as `exporter.derived` declares them.

Which columns are texts, and what an embedding's frame is, the first reading tells; so files with either are
read once more. Of repeated texts in a batch each is looked at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from exporter.baseline import entries
from exporter.baseline.derived import Derived
from exporter.baseline.source import Batch
from exporter.baseline.survey import ColumnSurvey, Sample
from exporter.baseline.vectors import VectorSums
from exporter.derived import derived_names, of_texts, placed
from exporter.embedding import Frame
from exporter.rows import Role


@dataclass(frozen=True, slots=True)
class _Origin:
    """A text column, or an embedding with its frame."""

    survey: ColumnSurvey
    names: Sequence[str]
    """Derived columns that are wanted."""
    frame: Frame | None

    def columns(self, array: pa.Array) -> list[pa.Array]:
        """Those of one batch."""
        name = self.survey.name
        if self.frame is None:
            found = of_texts(name, entries.texts(array))
        else:
            found = placed(name, self.frame, *entries.vectors(array, self.frame.dimension), len(array))
        return [pa.array(found[derived], from_pandas=True) for derived in self.names]


class Measured:
    """Columns that stand behind those of *derived* in every batch.

    *surveys* are of the first reading; *taken* are names that are never derived; *wanted* says of a derived
    column whether it is to be monitored, *limit* how many numbers of each are kept for its quantiles.
    """

    def __init__(
        self,
        derived: Derived,
        surveys: Sequence[ColumnSurvey],
        taken: Sequence[str],
        wanted: Callable[[str], bool],
        limit: int,
    ) -> None:
        self._derived = derived
        self._origins: list[_Origin] = []
        self.surveys: list[ColumnSurvey] = []
        """Of the derived columns, empty until they are given the batches."""
        position = len(taken)
        for survey in surveys:
            frame = survey.vectors.frame() if survey.kind == "embedding" else None
            if survey.kind != "text" and frame is None:
                continue
            assert survey.kind is not None
            names = [
                name for name in derived_names(survey.name, survey.kind) if name not in taken and wanted(name)
            ]
            self._origins.append(_Origin(survey, names, frame))
            for name in names:
                self.surveys.append(ColumnSurvey(name, position, survey.role, None, False, Sample(limit)))
                position += 1

    def sums(self) -> dict[tuple[Role, str], VectorSums]:
        """For each embedding with a frame, by role and name, what its vectors are to be added to."""
        return {
            (origin.survey.role, origin.survey.name): VectorSums(
                origin.survey.position, origin.frame, origin.survey.vectors.sample()
            )
            for origin in self._origins
            if origin.frame is not None
        }

    def batches(self) -> Iterator[Batch]:
        """The batches of *derived* with the columns; raises `BaselineError` as the source does."""
        for batch in self._derived.batches():
            if not self.surveys:
                yield batch
                continue
            columns = list(batch.columns)
            for origin in self._origins:
                columns += origin.columns(batch.columns[origin.survey.position])
            yield replace(batch, columns=columns)
