"""Intervals by resampling people: comparisons are not independent, people nearly are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.seeding import Stream, derive_seed, uniform

RESAMPLES = 200
_INTERVAL = (2.5, 97.5)  # percent


@dataclass(frozen=True)
class Figure:
    """A figure with its 95% interval."""

    value: float
    low: float
    high: float


def people_drawn(people: int, number: int, seed: int = 0) -> NDArray[np.float64]:
    """How often each of `people` is drawn in resample `number`, which draws as many with replacement: (people,).

    A person drawn k times counts k times: a mated comparison weighs k, a non-mated one k * l with one drawn l times.
    """
    picks = (uniform(derive_seed(seed, number), Stream.RESAMPLE, people) * people).astype(np.int64)
    return np.bincount(picks, minlength=people).astype(np.float64)


def with_interval(value: float, resampled: Sequence[float]) -> Figure:
    """A figure with the interval that its resampled values give; those that are NaN tell nothing."""
    known = np.array(resampled, dtype=np.float64)
    known = known[~np.isnan(known)]
    if not len(known):
        return Figure(value, np.nan, np.nan)
    low, high = np.percentile(known, _INTERVAL, method="nearest")  # without arithmetic: a ratio may be infinite
    return Figure(value, float(low), float(high))
