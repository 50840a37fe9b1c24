"""Do the images of an identity show one person? Mated similarity, images refused as themselves, wrong labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.measures.figure import COSINE, COUNT, SHARE, Better, Bounds, Figure, Measure
from nonesuch.measures.grouping import group_sums, rows_by_identity
from nonesuch.measures.intervals import mean_over_identities
from nonesuch.measures.separability import check_vectors
from nonesuch.measures.similarity import normalised

_BLOCK = 1024

REFUSED = Measure(
    "at/*/refused",
    "images refused as their own identity at {}",
    SHARE,
    Better.LOWER,
    bounds=Bounds(
        "images show their identity",
        0.05,
        0.15,
        "share of images refused as their own identity at FMR 1e-4: green up to 5%, amber up to 15%",
        at="fmr 0.0001",
    ),
    meaning="images below the embedder's threshold of this FMR with the mean of their identity's others",
)
MISLABELLED = Measure(
    "at/*/mislabelled",
    "images nearer to another identity at {}",
    COUNT,
    Better.LOWER,
    interval=False,
    meaning="images that this threshold refuses as their own identity and accepts as another, which is nearer",
)
OWN = Measure(
    "own",
    "cosine of an image to its identity's others",
    COSINE,
    meaning="cosine of an image to the mean of its identity's other images",
)


@dataclass(frozen=True)
class Consistency:
    """Each image against its own identity and against all others.

    Attributes:
        own: (N,) float32 cosine to the mean of the identity's other images; NaN for an identity's only image.
        other: (N,) float32 largest cosine to another identity's mean.
        other_identity: (N,) int64 the identity of that mean.
        single: identities with one image, about which nothing can be said here.
    """

    own: NDArray[np.float32]
    other: NDArray[np.float32]
    other_identity: NDArray[np.int64]
    single: int

    def refused(self, threshold: float, identities: NDArray[np.int64]) -> Figure:
        """Share of the images that are below the threshold with their own identity; 95% over identities."""
        known = ~np.isnan(self.own)
        if not known.any():
            raise NonesuchError("no identity has two images; consistency needs two")
        return mean_over_identities(self.own[known] < threshold, identities[known])

    def outliers(self, count: int) -> NDArray[np.int64]:
        """The images that are least like their identity, the worst first."""
        order = np.argsort(np.where(np.isnan(self.own), np.inf, self.own), kind="stable")
        return order[: min(count, int((~np.isnan(self.own)).sum()))]

    def mislabelled(self, threshold: float) -> NDArray[np.int64]:
        """Images that are below the threshold with their own identity and above it with another, which is nearer."""
        return np.flatnonzero((self.own < threshold) & (self.other >= threshold) & (self.other > self.own))


def consistency(unit: NDArray[np.float32], identities: NDArray[np.int64]) -> Consistency:
    """Compare images with identities.

    Args:
        unit: (N, D) embeddings of the images, of any length.
        identities: (N,) labels.

    Raises:
        NonesuchError: there are no images, or one whose embedding is zero or not finite.
    """
    if not len(unit):
        raise NonesuchError("there are no images")
    check_vectors(unit)
    unit = normalised(np.asarray(unit, dtype=np.float32))
    names, place = np.unique(identities, return_inverse=True)
    counts = np.bincount(place)
    sums = group_sums(unit, place)
    centres = normalised(sums.astype(np.float32))
    own = np.full(len(unit), np.nan, dtype=np.float32)
    other = np.full(len(unit), -np.inf, dtype=np.float32)
    whose = np.zeros(len(unit), dtype=np.int64)
    for start in range(0, len(unit), _BLOCK):
        rows, mine = unit[start : start + _BLOCK], place[start : start + _BLOCK]
        rest = normalised((sums[mine] - rows).astype(np.float32))
        with_others = counts[mine] > 1
        cosine = np.einsum("nd,nd->n", rows, rest)
        own[start : start + _BLOCK][with_others] = cosine[with_others]
        if len(names) > 1:
            against = rows @ centres.T
            against[np.arange(len(rows)), mine] = -np.inf
            at = against.argmax(1)
            other[start : start + _BLOCK] = against[np.arange(len(rows)), at]
            whose[start : start + _BLOCK] = names[at]
    return Consistency(own, other, whose, int((counts == 1).sum()))


def mated_similarity(unit: NDArray[np.float32], identities: NDArray[np.int64]) -> NDArray[np.float32]:
    """All cosines between two images of one identity: (P,)."""
    unit = normalised(np.asarray(unit, dtype=np.float32))
    found = [np.zeros(0, dtype=np.float32)]
    for rows in rows_by_identity(identities):
        cosine = unit[rows] @ unit[rows].T
        found.append(cosine[np.triu_indices(len(rows), 1)])
    return np.concatenate(found)
