"""The images of an identity: how they are linked, and their mean."""

import numpy as np
from numpy.typing import NDArray

from nonesuch.measures.grouping import rows_by_identity
from nonesuch.measures.similarity import normalised

_NUMBERS, _MOST_ROWS = 2**24, 2048


def main_cluster(unit: NDArray[np.float32], same: float, held: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Rows of the largest set of images that are linked by cosines of at least `same`; among equals the tighter one.

    Args:
        held: (N,) images that are certain: the sets that hold one belong to it too, and one of them wins among equals.
    """
    certain = np.zeros(len(unit), dtype=bool) if held is None else held
    cosine = unit @ unit.T
    linked = cosine >= same
    np.fill_diagonal(linked, True)
    cluster = np.arange(len(unit))
    while True:  # each pass takes the smallest number among neighbours: at most as many as there are images
        spread = np.where(linked, cluster, len(unit)).min(1)
        if np.array_equal(spread, cluster):
            break
        cluster = spread
    best: tuple[int, bool, float, int] = (0, False, -np.inf, 0)
    for name in np.unique(cluster):
        rows = np.flatnonzero(cluster == name)
        tightness = float(cosine[np.ix_(rows, rows)].mean()) if len(rows) > 1 else 1.0
        best = max(best, (len(rows), bool(certain[rows].any()), tightness, -int(name)))
    return np.flatnonzero(np.isin(cluster, [-best[3], *cluster[certain]]))


def means(unit: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels that are not negative, and the mean (L, D) of each one's rows, of length 1."""
    members = rows_by_identity(labels)
    names = np.array([labels[rows[0]] for rows in members], dtype=np.int64)
    sums = np.empty((len(members), unit.shape[1]), dtype=np.float32)
    for place, rows in enumerate(members):
        sums[place] = unit[rows].sum(0, dtype=np.float64)
    return names, normalised(sums)


def rows_at_once(columns: int) -> int:
    """How many rows of a matrix of so many columns are computed at a time: 64 MB of float32, or one row."""
    return max(1, min(_MOST_ROWS, _NUMBERS // max(columns, 1)))
