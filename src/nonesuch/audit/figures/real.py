"""Parts of audit.json: a dataset beside real photographs, by each embedder."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.audit.figures.view import EmbedderView
from nonesuch.audit.looking import INCEPTION, Seen
from nonesuch.audit.reference import Reference
from nonesuch.core.seeding import Stream, derive_seed, permutation
from nonesuch.measures.duplicates import picture_threshold
from nonesuch.measures.intervals import mean_over_identities
from nonesuch.measures.leakage import Leakage, Search, leakage
from nonesuch.measures.realism import frechet_distance, frechet_interval, kernel_distance, neighbourhoods
from nonesuch.measures.separability import identity_centres, separability
from nonesuch.measures.similarity import nearest

_LISTED = 12  # of the nearest
_MOST_COMPARED = 10_000  # images of each set in the realism figures, whose cost grows with the square


def leakage_figures(view: EmbedderView, reference: Reference) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """Each image against each image of the training set and against each of its people's centres.

    Without a control, nothing can be said about chance: only the nearest pairs are listed. An image counts as a copy of
    a training photograph if their cosine is at least the `picture_threshold` of the embedder's at FMR 1e-3.

    Returns:
        The figures, and (N,) each image's cosine to the nearest training photograph.
    """
    training, control, name = reference.training, reference.control, view.name
    same = view.thresholds.get("fmr 0.001")
    copy = None if same is None else picture_threshold(same)
    galleries = {
        "images": (training.vectors[name], reference.names),
        "people": (identity_centres(training.vectors[name], training.identities), training.people),
    }
    found: dict[str, Any] = {}
    searches: dict[str, Search] = {}
    for kind, (gallery, names) in galleries.items():
        vectors = view.vectors
        if control is None:
            searches[kind] = Search(*nearest(vectors, gallery))
            found[kind] = {"searched": len(vectors)}
        else:
            searched = leakage(vectors, view.seen.identities, control.vectors[name], control.identities, gallery)
            searches[kind] = searched.generated
            found[kind] = _judged(searched)
        found[kind]["worst"] = _named(view.seen, searches[kind].worst(_LISTED), names)
    cosine = searches["images"].cosine
    found["images"]["copies"] = None if copy is None else int((cosine >= copy).sum())
    return found, cosine


def _named(seen: Seen, worst: list[tuple[int, int, float]], names: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "file": seen.photographs[image].name,
            "identity": seen.people[seen.identities[image]],
            "nearest": names[row],
            "cosine": cosine,
        }
        for image, row, cosine in worst
    ]


def _judged(found: Leakage) -> dict[str, Any]:
    edges = np.linspace(-1.0, 1.0, 401)
    return {
        "searched": len(found.generated.cosine),
        "compared_with_control": len(found.generated_rows),
        "control": len(found.control.cosine),
        "excess": {f"control {share:g}": figure for share, figure in found.excess.items()},
        "thresholds": {f"control {share:g}": cut for share, cut in found.thresholds.items()},
        "quantiles": {
            f"{share:g}": {"generated": generated, "control": control}
            for share, (generated, control) in found.quantiles.items()
        },
        "histogram": {
            "edges": edges.tolist(),
            **{
                key: (np.histogram(part.cosine.clip(-1, 1), edges)[0] / len(part.cosine)).tolist()
                for key, part in (("generated", found.generated), ("control", found.control))
            },
        },
    }


def realism_figures(view: EmbedderView, reference: Reference) -> dict[str, Any]:
    """How near the images lie to the training photographs in the embedder's feature space."""
    return _realism(view.seen, reference.training, view.name, comparable(view.seen, reference))


def control_figures(view: EmbedderView, reference: Reference) -> dict[str, Any] | None:
    """The same for the control, with as many images; None without one."""
    if reference.control is None:
        return None
    return _realism(reference.control, reference.training, view.name, comparable(view.seen, reference))


def _realism(seen: Seen, real: Seen, name: str, size: int) -> dict[str, Any]:
    (truth, people), (generated, identities) = _equally_many(real, seen, name, size)
    near = neighbourhoods(truth, generated)
    return {
        "images_of_each": len(truth),
        "frechet_distance": frechet_interval(truth, people, generated, identities),
        "kernel_distance": kernel_distance(truth, people, generated, identities),
        "precision": mean_over_identities(near.precision, identities),
        "recall": mean_over_identities(near.recall, people),
        "density": mean_over_identities(near.density, identities),
        "coverage": mean_over_identities(near.coverage, people),
    }


def people_figures(view: EmbedderView, reference: Reference) -> dict[str, Any]:
    """Separability of as many training people as the dataset has identities, of those with two photographs or more.

    Means are more alike than the images that an embedder's threshold was measured on, so even real people do not all
    stay apart.

    Raises:
        NonesuchError: fewer than two people have two photographs.
    """
    real, name = reference.training, view.name
    several = real.only(np.bincount(real.identities)[real.identities] > 1)
    count = min(len(view.seen.people), len(several.people))
    found = separability(identity_centres(several.vectors[name], several.identities)[:count])
    everyone = np.arange(count)
    return {
        "people": count,
        "at": {key: mean_over_identities(found.nearest <= cosine, everyone) for key, cosine in view.thresholds.items()},
    }


def fid_figures(seen: Seen, reference: Reference) -> dict[str, Any]:
    """The Frechet distance of Inception's features to the training photographs, and that of the control.

    Without intervals: two hundred square roots of 2,048 x 2,048 matrices would take longer than everything else.
    """
    found: dict[str, Any] = {}
    for key, part in (("frechet_distance", seen), ("frechet_distance_of_control", reference.control)):
        if part is not None:
            size = comparable(seen, reference)
            (truth, _), (generated, _) = _equally_many(reference.training, part, INCEPTION, size)
            found |= {key: frechet_distance(truth, generated), f"{key}_images": len(truth)}
    return found


def comparable(seen: Seen, reference: Reference) -> int:
    """How many images of each set are compared; figures depend on it, so it is one for both."""
    control = [] if reference.control is None else [len(reference.control.photographs)]
    return min(len(seen.photographs), len(reference.training.photographs), *control, _MOST_COMPARED)


def _equally_many(
    real: Seen, generated: Seen, name: str, size: int
) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """A draw from each set: vectors and labels."""
    parts = []
    for side, part in enumerate((real, generated)):
        rows = np.sort(permutation(derive_seed(0, side), Stream.SPLIT, len(part.photographs))[:size])
        parts.append((part.vectors[name][rows], part.identities[rows]))
    return parts
