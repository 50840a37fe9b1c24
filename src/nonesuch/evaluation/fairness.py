"""Error rates per group at one global threshold, and how far groups lie apart."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.metrics import fmr, fnmr


@dataclass(frozen=True)
class GroupRates:
    """One group's figures at the global threshold.

    Attributes:
        mated, non_mated: number of comparisons.
        fmr, fnmr: rates; None where there are no comparisons of that kind.
        accuracy: share of right decisions.
    """

    mated: int
    non_mated: int
    fmr: float | None
    fnmr: float | None
    accuracy: float


@dataclass(frozen=True)
class Fairness:
    """All groups.

    Attributes:
        threshold: the global one.
        groups: by name.
        mean, deviation: of the groups' accuracies.
        trade_off: mean minus deviation, as FRCSyn ranks.
        skewed_error_ratio: largest group's error by the smallest one's (RFW); None where that is 0.
    """

    threshold: float
    groups: dict[str, GroupRates]
    mean: float
    deviation: float
    trade_off: float
    skewed_error_ratio: float | None


def fairness(
    scores: NDArray[np.floating], mated: NDArray[np.bool_], groups: NDArray[np.str_], threshold: float
) -> Fairness:
    """Rates of each group at one threshold for all.

    Args:
        scores: (N,) similarities, accepted from the threshold on.
        mated: (N,) whether both images show one person.
        groups: (N,) the group of each comparison.
        threshold: such as `best_threshold` of all groups together.

    Raises:
        NonesuchError: fewer than two groups.
    """
    names = sorted(set(groups.tolist()))
    if len(names) < 2:
        raise NonesuchError(f"{len(names)} group: fairness compares at least two")
    found = {}
    for name in names:
        rows = groups == name
        same, other = scores[rows & mated], scores[rows & ~mated]
        found[name] = GroupRates(
            len(same),
            len(other),
            fmr(other, threshold) if len(other) else None,
            fnmr(same, threshold) if len(same) else None,
            float(((scores[rows] >= threshold) == mated[rows]).mean()),
        )
    accuracies = np.array([group.accuracy for group in found.values()])
    errors = 1.0 - accuracies
    ratio = float(errors.max() / errors.min()) if errors.min() > 0 else None
    mean, deviation = float(accuracies.mean()), float(accuracies.std())
    return Fairness(threshold, found, mean, deviation, mean - deviation, ratio)
