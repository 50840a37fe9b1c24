"""Part of audit.json: the attributes that a dataset's faces show, beside those of real photographs."""

import dataclasses
from typing import Any

import numpy as np

from nonesuch.audit.figures.view import ImageView
from nonesuch.audit.looking import Seen
from nonesuch.measures.shared_look import Frequency, frequency, is_over_frequent, times_the_odds
from nonesuch.perception.attributes import ATTRIBUTES

ATTRIBUTES_PART = "attributes"


def attribute_figures(view: ImageView) -> dict[str, Any]:
    """CelebA's 40 attributes by the perceiver, over images and identities, of the dataset and of the training set.

    Returns:
        shares: by attribute, `Frequency` of the dataset; `real`: that of the training photographs, None without them;
        times: the odds among the images divided by those among the training photographs, None likewise.
        over_frequent: count and names of the attributes that `is_over_frequent` says so of, the most extreme first;
        None likewise.
    """
    mine = _frequencies(view.seen)
    real = None if view.reference is None else _frequencies(view.reference.training)
    shares = {}
    for name, found in mine.items():
        other = None if real is None else real[name]
        times = None if other is None else times_the_odds(found.images, other.images)
        shares[name] = {**dataclasses.asdict(found), "real": other, "times": times}
    if real is None:
        return {"shares": shares, "over_frequent": {"count": None, "names": None}}
    over = [name for name, found in mine.items() if is_over_frequent(found.images, real[name].images)]
    over.sort(key=lambda name: -shares[name]["times"])
    return {"shares": shares, "over_frequent": {"count": len(over), "names": over}}


def _frequencies(seen: Seen) -> dict[str, Frequency]:
    return {name: frequency(np.asarray(seen.columns[name]) >= 0.5, seen.identities) for name in ATTRIBUTES}
