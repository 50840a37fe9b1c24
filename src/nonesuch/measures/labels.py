"""How often yes-or-no labels are right."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Rightness(NamedTuple):
    """Of one label.

    Attributes:
        accuracy: share of right answers.
        balanced: mean of the shares among those that have the label and those that have it not; one half for an answer
            that is always the same. NaN where one of the two is missing.
    """

    accuracy: float
    balanced: float


def rightness(said: NDArray[np.bool_], truth: NDArray[np.floating]) -> list[Rightness]:
    """Compare answers with labels, column by column.

    Args:
        said: (N, K) answers.
        truth: (N, K) 1 or 0; NaN where it is not known, which does not count.
    """
    found = []
    for mine, labels in zip(said.T, truth.T, strict=True):
        right = mine == (labels == 1)
        sides = [right[labels == side] for side in (1, 0)]
        known = np.concatenate(sides)
        balanced = np.mean([side.mean() for side in sides]) if all(map(len, sides)) else np.nan
        found.append(Rightness(float(known.mean()) if len(known) else np.nan, float(balanced)))
    return found
