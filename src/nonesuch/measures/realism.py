"""How near generated faces lie to real ones in a feature space: Frechet and kernel distance, precision, recall,
density, coverage.

All figures depend on the features and are named after their network: with Inception's they would be FID and KID, with a
face embedder's they are not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import derive_seed
from nonesuch.measures.figure import NUMBER, SHARE, Better, Figure, Measure
from nonesuch.measures.intervals import people_drawn, with_interval

FRECHET = Measure(
    "frechet_distance",
    "Frechet distance",
    NUMBER,
    Better.LOWER,
    meaning="distance of the two sets' means and covariances in the embedder's features; no FID",
)
KERNEL = Measure(
    "kernel_distance",
    "kernel distance",
    NUMBER,
    Better.LOWER,
    meaning="squared maximum mean discrepancy in the embedder's features, around 0 for equal sets; no KID",
)
PRECISION = Measure(
    "precision",
    "precision",
    SHARE,
    Better.HIGHER,
    meaning="images within the neighbourhood of a real one: do they look real?",
)
RECALL = Measure(
    "recall",
    "recall",
    SHARE,
    Better.HIGHER,
    meaning="real images within the neighbourhood of one of these: is all that is real there?",
)
DENSITY = Measure(
    "density",
    "density",
    SHARE,
    Better.HIGHER,
    meaning="real neighbourhoods that an image lies in, divided by five; around 100% for equal sets",
)
COVERAGE = Measure(
    "coverage", "coverage", SHARE, Better.HIGHER, meaning="real images whose neighbourhood holds one of these"
)
FID = Measure(
    "frechet_distance", "FID", NUMBER, Better.LOWER, interval=False, meaning="Frechet distance in Inception's features"
)
FID_OF_CONTROL = Measure(
    "frechet_distance_of_control",
    "FID of held-out photographs",
    NUMBER,
    interval=False,
    meaning="the same of photographs that the generator never saw: what can be reached",
)

_BLOCK = 1024
_RESAMPLES = 50  # each takes two eigenvalue problems in the Frechet distance


@dataclass(frozen=True)
class Neighbourhoods:
    """How two sets of features overlap, by a ball around each point that reaches its k-th neighbour in its own set.

    The mean over the points is the published figure.

    Attributes:
        precision: (M,) whether a generated point is inside a ball of a real one (Kynkaanniemi et al., arXiv
            1904.06991).
        recall: (N,) whether a real point is inside a ball of a generated one (the same).
        density: (M,) balls of real points that a generated one lies in, by k (Naeem et al., arXiv 2002.09797,
            equation 4).
        coverage: (N,) whether a real point's ball holds a generated one (the same, equation 5).
    """

    precision: NDArray[np.bool_]
    recall: NDArray[np.bool_]
    density: NDArray[np.float64]
    coverage: NDArray[np.bool_]


def frechet_distance(real: NDArray[np.floating], generated: NDArray[np.floating]) -> float:
    """|m1 - m2|^2 + trace(C1 + C2 - 2 (C1 C2)^(1/2)) of the sets' means and covariances (arXiv 1706.08500).

    Args:
        real, generated: (N, D) and (M, D) features; at least two each.

    Raises:
        NonesuchError: too few features, other widths, or values that are not finite.
    """
    _check(real, generated, 2)
    sides = [part.astype(np.float64) for part in (real, generated)]
    if max(len(part) for part in sides) >= real.shape[1]:
        return _frechet(*(_moments(part, np.ones(len(part))) for part in sides))
    # The trace of (C1 C2)^(1/2) is the sum of the singular values of X1 X2^T, which is small where images are few.
    gap = sides[0].mean(0) - sides[1].mean(0)
    one, other = ((part - part.mean(0)) / np.sqrt(len(part) - 1) for part in sides)
    mixed = np.linalg.svd(one @ other.T, compute_uv=False).sum()
    return float(max(gap @ gap + (one**2).sum() + (other**2).sum() - 2.0 * mixed, 0.0))


def frechet_interval(
    real: NDArray[np.floating],
    real_people: NDArray[np.int64],
    generated: NDArray[np.floating],
    identities: NDArray[np.int64],
) -> Figure:
    """`frechet_distance` with 95% over people of both sets.

    The distance grows as images get fewer, and a resample holds fewer different ones. So the spread of the resampled
    distances is centred on the distance itself.

    Args:
        real_people, identities: (N,), (M,) labels.
    """
    value = frechet_distance(real, generated)
    sides = [
        (part.astype(np.float64), np.unique(labels, return_inverse=True)[1])
        for part, labels in ((real, real_people), (generated, identities))
    ]
    drawn = np.full(_RESAMPLES, np.nan)
    for number in range(_RESAMPLES):
        moments = []
        for side, (part, place) in enumerate(sides):
            weight = people_drawn(int(place.max()) + 1, number, derive_seed(0, side))[place]
            if weight.sum() > 1:
                moments.append(_moments(part, weight))
        if len(moments) == len(sides):
            drawn[number] = _frechet(*moments)
    return with_interval(value, (drawn - np.nanmean(drawn) + value).tolist())


_Moments = tuple[NDArray[np.float64], NDArray[np.float64]]


def _moments(features: NDArray[np.float64], weight: NDArray[np.float64]) -> _Moments:
    """Mean and covariance of features, each counted `weight` times."""
    total = weight.sum()
    mean = weight @ features / total
    centred = features - mean
    return mean, (centred * weight[:, None]).T @ centred / (total - 1)


def _frechet(first: _Moments, second: _Moments) -> float:
    gap, (one, other) = first[0] - second[0], (first[1], second[1])
    # The trace of (C1 C2)^(1/2) by the eigenvalues of the symmetric C1^(1/2) C2 C1^(1/2), which has the same.
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    product = np.linalg.eigvalsh(root @ other @ root)
    mixed = np.sqrt(np.clip(product, 0.0, None)).sum()
    return float(max(gap @ gap + np.trace(one) + np.trace(other) - 2.0 * mixed, 0.0))


def kernel_distance(
    real: NDArray[np.floating],
    real_people: NDArray[np.int64],
    generated: NDArray[np.floating],
    identities: NDArray[np.int64],
) -> Figure:
    """Squared maximum mean discrepancy with the kernel (x . y / D + 1)^3 (arXiv 1801.01401), with 95% over people.

    Unbiased, over all features of both sets, where the published figure is the mean of draws of 1,000; may be negative.
    A person who is drawn twice brings pairs of their own images more often, which are more alike. So the spread of the
    resampled distances is centred on the distance itself, as in `frechet_interval`.
    Arguments and errors as there.
    """
    _check(real, generated, 2)
    sides = [np.asarray(part, dtype=np.float64) for part in (real, generated)]
    weights = []
    for side, labels in enumerate((real_people, identities)):
        place = np.unique(labels, return_inverse=True)[1]
        count = int(place.max()) + 1
        drawn = [people_drawn(count, number, derive_seed(0, side))[place] for number in range(_RESAMPLES)]
        weights.append(np.stack([np.ones(len(place)), *drawn]))  # all as they are, then the resamples
    with np.errstate(invalid="ignore", divide="ignore"):  # a resample of one image says nothing
        within = sum(_mean_kernel(part, part, weight, weight) for part, weight in zip(sides, weights, strict=True))
        found = within - 2.0 * _mean_kernel(*sides, *weights)
    return with_interval(float(found[0]), (found[1:] - np.nanmean(found[1:]) + found[0]).tolist())


def _mean_kernel(
    one: NDArray[np.float64],
    other: NDArray[np.float64],
    weight: NDArray[np.float64],
    other_weight: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(R,) mean kernel of pairs that count (R, N) times (R, M) weights; of a set with itself, no pair of an image with
    itself counts."""
    total = np.zeros(len(weight))
    for start in range(0, len(one), _BLOCK):
        mine = slice(start, start + _BLOCK)
        kernel = (one[mine] @ other.T / one.shape[1] + 1.0) ** 3
        if one is other:
            kernel[np.arange(len(kernel)), np.arange(len(kernel)) + start] = 0.0
        total += ((weight[:, mine] @ kernel) * other_weight).sum(1)
    pairs = weight.sum(1) * other_weight.sum(1) - ((weight**2).sum(1) if one is other else 0.0)
    return total / pairs


def neighbourhoods(real: NDArray[np.floating], generated: NDArray[np.floating], k: int = 5) -> Neighbourhoods:
    """See `Neighbourhoods`; exact, in blocks.

    Arguments and errors as in `frechet_distance`, but more than `k` features each.
    """
    _check(real, generated, k + 1)
    real, generated = (np.asarray(part, dtype=np.float32) for part in (real, generated))
    real_reach, generated_reach = _reach(real, k), _reach(generated, k)
    inside_real = np.zeros(len(generated), dtype=np.int64)
    nearest_to_real = np.full(len(real), np.inf)
    recalled = np.zeros(len(real), dtype=bool)
    for start in range(0, len(generated), _BLOCK):
        mine = slice(start, start + _BLOCK)
        distance = _distances(generated[mine], real)
        inside_real[mine] = (distance <= real_reach).sum(1)
        nearest_to_real = np.minimum(nearest_to_real, distance.min(0))
        recalled |= (distance <= generated_reach[mine, None]).any(0)
    return Neighbourhoods(inside_real > 0, recalled, inside_real / k, nearest_to_real <= real_reach)


def _reach(features: NDArray[np.float32], k: int) -> NDArray[np.float64]:
    """(N,) distance of each to its k-th other."""
    found = []
    for start in range(0, len(features), _BLOCK):
        distance = _distances(features[start : start + _BLOCK], features)
        rows = np.arange(len(distance))
        distance[rows, rows + start] = -1.0  # itself comes first
        found.append(np.partition(distance, k, axis=1)[:, k])
    return np.concatenate(found)


def _distances(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    one, other = one.astype(np.float64), other.astype(np.float64)
    squared = (one**2).sum(1)[:, None] + (other**2).sum(1) - 2.0 * one @ other.T
    return np.sqrt(np.clip(squared, 0.0, None))


def _check(real: NDArray[np.floating], generated: NDArray[np.floating], least: int) -> None:
    if real.ndim != 2 or generated.ndim != 2 or real.shape[1] != generated.shape[1]:
        raise NonesuchError(f"features of shapes {real.shape} and {generated.shape} cannot be compared")
    for name, features in (("real", real), ("generated", generated)):
        if len(features) < least:
            raise NonesuchError(f"{len(features)} {name} images are too few; this needs {least}")
        if not np.isfinite(features).all():
            raise NonesuchError(f"the features of the {name} images hold NaN or infinity")
