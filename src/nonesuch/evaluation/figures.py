"""The figures of comparisons, JSON-ready."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.evaluation.all_pairs import Compared
from nonesuch.evaluation.curves import REFUSED, score_histogram
from nonesuch.evaluation.discard import error_versus_discard
from nonesuch.evaluation.pairs import Comparisons
from nonesuch.evaluation.probes import Embedded
from nonesuch.evaluation.rates import FMRS, rates_with_intervals
from nonesuch.evaluation.verification import best_threshold, fold_accuracies, grid_accuracies
from nonesuch.measures.fairness import Groups, fairness
from nonesuch.measures.figure import Figure, plain

_BLOCK = 65_536  # comparisons whose embeddings are gathered at once


def comparison_scores(
    unit: NDArray[np.float32], comparisons: Comparisons, acquired: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(N,) cosines; REFUSED where a face was not acquired, which no useful threshold accepts."""
    left, right = comparisons.left, comparisons.right
    scores = np.empty(len(left))
    for start in range(0, len(left), _BLOCK):
        part = slice(start, start + _BLOCK)
        scores[part] = np.einsum("nd,nd->n", unit[left[part]], unit[right[part]], dtype=np.float64)
    return np.where(acquired[left] & acquired[right], scores, REFUSED)


def check_both_kinds(mated: NDArray[np.bool_]) -> None:
    """Raises NonesuchError if all comparisons are mated, or none is."""
    if mated.all() or not mated.any():
        kind = "mated" if mated.all() else "non-mated"
        raise NonesuchError(f"all comparisons are {kind}; error rates need both kinds")


def verification_figures(pairs: Compared, people: NDArray[np.int64], fmrs: tuple[float, ...] = FMRS) -> dict[str, Any]:
    """Error rates of comparisons over all thresholds.

    Args:
        people: (N,) labels of the images, as in `rates_with_intervals`.

    Returns:
        `Rates`: eer and tar as value, low, high, their thresholds, and the curve; mated, non_mated: numbers of
        comparisons; histogram: `score_histogram`.

    Raises:
        NonesuchError: a score is not finite, or there are no mated or no non-mated comparisons.
    """
    if not np.isfinite(pairs.scores).all():
        raise NonesuchError("a score is NaN or infinite; the embedder gives such vectors")
    check_both_kinds(pairs.mated)
    mated = int(pairs.mated.sum())
    return {
        **plain(rates_with_intervals(pairs, people, fmrs)),
        "mated": mated,
        "non_mated": len(pairs.mated) - mated,
        "histogram": score_histogram(pairs.scores, pairs.mated),
    }


def pair_figures(
    comparisons: Comparisons, people: NDArray[np.int64], groups: Groups | None, found: Embedded
) -> dict[str, Any]:
    """What `nonesuch evaluate` reports about a list of comparisons.

    Args:
        comparisons: of two folds at least.
        people: (N,) labels of the images, as in `rates_with_intervals`.
        groups: of the images; None where there are none.
        found: the images that the comparisons are of.

    Returns:
        accuracy (mean over the folds at thresholds that are exact on the other folds), its standard deviation over
        folds, accuracy by insightface's grid; `verification_figures`; discard: see `error_versus_discard` (quality is
        the norm of the raw embedding); groups: see `group_figures`.

    Raises:
        NonesuchError: as in `verification_figures`.
    """
    mated, folds = comparisons.mated, comparisons.folds
    scores = comparison_scores(found.unit, comparisons, found.acquired)
    pairs = Compared(comparisons.left, comparisons.right, scores, mated)
    figures = verification_figures(pairs, people)
    accuracies = fold_accuracies(scores, mated, folds)
    figures = {
        "accuracy": plain(Figure(float(accuracies.mean()))),
        "accuracy_sd": float(accuracies.std()),
        "accuracy_folds": accuracies.tolist(),
        "accuracy_grid": float(grid_accuracies(scores, mated, folds).mean()),
        **figures,
        "discard": error_versus_discard(pairs, people, found.norm),
    }
    return figures if groups is None else {**figures, "groups": group_figures(scores, comparisons, groups)}


def group_figures(scores: NDArray[np.floating], comparisons: Comparisons, groups: Groups) -> dict[str, Any]:
    """Fairness over the comparisons within groups, at the threshold that is best for all of these together.

    Args:
        scores: (N,) of the comparisons.
        groups: of the images.

    Returns:
        `Fairness` as a dictionary; None stands for a figure that is infinite or unknown.

    Raises:
        NonesuchError: the comparisons lie within fewer than two groups.
    """
    left, right, group = comparisons.left, comparisons.right, groups.group[comparisons.left]
    within = within_groups(comparisons, groups)
    mated = comparisons.mated[within]
    threshold = best_threshold(scores[within], mated)
    people = (groups.person[side[within]] for side in (left, right))
    found: dict[str, Any] = plain(fairness(scores[within], mated, group[within], threshold, *people))
    return found


def within_groups(comparisons: Comparisons, groups: Groups) -> NDArray[np.bool_]:
    """(N,) which comparisons lie within a group; raises NonesuchError unless at least two groups have some."""
    group = groups.group[comparisons.left]
    within: NDArray[np.bool_] = (group == groups.group[comparisons.right]) & (group != "")
    count = len(np.unique(group[within]))
    if count < 2:
        raise NonesuchError(f"--groups: comparisons lie within {count} of the groups; fairness needs at least two")
    return within
