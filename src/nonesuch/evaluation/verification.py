"""Verification by folds: a threshold chosen on some comparisons, accuracy on others."""

import numpy as np
from numpy.typing import NDArray

from nonesuch.measures.figure import SHARE, Better, Measure

Scores = NDArray[np.floating]

FOLD_ACCURACY = Measure(
    "accuracy",
    "accuracy (sd of folds)",
    SHARE,
    Better.HIGHER,
    deviation="accuracy_sd",
    meaning="right decisions on each fold at the threshold that is best on the others",
)
GRID_ACCURACY = Measure(
    "accuracy_grid",
    "by insightface's grid",
    SHARE,
    Better.HIGHER,
    interval=False,
    meaning="the same with steps of 0.01 in squared distance, for comparison with published figures",
)


def best_threshold(scores: Scores, mated: NDArray[np.bool_]) -> float:
    """The threshold of the highest accuracy, exactly: midway between two neighbouring scores, the lowest of ties.

    A comparison is accepted as mated if its score is at least the threshold.

    Args:
        scores: (N,) similarities.
        mated: (N,) whether the two images show one person.
    """
    order = np.argsort(scores, kind="stable")
    ranked, same = scores[order], mated[order]
    # right[k]: correct decisions if the k lowest scores are refused.
    right = np.concatenate([[0], np.cumsum(~same)]) + same.sum() - np.concatenate([[0], np.cumsum(same)])
    possible = np.concatenate([[True], ranked[1:] > ranked[:-1], [True]])
    cut = int(np.argmax(np.where(possible, right, -1)))
    if cut == 0:
        return float(ranked[0]) - 1.0
    if cut == len(ranked):
        return float(ranked[-1]) + 1.0
    return float((ranked[cut - 1] + ranked[cut]) / 2)


def fold_accuracies(scores: Scores, mated: NDArray[np.bool_], folds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Accuracy on each fold at the best threshold of all other folds (LFW's View 2).

    Args:
        scores, mated: as in `best_threshold`.
        folds: (N,) the fold of each comparison; at least two different ones.
    """
    found = []
    for fold in np.unique(folds):
        test = folds == fold
        threshold = best_threshold(scores[~test], mated[~test])
        found.append(float(((scores[test] >= threshold) == mated[test]).mean()))
    return np.array(found)


def grid_accuracies(scores: Scores, mated: NDArray[np.bool_], folds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Accuracy on each fold as insightface scores it, for comparison with published figures.

    Squared distances of unit vectors (2 - 2 * cosine) are accepted if strictly below a threshold of 0, 0.01, ... 3.99:
    the first of those that are best on the other folds.

    Args:
        scores: (N,) cosines; mated, folds: as in `fold_accuracies`.
    """
    distances = 2.0 - 2.0 * scores
    thresholds = np.arange(0, 4, 0.01)
    # right[f, t]: correct decisions on fold f at threshold t, by counting instead of a pass per threshold.
    kinds = np.unique(folds)
    right = np.empty((len(kinds), len(thresholds)), dtype=np.int64)
    for row, fold in enumerate(kinds):
        of_fold = folds == fold
        same, other = np.sort(distances[of_fold & mated]), np.sort(distances[of_fold & ~mated])
        accepted = np.searchsorted(same, thresholds, side="left")
        right[row] = accepted + len(other) - np.searchsorted(other, thresholds, side="left")
    sizes = np.array([(folds == fold).sum() for fold in kinds])
    best = [int(np.argmax(right.sum(0) - right[row])) for row in range(len(kinds))]
    return np.array([right[row, at] / sizes[row] for row, at in enumerate(best)])
