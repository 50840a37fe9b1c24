"""Part of audit.json: do the images show people of the generator's training set?"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.audit.figures.identities import by_rate
from nonesuch.audit.figures.view import NO_CONTROL, EmbedderView, photographs_of
from nonesuch.audit.looking import Seen
from nonesuch.core.errors import NonesuchError
from nonesuch.measures.duplicates import picture_threshold
from nonesuch.measures.figure import UNKNOWN
from nonesuch.measures.leakage import Search, leakage, search
from nonesuch.measures.separability import identity_centres
from nonesuch.measures.suspects import Compared, Suspects, suspects

LEAKAGE = "leakage"
_LISTED = 12  # of the nearest


def leakage_figures(view: EmbedderView) -> dict[str, Any]:
    """Each image against each image of the training set and against each of its people's centres; each identity against
    each training person.

    Without a control, nothing can be said about chance: the nearest pairs are listed, and only the embedder's threshold
    judges identities. An image counts as a copy of a training photograph if their cosine is at least the
    `picture_threshold` of the embedder's at FMR 1e-3.
    """
    reference, name = photographs_of(view), view.name
    training, control = reference.training, reference.control
    same = view.thresholds.get("fmr 0.001")
    copy = None if same is None else picture_threshold(same)
    centres = identity_centres(training.vectors[name], training.identities)
    galleries = {"images": (training.vectors[name], reference.names), "people": (centres, training.people)}
    found: dict[str, Any] = {}
    for kind, (gallery, names) in galleries.items():
        mine = view.nearest if kind == "images" and view.nearest is not None else search(view.vectors, gallery)
        theirs = None if control is None else search(control.vectors[name], gallery)
        found[kind] = {
            "searched": len(mine.cosine),
            **_judged(mine, view.seen, theirs, control),
            "worst": _named(view.seen, mine.worst(_LISTED), names),
        }
        if kind == "images":
            found[kind]["copies"] = None if copy is None else int((mine.cosine >= copy).sum())
    compared = Compared(view.vectors, view.seen.identities, mine)
    strangers = None
    if control is not None and theirs is not None:
        strangers = Compared(control.vectors[name], control.identities, theirs)
    try:
        each = suspects(compared, strangers, training.vectors[name], training.identities, centres, by_rate(view))
        found["identities"] = _of_identities(each, view.seen, training.people)
    except NonesuchError as error:
        found["identities"] = {UNKNOWN: str(error)}
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


def _of_identities(found: Suspects, seen: Seen, people: list[str]) -> dict[str, Any]:
    def row(identity: int) -> dict[str, Any]:
        return {
            "identity": seen.people[identity],
            "nearest": people[found.person[identity]],
            "cosine": float(found.score[identity]),
            "suspect": bool(found.score[identity] >= found.cosine),
        }

    nearest = np.argsort(-found.score, kind="stable")
    listed = nearest[: max(_LISTED, len(found.rows))].tolist()
    return {
        "searched": len(found.score),
        "training_people": len(people),
        "cosine": found.cosine,
        "suspects": len(found.rows),
        "control_above": found.control_above,
        "power": {UNKNOWN: "no training person has two photographs, so that none could be planted"}
        if not len(found.planted)
        else {
            "planted": len(found.planted),
            "seen": float((found.planted >= found.cosine).mean()),
            "identities": found.leak,
            "share": None if found.leak is None else found.leak / len(found.score),
        },
        "telling": found.telling,
        "worst": [row(identity) for identity in listed],
    }


def _judged(mine: Search, seen: Seen, theirs: Search | None, control: Seen | None) -> dict[str, Any]:
    if theirs is None or control is None:
        return {"excess": {UNKNOWN: NO_CONTROL}, "telling": None}
    found = leakage(mine, seen.identities, theirs, control.identities)
    edges = np.linspace(-1.0, 1.0, 401)

    def shares(cosine: NDArray[np.float32]) -> list[float]:
        return [float(share) for share in np.histogram(cosine.clip(-1, 1), edges)[0] / len(cosine)]

    return {
        "control": len(theirs.cosine),
        "excess": {f"control {share:g}": figure for share, figure in found.excess.items()}
        or {UNKNOWN: f"the control of {len(theirs.cosine)} images is too small to tell; {found.telling} might do"},
        "telling": found.telling,
        "thresholds": {f"control {share:g}": cut for share, cut in found.thresholds.items()},
        "quantiles": {
            f"{share:g}": {"generated": generated, "control": of_control}
            for share, (generated, of_control) in found.quantiles.items()
        },
        "histogram": {"edges": edges.tolist(), "generated": shares(mine.cosine), "control": shares(theirs.cosine)},
    }
