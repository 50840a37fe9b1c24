"""Error rates per group at one global threshold, and how far groups lie apart, with intervals over people."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.measures.figure import SHARE, Better, Figure, Measure, Unit
from nonesuch.measures.intervals import RESAMPLES, people_drawn, with_interval

MEAN = Measure("mean", "mean", SHARE, Better.HIGHER, meaning="mean of the groups' accuracies")
DEVIATION = Measure("deviation", "sd", SHARE, Better.LOWER, meaning="standard deviation of the groups' accuracies")
TRADE_OFF = Measure("trade_off", "mean - sd", SHARE, Better.HIGHER, meaning="as FRCSyn ranks")
ERROR_RATIO = Measure(
    "skewed_error_ratio",
    "error ratio",
    Unit(infinite="infinite"),
    Better.LOWER,
    meaning="largest error of a group divided by the smallest (RFW)",
)


@dataclass(frozen=True)
class Groups:
    """Who the images show.

    Attributes:
        group: (M,) the group of each image, "" for none.
        person: (M,) int64 the number of each image's person.
    """

    group: NDArray[np.str_]
    person: NDArray[np.int64]


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
    fmr: Figure | None
    fnmr: Figure | None
    accuracy: Figure


@dataclass(frozen=True)
class Fairness:
    """All groups.

    Attributes:
        threshold: the global one.
        groups: by name.
        mean, deviation: of the groups' accuracies.
        trade_off: mean minus deviation, as FRCSyn ranks.
        skewed_error_ratio: largest error of a group divided by the smallest one (RFW); infinite where that is 0.
    """

    threshold: float
    groups: dict[str, GroupRates]
    mean: Figure
    deviation: Figure
    trade_off: Figure
    skewed_error_ratio: Figure


def fairness(
    scores: NDArray[np.floating],
    mated: NDArray[np.bool_],
    groups: NDArray[np.str_],
    threshold: float,
    left: NDArray[np.int64],
    right: NDArray[np.int64],
) -> Fairness:
    """Rates of each group at one threshold for all, which stays the same in all resamples.

    Args:
        scores: (N,) similarities, accepted from the threshold on.
        mated: (N,) whether both images show one person.
        groups: (N,) the group of each comparison.
        threshold: such as `best_threshold` of all groups together.
        left, right: (N,) numbers of the two people, 0 and on; equal where mated.

    Raises:
        NonesuchError: fewer than two groups.
    """
    names, group = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise NonesuchError(f"{len(names)} group: fairness compares at least two")
    accepted = scores >= threshold
    count = int(max(left.max(), right.max())) + 1
    exact = _rates(accepted, mated, group, np.ones(len(scores)))
    drawn = []
    for number in range(RESAMPLES):
        weight = people_drawn(count, number)
        drawn.append(_rates(accepted, mated, group, np.where(mated, weight[left], weight[left] * weight[right])))
    of_groups = np.stack([rates for rates, _ in drawn])  # (resamples, 3, groups)
    spreads = np.array([spread for _, spread in drawn])  # (resamples, 4)
    found = {}
    for place, name in enumerate(names.tolist()):
        same = int((mated & (group == place)).sum())
        other = int((~mated & (group == place)).sum())
        shown = [np.concatenate([left[rows], right[rows]]) for rows in _of_kinds(mated, group == place)]
        fmr, fnmr, accuracy = (
            with_interval(float(exact[0][kind, place]), of_groups[:, kind, place].tolist(), len(np.unique(people)))
            for kind, people in enumerate(shown)
        )
        found[name] = GroupRates(same, other, fmr if other else None, fnmr if same else None, accuracy)
    mean, deviation, trade_off, ratio = (
        with_interval(exact[1][kind], spreads[:, kind].tolist(), share_of)
        for kind, share_of in enumerate((count, 0, count, 0))
    )
    if mean.value == 1.0:  # no error was seen, so nothing bounds the ratio of errors
        ratio = Figure(1.0, 1.0, np.inf)
    return Fairness(threshold, found, mean, deviation, trade_off, ratio)


def _of_kinds(mated: NDArray[np.bool_], inside: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], ...]:
    """The comparisons of a group that FMR, FNMR and accuracy are shares of."""
    return inside & ~mated, inside & mated, inside


def _rates(
    accepted: NDArray[np.bool_], mated: NDArray[np.bool_], group: NDArray[np.int64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], tuple[float, float, float, float]]:
    """(3, groups) FMR, FNMR, accuracy of weighted comparisons, NaN where there are none; and the groups' spread."""

    def share(of: NDArray[np.bool_], among: NDArray[np.bool_]) -> NDArray[np.float64]:
        total = np.bincount(group, weight * among)
        part = np.bincount(group, weight * (of & among))
        return np.divide(part, total, out=np.full(len(total), np.nan), where=total > 0)

    everything = np.ones(len(mated), dtype=bool)
    rates = np.stack([share(accepted, ~mated), share(~accepted, mated), share(accepted == mated, everything)])
    accuracies = rates[2][~np.isnan(rates[2])]
    if not len(accuracies):
        return rates, (np.nan, np.nan, np.nan, np.nan)
    smallest, largest = 1.0 - accuracies.max(), 1.0 - accuracies.min()
    ratio = float(largest / smallest) if smallest > 0 else (1.0 if largest == 0 else np.inf)
    mean, deviation = float(accuracies.mean()), float(accuracies.std())
    return rates, (mean, deviation, mean - deviation, ratio)
