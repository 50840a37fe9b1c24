"""Who is in a dataset: shares of groups, alone and together, compared with the wanted ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.measures.figure import SHARE, Better, Bounds, Figure, Measure
from nonesuch.measures.intervals import RESAMPLES, people_drawn, with_interval


def _distance(grouping: str, bounds: Bounds | None = None) -> Measure:
    title = f"{grouping}: distance from the target"
    return Measure(
        f"{grouping}/distance",
        title,
        SHARE,
        Better.LOWER,
        null="no target was given (--target)",
        bounds=bounds,
        meaning="total variation: the share of images that would have to be of another group",
    )


# `Balance.distance` and `Balance.shares`, by grouping.
DISTANCES = {
    "gender": _distance(
        "gender",
        Bounds("gender as wanted", 0.05, 0.15, "total variation from the target: green up to 0.05, amber up to 0.15"),
    ),
    "age": _distance("age"),
    "ethnicity": _distance("ethnicity"),
    "pose": _distance("pose"),
}
SHARES = {grouping: Measure(f"{grouping}/shares/*", "{}", SHARE) for grouping in DISTANCES}


@dataclass(frozen=True)
class Balance:
    """Shares of groups.

    Attributes:
        shares: by group, of the images whose group is known, with intervals over identities.
        unknown: share of the images whose group is not known.
        distance: total variation from the wanted shares, 0 (as wanted) to 1; None where nothing was wanted.
        ratio: smallest share divided by the largest.
    """

    shares: dict[str, Figure]
    unknown: float
    distance: Figure | None
    ratio: float


def balance(
    groups: Sequence[str | None], identities: NDArray[np.int64], wanted: Mapping[str, float] | None = None
) -> Balance:
    """Count groups.

    Args:
        groups: (N,) of each image, None where it is unknown.
        identities: (N,) labels.
        wanted: share by group; need not sum to 1. Groups that it names and no image shows count as 0.

    Raises:
        NonesuchError: no image's group is known, or the wanted shares are negative, or all 0.
    """
    known = np.array([group is not None for group in groups], dtype=bool)
    if not known.any():
        raise NonesuchError("no image's group is known")
    if wanted is not None and (any(share < 0 for share in wanted.values()) or not sum(wanted.values()) > 0):
        raise NonesuchError("wanted shares must not be negative, nor all 0")
    names = sorted({group for group in groups if group is not None} | set(wanted or {}))
    place = np.array([names.index(group) for group in groups if group is not None])
    people = np.unique(identities[known], return_inverse=True)[1]
    target = None
    if wanted is not None:
        target = np.array([wanted.get(name, 0.0) for name in names]) / sum(wanted.values())

    def shares(weight: NDArray[np.float64]) -> NDArray[np.float64]:
        counted = np.bincount(place, weight, len(names))
        return counted / counted.sum()

    def distance(of: NDArray[np.float64], target: NDArray[np.float64]) -> float:
        return float(np.abs(of - target).sum() / 2)

    exact, count = shares(np.ones(len(place))), int(people.max()) + 1
    drawn = np.stack([shares(people_drawn(count, number)[people]) for number in range(RESAMPLES)])
    return Balance(
        {name: with_interval(float(exact[at]), drawn[:, at].tolist(), count) for at, name in enumerate(names)},
        float((~known).mean()),
        None if target is None else with_interval(distance(exact, target), [distance(row, target) for row in drawn]),
        float(exact.min() / exact.max()),
    )


def joint_table(
    first: Sequence[str | None], second: Sequence[str | None]
) -> tuple[list[str], list[str], NDArray[np.int64]]:
    """Images by two groupings: names of the rows, names of the columns, (R, C) counts; unknown ones are left out."""
    pairs = [(one, other) for one, other in zip(first, second, strict=True) if one is not None and other is not None]
    rows, columns = (sorted({pair[side] for pair in pairs}) for side in (0, 1))
    counts = np.zeros((len(rows), len(columns)), dtype=np.int64)
    for one, other in pairs:
        counts[rows.index(one), columns.index(other)] += 1
    return rows, columns, counts
