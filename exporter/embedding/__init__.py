"""Embedding: what is kept of vectors: small numbers of each, and sums that tell two distributions apart.

`features` turns vectors into columns of numbers (norm, cosine to the baseline's centroid, a few projections)
for the machinery that every numeric column has. `Projections` keeps the sums of random Fourier features, and
`mmd` compares two of them: it sees a rotation, which leaves every norm as it is.
"""

from __future__ import annotations

from exporter.embedding.frame import Frame, features, vectors_of
from exporter.embedding.projections import Projections
from exporter.embedding.reference import Reference
from exporter.embedding.score import Spread, drift, mmd

__all__ = ["Frame", "Projections", "Reference", "Spread", "drift", "features", "mmd", "vectors_of"]
