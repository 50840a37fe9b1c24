"""The figures of labelled images that come without a list of comparisons, JSON-ready."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.evaluation.all_pairs import Compared, compare_all
from nonesuch.evaluation.clustering import cluster_scores, linked
from nonesuch.evaluation.curves import REFUSED
from nonesuch.evaluation.discard import error_versus_discard
from nonesuch.evaluation.figures import verification_figures
from nonesuch.evaluation.identification import open_set, rank_figures, search
from nonesuch.evaluation.probes import Embedded
from nonesuch.measures.figure import plain
from nonesuch.measures.metrics import threshold_at

_CLUSTER_FMRS = (1e-5, 1e-4, 1e-3)


def people_figures(labels: NDArray[np.int64], embedded: Embedded) -> dict[str, Any]:
    """What `nonesuch evaluate` reports about labelled images without a list of pairs.

    Verification is over all pairs. Identification is in a gallery of each person's first image, probed by all other
    images, and in a gallery of every second person, where the other half are strangers. Clusters are of images that are
    linked at the thresholds of several FMRs. Images without a face are left out.

    Args:
        labels: (N,) who each image shows; at least two people, one of them twice.

    Returns:
        `verification_figures`; `rank_figures` for ranks 1, 5, 10, 20; tpir by FPIR and clusters by FMR, the strictest
        first (only those that the numbers can resolve), clusters have threshold, number of clusters and
        `cluster_scores`;
        discard: see `error_versus_discard` (quality is the norm of the raw embedding).
    """
    acquired = embedded.acquired
    unit, people = embedded.unit[acquired], labels[acquired]
    pairs = compare_all(unit, people)
    found = verification_figures(pairs, people)
    found["clusters"] = _clusters(pairs, people)
    found["discard"] = error_versus_discard(pairs, people, embedded.norm[acquired])
    _, first = np.unique(people, return_index=True)
    probes = np.setdiff1d(np.arange(len(people)), first)
    places = search(unit[first], people[first], unit[probes], people[probes]).rank
    found |= rank_figures(places, (1, 5, 10, 20), people[probes])
    known = first[::2]
    others = np.setdiff1d(np.arange(len(people)), known)
    searched = search(unit[known], people[known], unit[others], people[others])
    strangers = int((searched.rank == 0).sum())
    fpirs = tuple(fpir for fpir in (1e-1, 1e-2) if fpir * strangers >= 1)
    found["tpir"] = {}
    if fpirs and strangers < len(others):
        found["tpir"] = {f"{fpir:g}": plain(share) for fpir, share in open_set(searched, people[others], fpirs).items()}
    return found


def people_rates(labels: NDArray[np.int64], embedded: Embedded, refused: NDArray[np.bool_]) -> dict[str, Any]:
    """`verification_figures` over all pairs, with (N,) some images refused; those without a face are left out."""
    acquired = embedded.acquired
    pairs = compare_all(embedded.unit[acquired], labels[acquired])
    gone = refused[acquired]
    scores = np.where(gone[pairs.left] | gone[pairs.right], np.float32(REFUSED), pairs.scores)
    return verification_figures(replace(pairs, scores=scores), labels[acquired])


def _clusters(pairs: Compared, people: NDArray[np.int64]) -> dict[str, dict[str, Any]]:
    non_mated = pairs.scores[~pairs.mated]
    found = {}
    for rate in (fmr for fmr in _CLUSTER_FMRS if fmr * len(non_mated) >= 1):
        threshold = threshold_at(non_mated, rate)
        links = pairs.scores >= threshold
        clusters = linked(len(people), pairs.left[links], pairs.right[links])
        counted = {"threshold": threshold, "clusters": int(clusters.max()) + 1}
        found[f"{rate:g}"] = {**counted, **plain(cluster_scores(people, clusters))}
    return found
