"""Part of audit.json: do the images show people of the generator's training set?"""

from typing import Any

import numpy as np

from nonesuch.audit.figures.view import NO_CONTROL, EmbedderView, photographs_of
from nonesuch.audit.looking import Seen
from nonesuch.measures.duplicates import picture_threshold
from nonesuch.measures.figure import UNKNOWN
from nonesuch.measures.leakage import Leakage, Search, leakage
from nonesuch.measures.separability import identity_centres
from nonesuch.measures.similarity import nearest

LEAKAGE = "leakage"
_LISTED = 12  # of the nearest


def leakage_figures(view: EmbedderView) -> dict[str, Any]:
    """Each image against each image of the training set and against each of its people's centres.

    Without a control, nothing can be said about chance: only the nearest pairs are listed. An image counts as a copy of
    a training photograph if their cosine is at least the `picture_threshold` of the embedder's at FMR 1e-3.
    """
    reference, name = photographs_of(view), view.name
    training, control = reference.training, reference.control
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
            found[kind] = {"searched": len(vectors), "excess": {UNKNOWN: NO_CONTROL}}
        else:
            searched = leakage(vectors, view.seen.identities, control.vectors[name], control.identities, gallery)
            searches[kind] = searched.generated
            found[kind] = _judged(searched)
        found[kind]["worst"] = _named(view.seen, searches[kind].worst(_LISTED), names)
    cosine = searches["images"].cosine
    found["images"]["copies"] = None if copy is None else int((cosine >= copy).sum())
    return found


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
