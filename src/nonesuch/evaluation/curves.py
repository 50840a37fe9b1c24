"""The data of curves of comparison scores, JSON-ready."""

import numpy as np
from numpy.typing import NDArray

_POINTS = 300  # operating points at most, evenly spaced in the logarithm of FMR
_BINS = 80  # of the scores
REFUSED = -1.0  # the score of a comparison of a face that was not acquired


def score_histogram(scores: NDArray[np.floating], mated: NDArray[np.bool_]) -> dict[str, list[float]]:
    """The histograms of comparisons.

    Args:
        scores: (N,) cosines, -1 for a refused comparison; both kinds occur.
        mated: (N,) whether both images show one person.

    Returns:
        edges from the lowest score to the highest; mated, non_mated: the share of all comparisons of the kind whose
        score lies between two neighbours; refused ones lie outside.
    """
    same, other = scores[mated], scores[~mated]
    given = scores[scores > REFUSED]
    low, high = (float(given.min()), float(given.max())) if len(given) else (-1.0, 1.0)
    edges = np.linspace(low, max(high, low + 1e-6), _BINS + 1)
    return {"edges": edges.tolist(), "mated": _shares(same, edges), "non_mated": _shares(other, edges)}


def error_curve(mated: NDArray[np.floating], non_mated: NDArray[np.floating]) -> dict[str, list[float]]:
    """Operating points from FMR 0 to 1, each at the lowest threshold that keeps a number of false matches.

    Args:
        mated, non_mated: scores, at least one each.

    Returns:
        fmr ascending, fnmr, threshold: equally long lists.
    """
    same, other = np.sort(mated), np.sort(non_mated)
    last = len(other) - 1
    counts = np.unique(np.concatenate([[0], np.geomspace(1, max(last, 1), _POINTS).astype(np.int64)]).clip(max=last))
    thresholds = np.nextafter(other[::-1][counts], np.inf, dtype=other.dtype)
    thresholds = np.unique(np.concatenate([thresholds, other[:1]]))[::-1]
    return {
        "fmr": (1.0 - np.searchsorted(other, thresholds, side="left") / len(other)).tolist(),
        "fnmr": (np.searchsorted(same, thresholds, side="left") / len(same)).tolist(),
        "threshold": thresholds.astype(np.float64).tolist(),
    }


def _shares(scores: NDArray[np.floating], edges: NDArray[np.float64]) -> list[float]:
    return (np.histogram(scores[scores > REFUSED], edges)[0] / len(scores)).tolist()
