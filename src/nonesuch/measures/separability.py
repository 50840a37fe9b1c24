"""How many identities of a dataset are different people: Vec2Face's separability (arXiv 2409.02979), exact."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.measures.figure import SHARE, Better, Bounds, Measure
from nonesuch.measures.grouping import group_means, group_sums, rows_by_identity
from nonesuch.measures.similarity import normalised

_BLOCK = 2048
_BINS = 2_000  # of a cosine, for the distribution over all pairs
_OF_PAIRS = (0.9, 0.99)  # quantiles of all pairs' cosines that say what strangers reach
_CHECKED_AT_ONCE = 65_536  # vectors, of which a mask is made
_COUNTED_AT_ONCE = 65_536  # what stays in a core's cache: three times as fast as a whole block

TWICE = Measure(
    "twice/share",
    "identities as alike to another as one person is",
    SHARE,
    Better.LOWER,
    count="identities",
    null="the embedder's card states no threshold; import-weights takes them as --threshold",
    bounds=Bounds(
        "no identity twice",
        0.005,
        0.01,
        "identities as alike to another as the two halves of one identity are (all but the worst 5%) and as strangers "
        "are not by chance, or whose images match another's on average at the embedder's threshold; both corrected for "
        "the number of comparisons: green where the interval ends at 0.5% or below, amber up to 1%",
    ),
    meaning="identities that may be one person: their means are as alike as the means of the halves of one identity",
)
SEPARABLE = Measure(
    "at/*/share",
    "separable identities at {}",
    SHARE,
    Better.HIGHER,
    count="count",
    meaning="identities whose mean matches no earlier one (arXiv 2409.02979); means are more alike than photographs, "
    "for which thresholds are made, so compare with training people's",
)
COLLIDING = Measure(
    "at/*/colliding",
    "identities that match another at {}",
    SHARE,
    Better.LOWER,
    meaning="identities whose mean matches any other; of means, like the row above",
)
SEPARABLE_PEOPLE = Measure(
    "at/*", "training people: separable at {}", SHARE, meaning="the same of as many real people: what can be reached"
)


@dataclass(frozen=True)
class Separability:
    """Each identity against every earlier one.

    Attributes:
        nearest: (N,) float32 largest cosine to an earlier identity, -inf for the first.
        nearest_row: (N,) int64 which one.
        largest: (N,) float32 largest cosine to any other identity.
        counts: (2000,) int64 pairs by cosine, in equal steps from -1 to 1.
    """

    nearest: NDArray[np.float32]
    nearest_row: NDArray[np.int64]
    largest: NDArray[np.float32]
    counts: NDArray[np.int64]

    def separable(self, threshold: float) -> int:
        """Number of identities whose cosine to every earlier one is at most the threshold."""
        return int((self.nearest <= threshold).sum())

    def curve(self, threshold: float, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
        """The same over the first so many identities, for each of `sizes`."""
        running = np.concatenate([[0], np.cumsum(self.nearest <= threshold)])
        return running[sizes].astype(np.int64)

    def colliding(self, threshold: float) -> float:
        """Share of the identities that are above the threshold with any other."""
        return float((self.largest > threshold).mean())

    def reached_by_chance(self, rate: float) -> float:
        """The cosine that two identities reach at a rate by chance, learned from the middle of all pairs.

        Angles between strangers are taken as normal: the 90% and 99% quantiles of the cosines say which normal. The
        few nearest pairs, which may be one person, have no say.

        Args:
            rate: in (0, 0.5).
        """
        normal, shares = NormalDist(), np.cumsum(self.counts) / self.counts.sum()
        near, nearer = np.arccos((np.searchsorted(shares, _OF_PAIRS) + 0.5) / (_BINS / 2) - 1.0)
        start, end = (normal.inv_cdf(share) for share in _OF_PAIRS)
        angle = near - (near - nearer) * (-normal.inv_cdf(rate) - start) / (end - start)
        return float(np.cos(max(angle, 0.0)))

    def closest(self, count: int) -> list[tuple[int, int, float]]:
        """The most similar pairs (earlier, later, cosine), at most one for each later identity, most similar first."""
        order = np.argsort(-self.nearest[1:], kind="stable")[:count] + 1
        return [(int(self.nearest_row[row]), int(row), float(self.nearest[row])) for row in order]


def look_alikes(pairs: Sequence[tuple[int, int, float]]) -> list[tuple[list[int], float]]:
    """Groups of identities that pairs link, with the least cosine of a group's links, the most alike first.

    Args:
        pairs: first, second, cosine, as of `Separability.closest`.
    """
    groups: list[tuple[list[int], float]] = []
    for first, second, cosine in pairs:
        linked = [group for group in groups if first in group[0] or second in group[0]]
        people = dict.fromkeys([*(person for group in linked for person in group[0]), first, second])
        at = groups.index(linked[0]) if linked else len(groups)
        groups = [group for group in groups if group not in linked]
        groups.insert(at, (list(people), cosine))
    return groups


def separability(
    centres: NDArray[np.float32],
    block: int = _BLOCK,
    on_row: Callable[[int], None] = lambda done: None,
) -> Separability:
    """Compare identities in a single pass over all pairs; the result is the same for any block size.

    Args:
        centres: (N, D) mean embedding of each identity, of any length but not zero; at least two.
        block: identities compared at once: memory grows with its square.
        on_row: told how many identities are done.

    Raises:
        NonesuchError: fewer than two identities, or one that is zero or not finite.
    """
    if len(centres) < 2:
        raise NonesuchError(f"{len(centres)} identity: telling people apart takes two")
    check_vectors(centres)
    unit = normalised(np.asarray(centres, dtype=np.float32))
    nearest = np.full(len(unit), -np.inf, dtype=np.float32)
    nearest_row = np.zeros(len(unit), dtype=np.int64)
    largest = np.full(len(unit), -np.inf, dtype=np.float32)
    counts = np.zeros(_BINS, dtype=np.int64)
    for start in range(0, len(unit), block):
        rows = unit[start : start + block]
        for column in range(0, start + len(rows), block):
            cosine = rows @ unit[column : column + block].T
            if column == start:
                earlier = np.tril(np.ones_like(cosine, dtype=bool), -1)
                counted = cosine[earlier]
                cosine[~earlier] = -np.inf
            else:
                counted = cosine.ravel()
            at = cosine.argmax(1)
            values = cosine[np.arange(len(rows)), at]
            mine = slice(start, start + len(rows))
            better = values > nearest[mine]  # among equals the first stays, whatever the blocks
            nearest[mine][better] = values[better]
            nearest_row[mine][better] = at[better] + column
            np.maximum(largest[mine], values, out=largest[mine])
            theirs = slice(column, column + cosine.shape[1])
            np.maximum(largest[theirs], cosine.max(0), out=largest[theirs])
            counts += _histogram(counted)
        on_row(start + len(rows))
    return Separability(nearest, nearest_row, largest, counts)


def identity_centres(vectors: NDArray[np.float32], identities: NDArray[np.int64]) -> NDArray[np.float32]:
    """(P, D) mean of each identity's embeddings at length 1, in order of the labels 0..P-1."""
    return normalised(group_sums(normalised(vectors), identities).astype(np.float32))


def threshold_at(thresholds: Mapping[float, float], rate: float) -> float | None:
    """The cosine at a false match rate, from an embedder's cosines by FMR; None where there are none.

    Non-mated cosines are taken as normal in the tail: between the known rates and below the smallest, the cosine is a
    straight line of the rate's normal quantile. A single known cosine holds for every rate.
    """
    if not thresholds:
        return None
    places, cosines = zip(
        *sorted((-NormalDist().inv_cdf(fmr), cosine) for fmr, cosine in thresholds.items()), strict=True
    )
    at = -NormalDist().inv_cdf(rate)
    if len(places) > 1 and at > places[-1]:
        return float(cosines[-1] + (at - places[-1]) * (cosines[-1] - cosines[-2]) / (places[-1] - places[-2]))
    return float(np.interp(at, places, cosines))


def matches_another(
    vectors: NDArray[np.float32], identities: NDArray[np.int64], largest: NDArray[np.float32], threshold: float
) -> NDArray[np.bool_]:
    """(P,) whether the mean cosine of an identity's images to another's is at least a threshold above 0.

    Args:
        vectors, identities: (N, D) embeddings and (N,) labels 0..P-1.
        largest: (P,) of `Separability`. The mean cosine of images is at most that of their means, so that only
            identities whose means are near enough are compared.
    """
    means = group_means(normalised(vectors), identities, np.float32)
    rows = np.flatnonzero(largest >= threshold)
    found = np.zeros(len(largest), dtype=bool)
    for start in range(0, len(rows), _BLOCK):
        mine = rows[start : start + _BLOCK]
        for column in range(0, len(rows), _BLOCK):
            theirs = rows[column : column + _BLOCK]
            found[mine] |= ((means[mine] @ means[theirs].T >= threshold) & (mine[:, None] != theirs)).any(1)
    return found


def half_similarity(vectors: NDArray[np.float32], identities: NDArray[np.int64]) -> NDArray[np.float32]:
    """How alike the same person is to itself: the cosine of the means of every second image of an identity and of the
    others, of each identity that has four images or more: (K,)."""
    unit = normalised(np.asarray(vectors, dtype=np.float32))
    found = []
    for rows in rows_by_identity(identities):
        if len(rows) > 3:
            one, other = normalised(np.stack([unit[rows[side::2]].sum(0) for side in (0, 1)]))
            found.append(one @ other)
    return np.array(found, dtype=np.float32)


def _histogram(cosine: NDArray[np.float32]) -> NDArray[np.int64]:
    """Cosines by bin; those that rounding puts beyond -1 and 1 are in the outer ones."""
    counts = np.zeros(_BINS, dtype=np.int64)
    for start in range(0, len(cosine), _COUNTED_AT_ONCE):
        places = cosine[start : start + _COUNTED_AT_ONCE] + np.float32(1.0)
        places *= np.float32(_BINS / 2)
        counts += np.bincount(places.clip(0, _BINS - 1, out=places).astype(np.int64), minlength=_BINS)
    return counts


def check_vectors(vectors: NDArray[np.floating]) -> None:
    """Raises NonesuchError for vectors that are zero or not finite."""
    good = np.empty(len(vectors), dtype=bool)
    for start in range(0, len(vectors), _CHECKED_AT_ONCE):
        part = vectors[start : start + _CHECKED_AT_ONCE]
        good[start : start + len(part)] = np.isfinite(part).all(1) & (part != 0).any(1)
    if not good.all():
        raise NonesuchError(
            f"embedding {int(np.argmin(good))} is zero or holds NaN or infinity ({int((~good).sum())} such)"
        )
