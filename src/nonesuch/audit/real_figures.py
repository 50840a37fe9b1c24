"""Every figure of one dataset, as audit.json holds it: beside real photographs, by each embedder."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.audit.bootstrap import mean_over_identities
from nonesuch.audit.leakage import Leakage, leakage
from nonesuch.audit.looking import INCEPTION, Seen
from nonesuch.audit.realism import frechet_distance, frechet_interval, kernel_distance, neighbourhoods
from nonesuch.audit.reference import Reference
from nonesuch.audit.separability import identity_centres
from nonesuch.core.seeding import Stream, derive_seed, permutation
from nonesuch.core.similarity import nearest

_LISTED = 12  # of the nearest
_MOST_COMPARED = 10_000  # images of each set in the realism figures, whose cost grows with the square


def leakage_figures(seen: Seen, training: Seen, control: Seen | None, name: str, seed: int = 0) -> dict[str, Any]:
    """Each image against each image of the training set and against each of its people's centres.

    Without a control nothing can be said of chance, and nothing is: only the nearest pairs are listed.
    """
    galleries = {
        "images": (training.vectors[name], [item.name for item in training.photographs]),
        "people": (identity_centres(training.vectors[name], training.identities), training.people),
    }
    found = {}
    for kind, (gallery, names) in galleries.items():
        vectors = seen.vectors[name]
        if control is None:
            cosine, row = nearest(vectors, gallery)
            order = np.argsort(-cosine, kind="stable")[:_LISTED]
            worst = [(int(at), int(row[at]), float(cosine[at])) for at in order]
            found[kind] = {"compared": len(vectors), "worst": _named(seen, worst, names)}
        else:
            searched = leakage(vectors, seen.identities, control.vectors[name], control.identities, gallery, seed)
            found[kind] = {**_judged(searched), "worst": _named(seen, searched.worst(_LISTED), names)}
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
    edges = np.linspace(-1.0, 1.0, 101)
    return {
        "compared": len(found.generated_rows),
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


def realism_figures(seen: Seen, real: Seen, name: str, seed: int = 0) -> dict[str, Any]:
    """How near the images lie to real ones in the feature space of one embedder; equally many of each."""
    (truth, people), (generated, identities) = _equally_many(real, seen, name, seed)
    near = neighbourhoods(truth, generated)
    return {
        "images_of_each": len(truth),
        "frechet_distance": frechet_interval(truth, people, generated, identities),
        "kernel_distance": kernel_distance(truth, generated, seed),
        "precision": mean_over_identities(near.precision, identities),
        "recall": mean_over_identities(near.recall, people),
        "density": mean_over_identities(near.density, identities),
        "coverage": mean_over_identities(near.coverage, people),
    }


def fid_figures(seen: Seen, reference: Reference, seed: int = 0) -> dict[str, Any]:
    """The Frechet distance of Inception's features to the training photographs, and that of the control.

    Without intervals: two hundred square roots of 2,048 x 2,048 matrices would take longer than all else.
    """
    found: dict[str, Any] = {}
    for key, part in (("frechet_distance", seen), ("frechet_distance_of_control", reference.control)):
        if part is not None:
            (truth, _), (generated, _) = _equally_many(reference.training, part, INCEPTION, seed)
            found |= {key: frechet_distance(truth, generated), f"{key}_images": len(truth)}
    return found


def _equally_many(
    real: Seen, generated: Seen, name: str, seed: int
) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """A draw of each set: vectors and labels."""
    size = min(len(real.photographs), len(generated.photographs), _MOST_COMPARED)
    parts = []
    for side, part in enumerate((real, generated)):
        rows = np.sort(permutation(derive_seed(seed, side), Stream.SPLIT, len(part.photographs))[:size])
        parts.append((part.vectors[name][rows], part.identities[rows]))
    return parts
