"""Identification, 1:N: who in a gallery is it, and is it anyone in the gallery at all (ISO/IEC 19795-1)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.measures.figure import SHARE, Better, Figure, Measure, plain
from nonesuch.measures.intervals import mean_over_identities, with_intervals

RANK = Measure(
    "rank/*",
    "rank {}",
    SHARE,
    Better.HIGHER,
    meaning="searches that find their person among so many first candidates",
)
TPIR = Measure(
    "tpir/*",
    "TPIR at FPIR {}",
    SHARE,
    Better.HIGHER,
    meaning="known people found first and above the threshold at which this share of strangers finds anyone",
)

_BLOCK = 1024  # probes compared at once
_CMC = 20  # ranks of the curve
NEVER = np.iinfo(np.int64).max  # the rank of an identity that cannot be found


@dataclass(frozen=True)
class Search:
    """What a search of a gallery found for each probe.

    Attributes:
        rank: (P,) int64 place of the own identity, 1 for the first; 0 where the gallery does not hold it.
        own: (P,) best cosine to the own identity, -inf where the gallery does not hold it.
        other: (P,) best cosine to any other identity, -inf where there is none.
    """

    rank: NDArray[np.int64]
    own: NDArray[np.float32]
    other: NDArray[np.float32]


def search(
    gallery: NDArray[np.float32],
    gallery_people: NDArray[np.int64],
    probes: NDArray[np.float32],
    probe_people: NDArray[np.int64],
) -> Search:
    """Search unit vectors (P, D) among unit vectors (G, D); an identity counts by its nearest gallery vector.

    Ties count against the own identity. A row of zeros, for a face that was not acquired, matches nothing: its identity
    has a rank that is never reached. Memory holds one block of probes against the whole gallery.

    Raises:
        NonesuchError: the gallery or the probes are empty, or a vector is not finite.
    """
    check_searchable(gallery, probes)
    identities, place = np.unique(gallery_people, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(identities)))
    ordered = gallery[order]
    refused = ~ordered.any(1)
    rank, own, other = [], [], []
    for start in range(0, len(probes), _BLOCK):
        part = probes[start : start + _BLOCK]
        cosines = part @ ordered.T
        cosines[:, refused] = -np.inf
        cosines[~part.any(1)] = -np.inf
        best = np.maximum.reduceat(cosines, starts, axis=1)
        people = probe_people[start : start + _BLOCK]
        at = np.searchsorted(identities, people).clip(max=len(identities) - 1)
        known, rows = identities[at] == people, np.arange(len(people))
        mine = np.where(known, best[rows, at], -np.inf)
        best[rows[known], at[known]] = -np.inf
        reached = np.where(np.isneginf(mine), NEVER, 1 + (best >= mine[:, None]).sum(1))
        rank.append(np.where(known, reached, 0))
        own.append(mine)
        other.append(best.max(1))
    return Search(np.concatenate(rank), np.concatenate(own), np.concatenate(other))


def check_searchable(gallery: NDArray[np.float32], probes: NDArray[np.float32]) -> None:
    """Raises NonesuchError if the gallery or the probes are empty, or a vector is not finite."""
    if not len(gallery) or not len(probes):
        raise NonesuchError("identification needs a gallery and probes; one of them is empty")
    if not np.isfinite(gallery).all() or not np.isfinite(probes).all():
        raise NonesuchError("an embedding holds NaN or infinity")


def cumulative_match(places: NDArray[np.int64], ranks: tuple[int, ...] = (1, 5, 10, 20)) -> dict[int, float]:
    """Share of the probes with an identity in the gallery that have it among the first k, for each k.

    Args:
        places: (P,) rank of each probe's own identity, 0 where the gallery does not hold it.

    Raises:
        NonesuchError: the gallery holds no probe's identity.
    """
    known = places[places > 0]
    if not len(known):
        raise NonesuchError("the gallery holds none of the probes' identities")
    return {k: float((known <= k).mean()) for k in ranks}


def rank_figures(places: NDArray[np.int64], ranks: tuple[int, ...], people: NDArray[np.int64]) -> dict[str, Any]:
    """The CMC curve of searches, JSON-ready.

    Args:
        places: as in `cumulative_match`.
        people: (P,) whom the probes show.

    Returns:
        rank: `cumulative_match` at some ranks, with intervals; cmc: at 1, 2, .. 20; cmc_low, cmc_high: 95% over people.
    """
    cumulative_match(places)  # or an error
    known = places > 0
    along = {k: mean_over_identities(places[known] <= k, people[known]) for k in range(1, _CMC + 1)}
    return {
        "rank": {str(k): plain(along[k]) for k in ranks},
        "cmc": [figure.value for figure in along.values()],
        "cmc_low": [plain(figure.low) for figure in along.values()],
        "cmc_high": [plain(figure.high) for figure in along.values()],
    }


def open_set(found: Search, people: NDArray[np.int64], fpirs: tuple[float, ...] = (1e-1, 1e-2)) -> dict[float, Figure]:
    """TPIR at FPIR: known probes accepted as themselves at rank 1, where so many unknown ones are taken for anyone.

    The threshold is the lowest at which at most the share FPIR of the probes without a gallery identity match anyone.
    Each resample of the people, for the interval, has its own.

    Args:
        people: (P,) whom the probes show.

    Raises:
        NonesuchError: there are no known or no unknown probes.
    """
    known = found.rank > 0
    if known.all() or not known.any():
        raise NonesuchError("open-set identification needs probes inside and outside the gallery")
    order = np.argsort(-found.other[~known], kind="stable")
    alarms = found.other[~known][order]
    right = np.where(found.rank[known] == 1, found.own[known], -np.inf)
    place = np.unique(people, return_inverse=True)[1]
    of_known, of_strangers = place[known], place[~known][order]

    def shares(weights: NDArray[np.float64]) -> dict[str, float]:
        ahead, drawn = np.cumsum(weights[of_strangers]), weights[of_known]
        if not ahead[-1] or not drawn.sum():
            return dict.fromkeys(map(str, fpirs), np.nan)
        allowed = [int(np.searchsorted(ahead, fpir * ahead[-1] + 1e-9, side="right")) for fpir in fpirs]
        cuts = [alarms[count] if count < len(alarms) else -np.inf for count in allowed]
        return {str(fpir): float(drawn[right > cut].sum() / drawn.sum()) for fpir, cut in zip(fpirs, cuts, strict=True)}

    count = int(place.max()) + 1
    share_of = dict.fromkeys(map(str, fpirs), len(np.unique(of_known)))
    figures = with_intervals(shares(np.ones(count)), count, shares, share_of)
    return {fpir: figures[str(fpir)] for fpir in fpirs}
