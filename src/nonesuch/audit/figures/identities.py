"""Parts of audit.json: identities, by each embedder, and doubled pictures."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.audit.figures.view import EmbedderView, ImageView
from nonesuch.core.errors import NonesuchError
from nonesuch.embedders.embedder import EmbedderCard
from nonesuch.measures.diversity import vendi_of_identities
from nonesuch.measures.duplicates import has_near_twin, similar_hashes
from nonesuch.measures.intervals import mean_over_identities
from nonesuch.measures.scores import study
from nonesuch.measures.separability import (
    half_similarity,
    identity_centres,
    look_alikes,
    matches_another,
    separability,
    threshold_at,
)
from nonesuch.measures.similarity import mean_of_pairs, normalised

FMRS = (1e-3, 1e-4, 1e-5)
PAPER_THRESHOLD = 0.4  # that of Vec2Face, for embedders whose non-mated images lie around a cosine of 0
_NEAR_THRESHOLD = 0.2  # below the threshold of FMR 1e-3
_POINTS = 50  # of the curve over the dataset's size
_LISTED = 12  # of the worst of everything
_LINKS = 30  # pairs of identities that make groups of look-alikes
_HALVES = 0.05  # quantile of the cosine of an identity's two halves, from which two identities may be one person
_BY_CHANCE = 1e-3  # share of identities that corrected thresholds take for another by chance
_SAME_PICTURE = 0.9  # of the way from the mean non-mated cosine to 1, for embeddings of one picture


def known_thresholds(card: EmbedderCard) -> dict[str, float]:
    """The embedder's own thresholds, by their names in audit.json."""
    cosines = {f"fmr {fmr:g}": card.known_threshold(fmr) for fmr in FMRS}
    return {key: cosine for key, cosine in cosines.items() if cosine is not None}


def by_rate(view: EmbedderView) -> dict[float, float]:
    """The embedder's own thresholds by FMR."""
    return {fmr: view.thresholds[key] for fmr in FMRS if (key := f"fmr {fmr:g}") in view.thresholds}


def study_figures(view: EmbedderView) -> dict[str, Any]:
    """Scores of mated and of non-mated images."""
    return dataclasses.asdict(study(view.vectors, view.seen.identities, thresholds=view.thresholds))


def separability_figures(view: EmbedderView) -> dict[str, Any]:
    """Are identities different people? By the embedder's thresholds and the paper's."""
    seen, vectors = view.seen, view.vectors
    found = separability(identity_centres(vectors, seen.identities))
    halves = half_similarity(vectors, seen.identities)
    by_chance = _BY_CHANCE / len(seen.people)
    least = np.nan
    if len(halves):
        # Where strangers are as alike as one person's halves, chance has no say: nobody can be told apart.
        usual, half = (float(quantile) for quantile in np.quantile(halves, (_HALVES, 0.5)))
        least = max(usual, min(found.reached_by_chance(by_chance), half))
    twice, card = found.largest >= least, threshold_at(by_rate(view), min(FMRS[-1], by_chance))
    if card is not None:
        twice |= matches_another(vectors, seen.identities, found.largest, card)
    known = card is not None or bool(twice.any())  # the set's own halves say little where all images are alike
    everyone = np.arange(len(seen.people))
    sizes = np.unique(np.linspace(1, len(everyone), _POINTS).round().astype(np.int64))
    thresholds = dict(view.thresholds)
    if _tells_strangers_apart(PAPER_THRESHOLD, view):
        thresholds = {f"cosine {PAPER_THRESHOLD:g}": PAPER_THRESHOLD, **thresholds}
    return {
        "identities": len(everyone),
        "twice": {
            "cosine": least,
            "cosine_of_images": card,
            "identities": int(twice.sum()) if known else None,
            "share": mean_over_identities(twice if known else np.full(len(everyone), np.nan), everyone),
        },
        "at": {
            key: {
                "cosine": cosine,
                "count": found.separable(cosine),
                "share": mean_over_identities(found.nearest <= cosine, everyone),
                "colliding": mean_over_identities(found.largest > cosine, everyone),
            }
            for key, cosine in thresholds.items()
        },
        "curve": {
            "sizes": sizes.tolist(),
            "count": {key: found.curve(cosine, sizes).tolist() for key, cosine in thresholds.items()},
        },
        "closest": [
            {"first": seen.people[first], "second": seen.people[second], "cosine": cosine}
            for first, second, cosine in found.closest(_LISTED)
        ],
        "look_alikes": [
            {"identities": [seen.people[person] for person in group], "cosine": cosine}
            for group, cosine in look_alikes(found.closest(_LINKS))
        ],
    }


def consistency_figures(view: EmbedderView) -> dict[str, Any]:
    """Do images show their identity? By the embedder's thresholds."""
    seen, found = view.seen, view.consistency
    if found.single == len(seen.people):
        raise NonesuchError("no identity has two images; consistency needs two")

    def listed(rows: NDArray[np.int64]) -> list[dict[str, Any]]:
        return [
            {
                "file": seen.photographs[row].name,
                "identity": seen.people[seen.identities[row]],
                "cosine": float(found.own[row]),
                "nearest_other": seen.people[found.other_identity[row]] if np.isfinite(found.other[row]) else None,
                "cosine_to_other": float(found.other[row]),
            }
            for row in rows
        ]

    at = {}
    for key, cosine in view.thresholds.items():
        wrong = found.mislabelled(cosine)
        at[key] = {
            "cosine": cosine,
            "refused": found.refused(cosine, seen.identities),
            "mislabelled": len(wrong),
            "mislabelled_images": listed(wrong[np.argsort(found.own[wrong], kind="stable")][:_LISTED]),
        }
    return {
        "own": mean_over_identities(found.own, seen.identities),
        "single_image_identities": found.single,
        "at": at,
        "outliers": listed(found.outliers(_LISTED)),
    }


def diversity_figures(view: EmbedderView) -> dict[str, Any]:
    """How much do the images of an identity differ?"""
    seen, vectors = view.seen, view.vectors
    scores = vendi_of_identities(vectors, seen.identities)
    if not len(scores):
        raise NonesuchError("no identity has two images; diversity needs two")
    sizes = np.bincount(seen.identities)
    least = _agreeing(normalised(vectors))
    near = has_near_twin(vectors, seen.identities, least)
    return {
        "near_duplicates": mean_over_identities(near, seen.identities),
        "vendi": mean_over_identities(scores, np.arange(len(scores))),
        "vendi_share": mean_over_identities(scores / sizes[sizes > 1], np.arange(len(scores))),
    }


def duplicate_figures(view: ImageView) -> dict[str, Any]:
    """Pictures that are nearly the same: by perceptual hash, and the ones among them that every embedder confirms.

    Embeddings confirm it if their cosine is at least nine tenths of the way from the mean cosine of two images to 1.
    """
    seen = view.seen
    alike = similar_hashes(seen.columns["phash"])
    confirmed = []
    units = {name: normalised(vectors) for name, vectors in seen.vectors.items()}
    least = {name: _agreeing(unit) for name, unit in units.items()}
    for first, second in alike:
        cosines = {name: float(unit[first] @ unit[second]) for name, unit in units.items()}
        if all(cosines[name] >= least[name] for name in cosines):
            confirmed.append((first, second, min(cosines.values())))
    across = sum(seen.identities[first] != seen.identities[second] for first, second, _ in confirmed)
    doubled = np.zeros(len(seen.photographs), dtype=bool)
    doubled[[second for _, second, _ in confirmed]] = True
    return {
        "similar_hashes": len(alike),
        "share": mean_over_identities(doubled, seen.identities),
        "images": int(doubled.sum()),
        "across_identities": int(across),
        "pairs": [
            {"first": seen.photographs[first].name, "second": seen.photographs[second].name, "cosine": cosine}
            for first, second, cosine in sorted(confirmed, key=lambda item: -item[2])[:_LISTED]
        ],
    }


def _tells_strangers_apart(cosine: float, view: EmbedderView) -> bool:
    """Whether a cosine that is not the embedder's own threshold is of use for it: one that nearly all strangers exceed
    would call everybody the same person."""
    if (known := view.thresholds.get("fmr 0.001")) is not None:
        return cosine > known - _NEAR_THRESHOLD
    return mean_of_pairs(normalised(view.vectors)) < cosine / 2


def _agreeing(unit: NDArray[np.float32]) -> float:
    """The cosine from which two embeddings may be of one picture."""
    mean = mean_of_pairs(unit)
    return min(mean + _SAME_PICTURE * (1.0 - mean), 0.995)  # in a collapsed set nothing would agree
