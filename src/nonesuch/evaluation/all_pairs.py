"""Comparisons with their scores, such as every one within a labelled set."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError

_MOST_IMAGES = 10_000  # 50 million pairs, two gigabytes


@dataclass(frozen=True)
class Compared:
    """Comparisons of N images or templates.

    Attributes:
        left, right: (P,) whole numbers, the rows of the images.
        scores: (P,) cosines.
        mated: (P,) bool, whether both show one person.
    """

    left: NDArray[np.integer]
    right: NDArray[np.integer]
    scores: NDArray[np.floating]
    mated: NDArray[np.bool_]


def check_count(images: int) -> None:
    """Raises NonesuchError for more images than the memory allows."""
    if images > _MOST_IMAGES:
        raise NonesuchError(
            f"{images:,} images are too many to compare all with all (at most {_MOST_IMAGES:,}); name fewer people"
        )


def compare_all(unit: NDArray[np.float32], people: NDArray[np.int64]) -> Compared:
    """Compare every image with every other.

    Args:
        unit: (N, D) unit embeddings.
        people: (N,) labels.

    Raises:
        NonesuchError: there is no mated or no non-mated pair, or more images than the memory allows.
    """
    check_count(len(unit))
    left, right = (side.astype(np.int32) for side in np.triu_indices(len(unit), 1))
    mated = people[left] == people[right]
    if mated.all() or not mated.any():
        raise NonesuchError("there are no mated or no non-mated pairs; error rates need both kinds")
    scores = np.concatenate([unit[row] @ unit[row + 1 :].T for row in range(len(unit) - 1)])
    return Compared(left, right, scores, mated)
