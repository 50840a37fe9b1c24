"""Searches in which every image of the gallery counts by itself and several show one person."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.evaluation.identification import NEVER, check_searchable
from nonesuch.measures.figure import SHARE, Better, Measure

MEAN_PRECISION = Measure(
    "map",
    "mean average precision",
    SHARE,
    Better.HIGHER,
    meaning="mean over searches of the average precision over the person's images",
)

_BLOCK = 256  # probes compared at once


@dataclass(frozen=True)
class Retrieval:
    """What each probe found.

    Attributes:
        rank: (P,) int64 place of the first image of the own person among all images, 1 for the first; NEVER where none
            is found.
        average_precision: (P,) by trapezoids (Philbin et al., CVPR 2007), as TinyFace and Market-1501 are scored.
    """

    rank: NDArray[np.int64]
    average_precision: NDArray[np.float64]


def retrieve(
    gallery: NDArray[np.float32],
    gallery_people: NDArray[np.int64],
    probes: NDArray[np.float32],
    probe_people: NDArray[np.int64],
) -> Retrieval:
    """Order the images of the gallery by their cosine to each probe.

    Ties count against the own person. A row of zeros, for a face that was not acquired, is not found and finds nothing,
    but counts in the recall.

    Args:
        gallery, probes: (G, D) and (P, D) unit vectors.
        gallery_people, probe_people: (G,) and (P,) who is shown; each probe's person is in the gallery.

    Raises:
        NonesuchError: the gallery or the probes are empty, or a vector is not finite.
    """
    check_searchable(gallery, probes)
    refused = ~gallery.any(axis=1)
    rank = np.full(len(probes), NEVER)
    precision = np.zeros(len(probes))
    for start in range(0, len(probes), _BLOCK):
        cosines = probes[start : start + _BLOCK] @ gallery.T
        cosines[:, refused] = -np.inf
        for row, scores in enumerate(cosines, start=start):
            own = gallery_people == probe_people[row]
            found = np.sort(scores[own & ~refused])[::-1]
            if len(found) and probes[row].any():
                ahead = np.array([np.count_nonzero(scores[~own] >= score) for score in found])
                hits = np.arange(1, len(found) + 1)
                places = ahead + hits
                before = np.where(places > 1, (hits - 1) / np.maximum(places - 1, 1), 1.0)
                rank[row] = places[0]
                precision[row] = ((before + hits / places) / 2).sum() / own.sum()
    return Retrieval(rank, precision)
