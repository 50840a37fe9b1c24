"""The images of each identity, and their sums."""

import numpy as np
from numpy.typing import NDArray


def rows_by_identity(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows of each label, in order of the labels; negative labels are left out."""
    order = np.argsort(labels, kind="stable")
    found = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    return [rows for rows in found if len(rows) and labels[rows[0]] >= 0]


def group_sums(rows: NDArray[np.floating], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """The sum of each group's rows: (G, D).

    Args:
        rows: (N, D).
        groups: (N,) the group of each row, numbered from 0 without a gap.
    """
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(1, groups.max() + 1))
    # Several times as fast as np.add.at or np.add.reduceat.
    return np.array([part.sum(0, dtype=np.float64) for part in np.split(rows[order], starts)])


def group_means(rows: NDArray[np.floating], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean of each group's rows: (G, D). Arguments as in `group_sums`."""
    means: NDArray[np.float64] = group_sums(rows, groups) / np.bincount(groups)[:, None]
    return means
