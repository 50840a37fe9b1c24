"""How well clusters of embeddings are people: pairwise F and BCubed F (Amigo et al., 2009)."""

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.measures.figure import COSINE, COUNT, SHARE, Better, Measure

PAIR_F = Measure(
    "clusters/*/pair_f",
    "pairwise F of clusters at FMR {}",
    SHARE,
    Better.HIGHER,
    interval=False,
    meaning="pairs of images put together, right ones among them and of all: harmonic mean",
)
BCUBED_F = Measure(
    "clusters/*/bcubed_f",
    "BCubed F of clusters at FMR {}",
    SHARE,
    Better.HIGHER,
    interval=False,
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


def cluster_scores(people: NDArray[np.int64], clusters: NDArray[np.int64]) -> dict[str, float]:
    """Precision, recall and F of clusters, over pairs of images and over images (BCubed).

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
    both = np.unique(person * (int(cluster.max()) + 1) + cluster, return_inverse=True)[1]
    of_person, of_cluster, of_both = (np.bincount(labels).astype(np.float64) for labels in (person, cluster, both))

    def pairs(counts: NDArray[np.float64]) -> float:
        return float((counts * (counts - 1) / 2).sum())

    shared = pairs(of_both)
    found = {
        "pair_precision": shared / pairs(of_cluster) if pairs(of_cluster) else 1.0,
        "pair_recall": shared / pairs(of_person) if pairs(of_person) else 1.0,
        "bcubed_precision": float((of_both[both] / of_cluster[cluster]).mean()),
        "bcubed_recall": float((of_both[both] / of_person[person]).mean()),
    }
    for kind in ("pair", "bcubed"):
        precision, recall = found[f"{kind}_precision"], found[f"{kind}_recall"]
        found[f"{kind}_f"] = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return found
