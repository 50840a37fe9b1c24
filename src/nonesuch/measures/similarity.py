"""Cosine similarity between large sets of vectors, exact and in blocks, so that no full matrix is ever held."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


def normalised(vectors: Vectors) -> Vectors:
    """(N, D) -> (N, D) with rows of length 1; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


def mean_of_pairs(unit: Vectors) -> float:
    """The mean cosine of two different rows of (N, D) unit vectors; 0 where there are no two. Of a dataset of many
    identities it is about that of non-mated images."""
    mean, count = unit.mean(0, dtype=np.float64), len(unit)
    return float((count * count * (mean @ mean) - count) / (count * (count - 1))) if count > 1 else 0.0


def nearest(
    queries: Vectors, gallery: Vectors, block: int = 2048, same: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The most similar gallery row of each query row.

    Args:
        queries, gallery: (Q, D) and (G, D) vectors of any length.
        block: rows compared at once: memory grows with its square.
        same: the two are the same set, and a row is not its own neighbour.

    Returns:
        cosine (Q,), -inf where there is no other row, and row of the gallery (Q,).
    """
    queries, gallery = normalised(queries), normalised(gallery)
    best = np.full(len(queries), -np.inf, dtype=np.float32)
    where = np.zeros(len(queries), dtype=np.int64)
    for row in range(0, len(queries), block):
        rows = slice(row, row + block)
        for column, cosines in _against(queries[rows], gallery, block):
            if same:
                diagonal = np.arange(len(cosines)) + row - column
                inside = (diagonal >= 0) & (diagonal < cosines.shape[1])
                cosines[np.flatnonzero(inside), diagonal[inside]] = -np.inf
            at = cosines.argmax(1)
            values = cosines[np.arange(len(at)), at]
            better = values > best[rows]
            best[rows][better] = values[better]
            where[rows][better] = at[better] + column
    return best, where


def _against(rows: Vectors, gallery: Vectors, block: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
    for column in range(0, len(gallery), block):
        yield column, rows @ gallery[column : column + block].T
