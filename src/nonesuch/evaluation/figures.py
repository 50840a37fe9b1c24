"""The figures of a list of comparisons, JSON-ready."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.metrics import equal_error_rate
from nonesuch.evaluation.all_pairs import true_match_rate
from nonesuch.evaluation.pairs import Comparisons
from nonesuch.evaluation.verification import fold_accuracies, grid_accuracies

FMRS = (1e-1, 1e-2, 1e-3)


def comparison_scores(unit: NDArray[np.float32], comparisons: Comparisons, acquired: NDArray[np.bool_]) -> NDArray[Any]:
    """(N,) cosines in float64; -1 where a face was not acquired: such a comparison is refused, as in operation."""
    scores = np.einsum("nd,nd->n", unit[comparisons.left], unit[comparisons.right], dtype=np.float64)
    return np.where(acquired[comparisons.left] & acquired[comparisons.right], scores, -1.0)


def pair_figures(scores: NDArray[np.floating], comparisons: Comparisons) -> dict[str, Any]:
    """What `nonesuch evaluate` reports of comparisons.

    Returns:
        accuracy (mean over the folds at thresholds that are exact on the other folds), its standard deviation over
        folds, accuracy by insightface's grid, EER, TAR at FMR (those that the non-mated comparisons can resolve), and
        the numbers behind them.

    Raises:
        NonesuchError: a score is not finite, or there are no mated or no non-mated comparisons, or only one fold.
    """
    mated = comparisons.mated
    if not np.isfinite(scores).all():
        raise NonesuchError("a score is NaN or infinite; the embedder gives such vectors")
    if mated.all() or not mated.any():
        kind = "mated" if mated.all() else "non-mated"
        raise NonesuchError(f"all comparisons are {kind}; error rates take both kinds")
    if len(np.unique(comparisons.folds)) < 2:
        raise NonesuchError("there is one fold only; accuracy takes a threshold from other folds")
    folds = fold_accuracies(scores, mated, comparisons.folds)
    same, other = scores[mated], scores[~mated]
    return {
        "accuracy": float(folds.mean()),
        "accuracy_sd": float(folds.std()),
        "accuracy_folds": folds.tolist(),
        "accuracy_grid": float(grid_accuracies(scores, mated, comparisons.folds).mean()),
        "eer": equal_error_rate(same, other),
        "tar": {f"{fmr:g}": true_match_rate(same, other, fmr) for fmr in FMRS if fmr * len(other) >= 1},
        "mated": len(same),
        "non_mated": len(other),
    }
