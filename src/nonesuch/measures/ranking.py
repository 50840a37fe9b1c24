"""How far up a ranking what was sought stands."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def recall_at(
    scores: NDArray[np.floating], hits: NDArray[np.bool_], places: Sequence[int] = (1, 5, 10)
) -> dict[int, float]:
    """R@k: the share of queries that have a hit among their first k candidates.

    Args:
        scores: (Q, N) of each candidate for each query; higher is better.
        hits: (Q, N) which candidates are right; queries without one count as missed.
        places: the k's.

    A candidate that ties with a hit and is none stands before it.
    """
    best = np.where(hits, scores, -np.inf).max(1, keepdims=True)
    before = ((scores >= best) & ~hits).sum(1)
    found = hits.any(1)
    return {place: float(np.mean(found & (before < place))) for place in places}


def chance_at(hits: NDArray[np.bool_], places: Sequence[int] = (1, 5, 10)) -> dict[int, float]:
    """What `recall_at` expects of a random order: 1 - C(N - h, k) / C(N, k) for h hits among N, mean over queries."""
    count, right = hits.shape[1], hits.sum(1)
    found = {}
    for place in places:
        missed = np.ones(len(right))
        for drawn in range(min(place, count)):
            missed *= np.clip(count - right - drawn, 0, None) / (count - drawn)
        found[place] = float(np.mean(1.0 - missed))
    return found


def ceiling_at(groups: NDArray[np.int64], places: Sequence[int] = (1, 5, 10)) -> dict[int, float]:
    """The best R@k that is to be expected where only one of several equal texts counts: min(k, g) / g for g equal ones.

    Args:
        groups: (N,) numbers, equal where the texts are.
    """
    _, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    equal = sizes[inverse]
    return {place: float(np.mean(np.minimum(place, equal) / equal)) for place in places}


def precision_at(scores: NDArray[np.floating], hits: NDArray[np.bool_], place: int) -> NDArray[np.float64]:
    """(Q,) the share of hits among each query's first candidates; equal scores are ranked by number."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :place]
    found: NDArray[np.float64] = np.take_along_axis(hits, order, axis=1).mean(1)
    return found
