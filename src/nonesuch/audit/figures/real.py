"""Parts of audit.json: a dataset beside real photographs, by each embedder."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.audit.figures.view import (
    NO_CONTROL,
    NO_INCEPTION,
    EmbedderView,
    ImageView,
    control_of,
    photographs_of,
)
from nonesuch.audit.judges.inception import figure_name
from nonesuch.audit.looking import INCEPTION, Seen
from nonesuch.audit.reference import Reference
from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import Stream, derive_seed, permutation
from nonesuch.measures.figure import UNKNOWN
from nonesuch.measures.intervals import mean_over_identities
from nonesuch.measures.realism import (
    FID,
    FID_OF_CONTROL,
    frechet_distance,
    frechet_interval,
    kernel_distance,
    neighbourhoods,
)
from nonesuch.measures.separability import identity_centres, separability

_MOST_COMPARED = 10_000  # images of each set in the realism figures, whose cost grows with the square


def realism_figures(view: EmbedderView) -> dict[str, Any]:
    """How near the images lie to the training photographs in the embedder's feature space."""
    reference = photographs_of(view)
    return _realism(view.seen, reference.training, view.name, comparable(view.seen, reference))


def control_figures(view: EmbedderView) -> dict[str, Any]:
    """The same for the control, with as many images."""
    control, reference = control_of(view), photographs_of(view)
    return _realism(control, reference.training, view.name, comparable(view.seen, reference))


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


def people_figures(view: EmbedderView) -> dict[str, Any]:
    """Separability of as many training people as the dataset has identities, of those with two photographs or more.

    Means are more alike than the images that an embedder's threshold was measured on, so even real people do not all
    stay apart.

    Raises:
        NonesuchError: fewer than two people have two photographs.
    """
    real, name = photographs_of(view).training, view.name
    several = real.only(np.bincount(real.identities)[real.identities] > 1)
    count = min(len(view.seen.people), len(several.people))
    found = separability(identity_centres(several.vectors[name], several.identities)[:count])
    everyone = np.arange(count)
    return {
        "people": count,
        "at": {key: mean_over_identities(found.nearest <= cosine, everyone) for key, cosine in view.thresholds.items()},
    }


def fid_figures(view: ImageView) -> dict[str, Any]:
    """The Frechet distance of Inception's features to the training photographs, and that of the control.

    Without intervals: two hundred square roots of 2,048 x 2,048 matrices would take longer than everything else.
    """
    if view.inception is None:
        raise NonesuchError(NO_INCEPTION)
    reference = photographs_of(view)
    found: dict[str, Any] = {"name": figure_name(view.inception)}
    for measure, part in ((FID, view.seen), (FID_OF_CONTROL, reference.control)):
        if part is None:
            found[measure.key] = {UNKNOWN: NO_CONTROL}
            continue
        size = comparable(view.seen, reference)
        (truth, _), (generated, _) = _equally_many(reference.training, part, INCEPTION, size)
        found |= {measure.key: frechet_distance(truth, generated), f"{measure.key}_images": len(truth)}
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
