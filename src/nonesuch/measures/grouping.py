"""The images of each identity."""

import numpy as np
from numpy.typing import NDArray


def rows_by_identity(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows of each label, in order of the labels; of negative ones none."""
    order = np.argsort(labels, kind="stable")
    found = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    return [rows for rows in found if len(rows) and labels[rows[0]] >= 0]
