"""The best way to give names to faces, each name at most once."""

import numpy as np
from numpy.typing import NDArray

from nonesuch.measures.naming import NOBODY


def one_to_one(gains: NDArray[np.float64]) -> list[int]:
    """Give each face a name or nobody so that the gains add up to the most, and no name is given twice.

    Args:
        gains: (F, N) of each face and each name, over what the face gains without a name.

    Returns:
        (F,) the number of each face's name, or `NOBODY`; a gain that is not above 0 gives nobody.
    """
    faces, names = gains.shape
    if not faces or not names:
        return [NOBODY] * faces
    # A column of its own for each face, of gain 0, is nobody; so there are never fewer columns than rows.
    costs = np.concatenate([-gains, np.zeros((faces, faces))], axis=1)
    columns = _cheapest(costs)
    return [
        int(column) if column < names and gains[face, column] > 0.0 else NOBODY for face, column in enumerate(columns)
    ]


def _cheapest(costs: NDArray[np.float64]) -> NDArray[np.int64]:
    """The column of each row, no two the same, that cost the least together: (R, C) with R <= C -> (R,).

    The Hungarian method by shortest augmenting paths (Kuhn, 1955; Jonker and Volgenant, 1987), in R * R * C steps.
    """
    rows, columns = costs.shape
    row_price, column_price = np.zeros(rows + 1), np.zeros(columns + 1)
    row_of = np.full(columns + 1, rows, dtype=np.int64)  # `rows` is nobody's; the last column is where a path begins
    for row in range(rows):
        row_of[columns] = row
        column = columns
        shortest = np.full(columns, np.inf)
        before = np.full(columns, columns, dtype=np.int64)
        visited = np.zeros(columns + 1, dtype=bool)
        for _ in range(columns + 1):  # each turn visits another column
            visited[column] = True
            current = row_of[column]
            free = ~visited[:columns]
            reduced = costs[current] - row_price[current] - column_price[:columns]
            closer = free & (reduced < shortest)
            shortest[closer], before[closer] = reduced[closer], column
            nearest = int(np.argmin(np.where(free, shortest, np.inf)))
            step = shortest[nearest]
            row_price[row_of[visited]] += step
            column_price[visited] -= step
            shortest[free] -= step
            column = nearest
            if row_of[column] == rows:
                break
        while column != columns:
            row_of[column] = row_of[before[column]]
            column = int(before[column])
    found = np.empty(rows, dtype=np.int64)
    used = np.flatnonzero(row_of[:columns] < rows)
    found[row_of[used]] = used
    return found
