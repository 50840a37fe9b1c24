"""Parts of audit.json: what a dataset's images show, how much it varies, how good they are."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nonesuch.audit.figures.view import ImageView
from nonesuch.audit.judges import pixels
from nonesuch.audit.judges.brought_files import BRISQUE, CLIP_IQA
from nonesuch.audit.looking import Seen
from nonesuch.core.errors import NonesuchError
from nonesuch.measures.balance import balance, joint_table
from nonesuch.measures.figure import UNKNOWN
from nonesuch.measures.intervals import mean_over_identities
from nonesuch.perception.attributes import ETHNICITIES

_AGES = {"0 to 24": 25.0, "25 to 39": 40.0, "40 to 59": 60.0, "60 and over": np.inf}
_TURNS = {"0 to 15 degrees": 15.0, "15 to 30 degrees": 30.0, "30 degrees and over": np.inf}
GROUPS = {"gender": ("female", "male"), "age": tuple(_AGES), "ethnicity": ETHNICITIES, "pose": tuple(_TURNS)}
_QUANTILES = {"p5": 0.05, "p50": 0.5, "p95": 0.95}
_BINS = 40
Groups = dict[str, Sequence[str | None]]


def groups_of(seen: Seen) -> Groups:
    """The group of each image by gender, age, ethnicity and pose; None where it is unknown."""
    return {
        "gender": seen.columns["gender"].tolist(),
        "age": _banded(seen.columns["age"], _AGES),
        "ethnicity": seen.columns["ethnicity"].tolist(),
        "pose": _banded(np.abs(seen.columns["yaw"]), _TURNS),
    }


def balance_figures(view: ImageView) -> dict[str, Any]:
    """Shares of groups against the target's, and tables of two groupings together."""
    groups = groups_of(view.seen)
    found: dict[str, Any] = {
        name: dataclasses.asdict(balance(of_images, view.seen.identities, view.target.get(name)))
        for name, of_images in groups.items()
    }
    for first, second in (("gender", "age"), ("gender", "ethnicity"), ("ethnicity", "age")):
        rows, columns, counts = joint_table(groups[first], groups[second])
        found[f"{first} by {second}"] = {"rows": rows, "columns": columns, "images": counts.tolist()}
    return found


def check_target(target: Mapping[str, Mapping[str, float]]) -> None:
    """Raises NonesuchError where a target names groups that do not exist, or impossible shares."""
    for grouping, wanted in target.items():
        if grouping not in GROUPS:
            raise NonesuchError(f"the target names {grouping!r}; the groupings are {', '.join(GROUPS)}")
        if unknown := set(wanted) - set(GROUPS[grouping]):
            names = ", ".join(GROUPS[grouping])
            raise NonesuchError(f"the target's {grouping} names {sorted(unknown)[0]!r}; the groups are {names}")
        if any(not 0 <= share < np.inf for share in wanted.values()) or not any(wanted.values()):
            raise NonesuchError(f"the target's {grouping}: shares must not be negative, nor all 0")


def quality_figures(view: ImageView) -> dict[str, Any]:
    """Quality, sharpness and exposure: mean with interval, percentiles, histogram; and crops that show no face.

    Values that are not finite are left out.
    """
    seen = view.seen
    found: dict[str, Any] = {
        "no_face_in_crop": mean_over_identities(~seen.columns["face"].astype(bool), seen.identities),
        "faceless": [seen.photographs[row].name for row in np.flatnonzero(~seen.columns["face"].astype(bool))[:12]],
    }
    for column, option in ((BRISQUE, "--brisque"), (CLIP_IQA, "--clip-iqa")):
        if column not in view.judged:
            found[column] = {UNKNOWN: f"its files were not given ({option})"}
    for column in ("quality", *pixels.NAMES, *view.judged):
        values = seen.columns[column].astype(np.float64)
        known = values[np.isfinite(values)]
        if not len(known):
            found[column] = {UNKNOWN: "no image has a value"}
            continue
        counts, edges = np.histogram(known, _BINS)
        found[column] = {
            "mean": mean_over_identities(values, seen.identities),
            **{key: float(np.quantile(known, share)) for key, share in _QUANTILES.items()},
            "histogram": {"edges": edges.tolist(), "shares": (counts / len(known)).tolist()},
        }
    return found


def _banded(values: NDArray[np.floating], bands: Mapping[str, float]) -> list[str | None]:
    names, ends = list(bands), np.array(list(bands.values()))
    places = np.searchsorted(ends, values, side="right")
    return [None if np.isnan(value) else names[place] for value, place in zip(values, places, strict=True)]
