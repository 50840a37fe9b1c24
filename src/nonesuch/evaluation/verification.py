"""Verification by folds: a threshold chosen on some comparisons, accuracy on others."""

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]


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
