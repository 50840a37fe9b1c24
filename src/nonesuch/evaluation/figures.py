"""The figures of a test set, JSON-ready."""

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.metrics import equal_error_rate, threshold_at, true_match_rate
from nonesuch.evaluation.all_pairs import AllPairs, compare_all, rates_with_intervals
from nonesuch.evaluation.clustering import cluster_scores, linked
from nonesuch.evaluation.fairness import fairness
from nonesuch.evaluation.identification import cumulative_match, open_set, search
from nonesuch.evaluation.pairs import Comparisons
from nonesuch.evaluation.verification import best_threshold, fold_accuracies, grid_accuracies

FMRS = (1e-1, 1e-2, 1e-3)
_CLUSTER_FMRS = (1e-3, 1e-4, 1e-5)
_BLOCK = 65_536  # comparisons whose embeddings are gathered at once


def comparison_scores(
    unit: NDArray[np.float32], comparisons: Comparisons, acquired: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(N,) cosines; -1 where a face was not acquired: such a comparison is refused, as in operation."""
    left, right = comparisons.left, comparisons.right
    scores = np.empty(len(left))
    for start in range(0, len(left), _BLOCK):
        part = slice(start, start + _BLOCK)
        scores[part] = np.einsum("nd,nd->n", unit[left[part]], unit[right[part]], dtype=np.float64)
    return np.where(acquired[left] & acquired[right], scores, -1.0)


def verification_figures(
    scores: NDArray[np.floating], mated: NDArray[np.bool_], fmrs: tuple[float, ...] = FMRS
) -> dict[str, Any]:
    """Error rates of comparisons over all thresholds.

    Returns:
        eer; tar: by FMR, those that the non-mated comparisons can resolve; mated, non_mated: numbers of comparisons.

    Raises:
        NonesuchError: a score is not finite, or there are no mated or no non-mated comparisons.
    """
    if not np.isfinite(scores).all():
        raise NonesuchError("a score is NaN or infinite; the embedder gives such vectors")
    if mated.all() or not mated.any():
        kind = "mated" if mated.all() else "non-mated"
        raise NonesuchError(f"all comparisons are {kind}; error rates take both kinds")
    same, other = scores[mated], scores[~mated]
    return {
        "eer": equal_error_rate(same, other),
        "tar": {f"{fmr:g}": true_match_rate(same, other, fmr) for fmr in fmrs if fmr * len(other) >= 1},
        "mated": len(same),
        "non_mated": len(other),
    }


def pair_figures(scores: NDArray[np.floating], comparisons: Comparisons) -> dict[str, Any]:
    """What `nonesuch evaluate` reports of a list of comparisons.

    Returns:
        accuracy (mean over the folds at thresholds that are exact on the other folds), its standard deviation over
        folds, accuracy by insightface's grid, and `verification_figures`.

    Raises:
        NonesuchError: as in `verification_figures`, or there is one fold only.
    """
    figures = verification_figures(scores, comparisons.mated)
    if len(np.unique(comparisons.folds)) < 2:
        raise NonesuchError("there is one fold only; accuracy takes a threshold from other folds")
    folds = fold_accuracies(scores, comparisons.mated, comparisons.folds)
    return {
        "accuracy": float(folds.mean()),
        "accuracy_sd": float(folds.std()),
        "accuracy_folds": folds.tolist(),
        "accuracy_grid": float(grid_accuracies(scores, comparisons.mated, comparisons.folds).mean()),
        **figures,
    }


def people_figures(unit: NDArray[np.float32], people: NDArray[np.int64], acquired: NDArray[np.bool_]) -> dict[str, Any]:
    """What `nonesuch evaluate` reports of labelled images without a list of pairs.

    Verification over all pairs. Identification in a gallery of each person's first image, probed by all other images;
    and in a gallery of every second person, where the other half are strangers. Clusters of images that are linked at
    the thresholds of several FMRs. Images without a face are left out.

    Args:
        unit: (N, D) unit embeddings.
        people: (N,) labels; at least two people, one of them twice.
        acquired: (N,) whether a face was found.

    Returns:
        eer, tar@0.01, tar@0.001: value, low, high; mated, non_mated: numbers of comparisons; rank: share of probes
        found among the first 1, 5, 10, 20; tpir by FPIR and clusters by FMR (only those that the numbers can resolve),
        the latter with threshold, number of clusters and `cluster_scores`.
    """
    unit, people = unit[acquired], people[acquired]
    pairs = compare_all(unit, people)
    found: dict[str, Any] = {key: asdict(figure) for key, figure in rates_with_intervals(pairs, people).items()}
    found |= {"mated": int(pairs.mated.sum()), "non_mated": int((~pairs.mated).sum())}
    found["clusters"] = _clusters(pairs, people)
    _, first = np.unique(people, return_index=True)
    probes = np.setdiff1d(np.arange(len(people)), first)
    ranks = cumulative_match(search(unit[first], people[first], unit[probes], people[probes]))
    found["rank"] = {str(k): share for k, share in ranks.items()}
    known = first[::2]
    others = np.setdiff1d(np.arange(len(people)), known)
    searched = search(unit[known], people[known], unit[others], people[others])
    strangers = int((searched.rank == 0).sum())
    fpirs = tuple(fpir for fpir in (1e-1, 1e-2) if fpir * strangers >= 1)
    found["tpir"] = {}
    if fpirs and strangers < len(others):
        found["tpir"] = {f"{fpir:g}": share for fpir, share in open_set(searched, fpirs).items()}
    return found


def _clusters(pairs: AllPairs, people: NDArray[np.int64]) -> dict[str, dict[str, float]]:
    non_mated = pairs.scores[~pairs.mated]
    found = {}
    for rate in (fmr for fmr in _CLUSTER_FMRS if fmr * len(non_mated) >= 1):
        threshold = threshold_at(non_mated, rate)
        links = pairs.scores >= threshold
        clusters = linked(len(people), pairs.left[links], pairs.right[links])
        counted = {"threshold": threshold, "clusters": int(clusters.max()) + 1}
        found[f"{rate:g}"] = {**counted, **cluster_scores(people, clusters)}
    return found


def group_figures(scores: NDArray[np.floating], comparisons: Comparisons, group_of: NDArray[np.str_]) -> dict[str, Any]:
    """Fairness over the comparisons within groups, at the threshold that is best for all of these together.

    Args:
        scores: (N,) of the comparisons.
        group_of: (M,) the group of each image, "" for none.

    Raises:
        NonesuchError: the comparisons lie within fewer than two groups.
    """
    left, right = group_of[comparisons.left], group_of[comparisons.right]
    within = (left == right) & (left != "")
    mated = comparisons.mated[within]
    if not within.any():
        raise NonesuchError("--groups: no comparison lies within a group")
    threshold = best_threshold(scores[within], mated)
    return asdict(fairness(scores[within], mated, left[within], threshold))
