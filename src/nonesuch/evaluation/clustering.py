"""How well clusters of embeddings are people: pairwise F and BCubed F (Amigo et al., 2009)."""

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.measures.figure import COSINE, COUNT, SHARE, Better, Figure, Measure
from nonesuch.measures.intervals import with_intervals

PAIR_F = Measure(
    "clusters/*/pair_f",
    "pairwise F of clusters at FMR {}",
    SHARE,
    Better.HIGHER,
    meaning="pairs of images put together, right ones among them and of all: harmonic mean",
)
BCUBED_F = Measure(
    "clusters/*/bcubed_f",
    "BCubed F of clusters at FMR {}",
    SHARE,
    Better.HIGHER,
    meaning="the same over images instead of pairs",
)
CLUSTERS = Measure("clusters/*/clusters", "clusters at FMR {}", COUNT, interval=False, meaning="how many there are")
CLUSTER_THRESHOLD = Measure(
    "clusters/*/threshold", "links from, at FMR {}", COSINE, interval=False, meaning="the cosine that links two images"
)


def linked(count: int, left: NDArray[np.integer], right: NDArray[np.integer]) -> NDArray[np.int64]:
    """Single-linkage clusters: images that are linked, directly or through others, are one cluster.

    Args:
        count: number of images.
        left, right: (L,) the rows of the images of each link, such as comparisons above a threshold.

    Returns:
        (N,) cluster of each, numbered by their first image.
    """
    parent = list(range(count))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for first, second in zip(left.tolist(), right.tolist(), strict=True):
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    return np.unique([root(row) for row in range(count)], return_inverse=True)[1].astype(np.int64)


def cluster_scores(people: NDArray[np.int64], clusters: NDArray[np.int64]) -> dict[str, Figure]:
    """Precision, recall and F of clusters, over pairs of images and over images (BCubed), with intervals over people.

    In a resample a person drawn k times counts as k people: pairs of one person's images k times, pairs of two people's
    as often as both were drawn together (see `people_drawn`). The clusters stay as they are.

    Args:
        people, clusters: (N,) labels of each image.

    Returns:
        pair_precision, pair_recall, pair_f, bcubed_precision, bcubed_recall, bcubed_f; 1 where there is no pair.

    Raises:
        NonesuchError: nothing to score.
    """
    if not len(people):
        raise NonesuchError("there are no images to cluster")
    person = np.unique(people, return_inverse=True)[1].astype(np.int64)
    cluster = np.unique(clusters, return_inverse=True)[1].astype(np.int64)
    shares, count = int(cluster.max()) + 1, int(person.max()) + 1
    cells, sizes = np.unique(person * shares + cluster, return_counts=True)
    of_person, of_cluster, size = cells // shares, cells % shares, sizes.astype(np.float64)
    images = np.bincount(person).astype(np.float64)

    def scores(drawn: NDArray[np.float64]) -> dict[str, float]:
        weight = drawn[of_person]
        total = np.bincount(of_cluster, weight * size, shares)
        others = total[of_cluster] - weight * size  # of the cluster's images, those of others than the cell's person
        shared = (weight * _pairs(size)).sum()
        mixed = (weight * size * others).sum() / 2.0
        mated = (drawn * _pairs(images)).sum()
        found = {
            "pair_precision": shared / (shared + mixed) if shared + mixed else 1.0,
            "pair_recall": shared / mated if mated else 1.0,
            "bcubed_precision": float(np.average(size / (size + others), weights=weight * size)),
            "bcubed_recall": float(np.average(size / images[of_person], weights=weight * size)),
        }
        for kind in ("pair", "bcubed"):
            precision, recall = found[f"{kind}_precision"], found[f"{kind}_recall"]
            found[f"{kind}_f"] = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        return found

    exact = scores(np.ones(count))
    return with_intervals(exact, count, scores, dict.fromkeys(exact, 0))


def _pairs(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return counts * (counts - 1) / 2
