"""Every comparison within a labelled set: error rates with intervals over people."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.measures.figure import Figure
from nonesuch.measures.intervals import RESAMPLES, with_intervals
from nonesuch.measures.metrics import equal_error_rate, true_match_rate

_BINS = 8_000  # of each kind's scores, for the intervals; the figures themselves are exact
_MOST_IMAGES = 10_000  # 50 million pairs, two gigabytes


@dataclass(frozen=True)
class AllPairs:
    """All comparisons of N images.

    Attributes:
        left, right: (P,) int32 rows of the images, left before right.
        scores: (P,) float32 cosines.
        mated: (P,) bool, whether both show one person.
    """

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    scores: NDArray[np.float32]
    mated: NDArray[np.bool_]


@dataclass(frozen=True)
class Rates:
    """Error rates of comparisons, in the form of the JSON.

    Attributes:
        eer: equal error rate.
        tar: true match rate by FMR.
    """

    eer: Figure
    tar: dict[str, Figure]


def check_count(images: int) -> None:
    """Raises NonesuchError for more images than the memory allows."""
    if images > _MOST_IMAGES:
        raise NonesuchError(
            f"{images:,} images are too many to compare all with all (at most {_MOST_IMAGES:,}); name fewer people"
        )


def compare_all(unit: NDArray[np.float32], people: NDArray[np.int64]) -> AllPairs:
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
    return AllPairs(left, right, scores, mated)


def rates_with_intervals(
    pairs: AllPairs,
    people: NDArray[np.int64],
    fmrs: tuple[float, ...] = (1e-2, 1e-3),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Rates:
    """EER and true match rates over all pairs, with bootstrap intervals over people (see `people_drawn`).

    Args:
        people: (N,) labels of the images.
        fmrs: rates at which the true match rate (TAR) is wanted.
    """
    mated, non_mated = pairs.scores[pairs.mated], pairs.scores[~pairs.mated]
    exact = {"eer": equal_error_rate(mated, non_mated)}
    exact |= {f"{fmr:g}": true_match_rate(mated, non_mated, fmr) for fmr in fmrs}

    labels = np.unique(people, return_inverse=True)[1].astype(np.int32)
    edges = rank_edges(mated, non_mated)
    bins = np.searchsorted(edges, pairs.scores, side="left").astype(np.uint16)  # a threshold lies just above an edge
    own, first, second = (
        labels[pairs.left[pairs.mated]],
        labels[pairs.left[~pairs.mated]],
        labels[pairs.right[~pairs.mated]],
    )
    mated_bins, other_bins = bins[pairs.mated], bins[~pairs.mated]

    def resampled(weight: NDArray[np.float64]) -> dict[str, float]:
        hits = np.bincount(mated_bins, weight[own], len(edges) + 1).astype(np.float64)
        misses = np.bincount(other_bins, weight[first] * weight[second], len(edges) + 1).astype(np.float64)
        return _binned(hits, misses, fmrs) if hits.sum() and misses.sum() else dict.fromkeys(exact, np.nan)

    shares_of = dict.fromkeys(exact, len(np.unique(own)))
    tar = with_intervals(exact, int(labels.max()) + 1, resampled, shares_of, resamples, seed)
    return Rates(tar.pop("eer"), tar)


def rank_edges(mated: NDArray[np.floating], non_mated: NDArray[np.floating]) -> NDArray[np.floating]:
    """Observed scores that divide all scores by rank, ascending, however narrow the range that they lie in.

    They are all of them where there are few. Otherwise each kind's ranks are dense where errors are rare, among the
    highest non-mated and the lowest mated scores: the first few hundred, then every score whose rank is 0.2% higher.
    """
    edges = []
    for scores in (-non_mated, mated):
        count = len(scores)
        few = count <= _BINS
        ranks = np.arange(count) if few else np.unique(np.geomspace(1, count, _BINS).astype(np.int64)) - 1
        edges.append(np.sort(scores)[ranks])
    return np.unique(np.concatenate([-edges[0], edges[1]]))


def _binned(hits: NDArray[np.float64], misses: NDArray[np.float64], fmrs: tuple[float, ...]) -> dict[str, float]:
    """The figures from weighted histograms over ascending scores."""
    true_match = hits[::-1].cumsum()[::-1] / hits.sum()
    false_match = misses[::-1].cumsum()[::-1] / misses.sum()
    at = int(np.argmin(np.abs(false_match - (1.0 - true_match))))
    found = {"eer": float((false_match[at] + 1.0 - true_match[at]) / 2)}
    for fmr in fmrs:
        allowed = np.flatnonzero(false_match <= fmr)
        found[f"{fmr:g}"] = float(true_match[allowed[0]]) if len(allowed) else 0.0
    return found
