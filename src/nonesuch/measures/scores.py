"""Mated and non-mated scores of a dataset, as in the IDiff-Face paper (arXiv 2308.04995, tables 1 and 2)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import Stream, derive_seed, permutation, uniform
from nonesuch.measures.consistency import mated_similarity
from nonesuch.measures.figure import COSINE, SHARE, Better, Bounds, Figure, Measure
from nonesuch.measures.intervals import with_intervals
from nonesuch.measures.metrics import equal_error_rate, true_match_rate
from nonesuch.measures.separability import check_vectors
from nonesuch.measures.similarity import normalised

MATED_MEAN = Measure(
    "mated_mean",
    "mean cosine, mated (sd)",
    COSINE,
    interval=False,
    deviation="mated_deviation",
    meaning="of two images of one identity; in brackets the standard deviation",
)
NON_MATED_MEAN = Measure(
    "non_mated_mean",
    "mean cosine, non-mated (sd)",
    COSINE,
    interval=False,
    deviation="non_mated_deviation",
    meaning="of images of two identities; in brackets the standard deviation",
)
FALSE_MATCHES = Measure(
    "false_matches/*",
    "non-mated images that match at {}",
    SHARE,
    Better.LOWER,
    bounds=Bounds(
        "strangers are strangers",
        3e-3,
        1e-2,
        "non-mated images that match at the embedder's threshold of FMR 1e-3: green up to three times that, amber up "
        "to ten times",
        at="fmr 0.001",
    ),
    meaning="non-mated comparisons at or above the embedder's own threshold of this FMR",
)
FMR100, FMR1000 = (
    Measure(
        name.lower(),
        name,
        SHARE,
        Better.LOWER,
        null="too few non-mated comparisons",
        meaning=f"lowest FNMR at an FMR of at most {rate}",
    )
    for name, rate in (("FMR100", "1e-2"), ("FMR1000", "1e-3"))
)

_MOST_MATED, _MOST_NON_MATED = 4_000_000, 1_000_000
_BINS = 200
_BLOCK = 65_536  # pairs whose embeddings are gathered at once


@dataclass(frozen=True)
class Study:
    """Scores of a dataset's comparisons.

    Attributes:
        mated, non_mated: number of comparisons counted.
        mated_mean, mated_deviation, non_mated_mean, non_mated_deviation: of the cosines.
        eer: equal error rate.
        fmr100, fmr1000: lowest FNMR at an FMR of at most 1% and 0.1%; None where the non-mated ones cannot resolve it.
        false_matches: share of the non-mated ones at or above each of the thresholds asked for.
        edges: (201,) of the histogram's bins.
        mated_histogram, non_mated_histogram: (200,) shares of the comparisons by bin.
    """

    mated: int
    non_mated: int
    mated_mean: float
    mated_deviation: float
    non_mated_mean: float
    non_mated_deviation: float
    eer: Figure
    fmr100: Figure | None
    fmr1000: Figure | None
    false_matches: dict[str, Figure]
    edges: list[float]
    mated_histogram: list[float]
    non_mated_histogram: list[float]


def study(
    vectors: NDArray[np.float32],
    identities: NDArray[np.int64],
    seed: int = 0,
    thresholds: Mapping[str, float] | None = None,
) -> Study:
    """Compare all mated pairs, and a million drawn non-mated pairs (all, where there are no more).

    Where there are more than four million mated pairs, those of a draw of each identity's images are compared.

    Intervals are bootstrapped over identities: a resample's mated comparisons are those of its identities, as often as
    they were drawn; a non-mated one counts k * l times for identities drawn k and l times.

    Args:
        vectors: (N, D) embeddings of any length.
        identities: (N,) labels.
        thresholds: cosines by name, for `Study.false_matches`.

    Raises:
        NonesuchError: no identity has two images, there is only one identity, or an embedding is zero or not finite.
    """
    check_vectors(vectors)
    unit = normalised(np.asarray(vectors, dtype=np.float32))
    place = np.unique(identities, return_inverse=True)[1].astype(np.int64)
    count = int(place.max(initial=-1)) + 1
    if count < 2:
        raise NonesuchError(f"{count} identity: non-mated comparisons need two")
    mated, whose = _mated(unit, place, seed)
    if not len(mated):
        raise NonesuchError("no identity has two images; mated comparisons need two")
    left, right = _non_mated_pairs(place, seed)
    non_mated = _cosines(unit, left, right)
    # Products of equal vectors differ in the last bits by the route they take: unrounded, ties would be told apart.
    mated, non_mated = mated.round(5), non_mated.round(5)
    rates = [fmr for fmr in (0.01, 0.001) if fmr * len(non_mated) >= 1]
    exact = {"eer": equal_error_rate(mated, non_mated)}
    exact |= {f"{fmr}": 1.0 - true_match_rate(mated, non_mated, fmr) for fmr in rates}
    hits = {name: np.flatnonzero(non_mated >= cosine) for name, cosine in (thresholds or {}).items()}
    exact |= {name: len(rows) / len(non_mated) for name, rows in hits.items()}
    order, other_order = np.argsort(-mated), np.argsort(-non_mated)
    ranked, other_ranked, owner = mated[order], non_mated[other_order], whose[order]

    def resampled(weight: NDArray[np.float64]) -> dict[str, float]:
        pairs = weight[place[left]] * weight[place[right]]
        total = pairs.sum()
        matches = {name: float(pairs[rows].sum() / total) if total else np.nan for name, rows in hits.items()}
        return _weighted(ranked, weight[owner], other_ranked, pairs[other_order], rates) | matches

    shares_of = {name: count if name in hits else len(np.unique(whose)) for name in exact}
    figures = with_intervals(exact, count, resampled, shares_of, seed=seed)
    edges = np.linspace(-1.0, 1.0, _BINS + 1)
    histograms = [(np.histogram(part.clip(-1, 1), edges)[0] / len(part)).tolist() for part in (mated, non_mated)]
    return Study(
        mated=len(mated),
        non_mated=len(non_mated),
        mated_mean=float(mated.mean()),
        mated_deviation=float(mated.std()),
        non_mated_mean=float(non_mated.mean()),
        non_mated_deviation=float(non_mated.std()),
        eer=figures["eer"],
        fmr100=figures.get("0.01"),
        fmr1000=figures.get("0.001"),
        false_matches={name: figures[name] for name in hits},
        edges=edges.tolist(),
        mated_histogram=histograms[0],
        non_mated_histogram=histograms[1],
    )


def _mated(
    unit: NDArray[np.float32], place: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """All mated cosines with their identities, of as many images of each identity as keep them within bounds."""
    rank = permutation(derive_seed(seed, 1), Stream.RESAMPLE, len(place))
    order = np.lexsort((rank, place))
    within = np.arange(len(place)) - np.repeat(np.cumsum(np.bincount(place)) - np.bincount(place), np.bincount(place))
    most = len(place)
    while _pairs(np.minimum(np.bincount(place), most)).sum() > _MOST_MATED and most > 2:
        most = max(2, most // 2)
    rows = np.sort(order[within < most])
    sizes = np.bincount(place[rows])
    return mated_similarity(unit[rows], place[rows]), np.repeat(np.arange(len(sizes)), _pairs(sizes))


def _pairs(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return sizes * (sizes - 1) // 2


def _cosines(unit: NDArray[np.float32], left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float32]:
    """(P,) of pairs of rows, in blocks."""
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(left), _BLOCK)]
    return np.concatenate([np.einsum("nd,nd->n", unit[left[block]], unit[right[block]]) for block in blocks])


def _non_mated_pairs(place: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    size = len(place)
    if size * (size - 1) // 2 <= _MOST_NON_MATED:
        left, right = np.triu_indices(size, 1)
    else:
        draws = uniform(derive_seed(seed), Stream.RESAMPLE, 2 * _MOST_NON_MATED).reshape(2, -1)
        left = (draws[0] * size).astype(np.int64)
        right = (left + 1 + (draws[1] * (size - 1)).astype(np.int64)) % size
    other = place[left] != place[right]
    return left[other], right[other]


def _weighted(
    mated: NDArray[np.float32],
    mated_weight: NDArray[np.float64],
    non_mated: NDArray[np.float32],
    non_mated_weight: NDArray[np.float64],
    fmrs: list[float],
) -> dict[str, float]:
    """EER and FNMR at FMR of weighted scores, both descending."""
    if not mated_weight.sum() or not non_mated_weight.sum():
        return {name: float("nan") for name in ("eer", *(f"{fmr}" for fmr in fmrs))}
    false_match = non_mated_weight.cumsum() / non_mated_weight.sum()  # with the i-th score as threshold
    accepted = np.concatenate([[0.0], mated_weight.cumsum() / mated_weight.sum()])
    # Mated scores at or above each non-mated one.
    fnmr = 1.0 - accepted[np.searchsorted(-mated, -non_mated, side="right")]
    at = int(np.argmin(np.abs(false_match - fnmr)))
    found = {"eer": float((false_match[at] + fnmr[at]) / 2)}
    for fmr in fmrs:
        # Just above the first score that would be one match too many.
        first = min(int(np.searchsorted(false_match, fmr, side="right")), len(non_mated) - 1)
        above = np.searchsorted(-mated, -non_mated[first], side="left")
        found[f"{fmr}"] = float(1.0 - accepted[above])
    return found
