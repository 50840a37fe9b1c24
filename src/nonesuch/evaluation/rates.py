"""Error rates of comparisons, with intervals over people."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.evaluation.all_pairs import Compared
from nonesuch.evaluation.curves import error_curve
from nonesuch.measures.figure import COSINE, COUNT, Figure, Measure
from nonesuch.measures.intervals import RESAMPLES, people_drawn, with_interval
from nonesuch.measures.metrics import equal_error, threshold_at, true_match_rate

FMRS = (1e-1, 1e-2, 1e-3, 1e-4)
MATED, NON_MATED = (
    Measure(f"{kind}mated", f"{name}mated comparisons", COUNT, interval=False, meaning=meaning)
    for kind, name, meaning in (("", "", "of two images of one person"), ("non_", "non-", "of images of two people"))
)
EER_THRESHOLD = Measure("eer_threshold", "threshold at the EER", COSINE, interval=False, meaning="a cosine")
THRESHOLD = Measure(
    "thresholds/*", "threshold at FMR {}", COSINE, interval=False, meaning="the lowest cosine of this FMR"
)
_BINS = 8_000  # of each kind's scores, for the intervals; the figures themselves are exact
_ROUNDING = 1e-12  # of sums of weights


@dataclass(frozen=True)
class Rates:
    """Error rates of comparisons, in the form of the JSON.

    Attributes:
        eer: equal error rate.
        eer_threshold: where it is.
        tar: true match rate by FMR.
        thresholds: cosine by FMR.
        curve: `error_curve`, with `fnmr_low` and `fnmr_high`.
    """

    eer: Figure
    eer_threshold: float
    tar: dict[str, Figure]
    thresholds: dict[str, float]
    curve: dict[str, list[float]]


def rates_with_intervals(
    pairs: Compared,
    people: NDArray[np.int64],
    fmrs: tuple[float, ...] = FMRS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Rates:
    """EER and true match rates, with bootstrap intervals over people (see `people_drawn`).

    Args:
        people: (N,) labels of the images. Where it is not known whom they show, both images of a comparison may have
            one label of their own; such a comparison counts as often as its label is drawn.
        fmrs: rates at which the true match rate (TAR) is wanted; those that the non-mated comparisons cannot resolve
            are left out.
    """
    mated, non_mated = pairs.scores[pairs.mated], pairs.scores[~pairs.mated]
    resolved = [fmr for fmr in fmrs if fmr * len(non_mated) >= 1]
    eer, at = equal_error(mated, non_mated)
    curve = error_curve(mated, non_mated)
    drawn, share_of = _resampled(pairs, people, np.array([*resolved, *curve["fmr"]]), resamples, seed)
    found = [
        with_interval(value, of, share_of)
        for value, of in zip(
            [eer, *(true_match_rate(mated, non_mated, fmr) for fmr in resolved), *(1.0 - np.array(curve["fnmr"]))],
            drawn.T.tolist(),
            strict=True,
        )
    ]
    along = found[1 + len(resolved) :]
    return Rates(
        found[0],
        at,
        {f"{fmr:g}": figure for fmr, figure in zip(resolved, found[1:], strict=False)},
        {f"{fmr:g}": threshold_at(non_mated, fmr) for fmr in resolved},
        {
            **curve,
            "fnmr_low": [1.0 - (figure.value if np.isnan(figure.high) else figure.high) for figure in along],
            "fnmr_high": [1.0 - (figure.value if np.isnan(figure.low) else figure.low) for figure in along],
        },
    )


def _resampled(
    pairs: Compared, people: NDArray[np.int64], fmrs: NDArray[np.float64], resamples: int, seed: int
) -> tuple[NDArray[np.float64], int]:
    """(resamples, 1 + K) EER and TAR at each FMR, NaN where a resample has one kind of comparisons only; and the number
    of people with mated comparisons."""
    labels = np.unique(people, return_inverse=True)[1].astype(np.int32)
    edges = rank_edges(pairs.scores[pairs.mated], pairs.scores[~pairs.mated])
    bins = np.searchsorted(edges, pairs.scores, side="left").astype(np.uint16)  # a threshold lies just above an edge
    own = labels[pairs.left[pairs.mated]]
    first, second = (labels[side[~pairs.mated]] for side in (pairs.left, pairs.right))
    alone = first == second
    mated_bins, other_bins = bins[pairs.mated], bins[~pairs.mated]
    drawn = np.full((resamples, 1 + len(fmrs)), np.nan)
    for number in range(resamples):
        weight = people_drawn(int(labels.max()) + 1, number, seed)
        hits = np.bincount(mated_bins, weight[own], len(edges) + 1)
        drawn_together = weight[first] * (np.where(alone, 1.0, weight[second]) if alone.any() else weight[second])
        misses = np.bincount(other_bins, drawn_together, len(edges) + 1)
        if hits.sum() and misses.sum():
            drawn[number] = _binned(hits.astype(np.float64), misses.astype(np.float64), fmrs)
    return drawn, len(np.unique(own))


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


def _binned(hits: NDArray[np.float64], misses: NDArray[np.float64], fmrs: NDArray[np.float64]) -> NDArray[np.float64]:
    """EER and TAR at each FMR from weighted counts over ascending scores."""
    true_match, false_match = (np.append(kind[::-1].cumsum()[::-1] / kind.sum(), 0.0) for kind in (hits, misses))
    at = int(np.argmin(np.abs(false_match - (1.0 - true_match))))
    first = np.searchsorted(-false_match, -(fmrs + _ROUNDING), side="left")
    return np.append((false_match[at] + 1.0 - true_match[at]) / 2, true_match[first])
