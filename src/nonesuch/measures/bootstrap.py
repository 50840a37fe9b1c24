"""Intervals of shares and means over a dataset's images, by resampling identities."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nonesuch.measures.intervals import RESAMPLES, Figure, people_drawn, with_interval


def mean_over_identities(values: ArrayLike, identities: NDArray[np.int64], seed: int = 0) -> Figure:
    """The mean of a value per image (of a truth value: the share), with 95% of bootstrap resamples of identities.

    Args:
        values: (N,); NaN is left out. NaN is the mean, and what it may be, where nothing is left.
        identities: (N,) labels; an identity that is drawn k times brings its images k times.
    """
    drawn = resampled_means(values, identities, seed)
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    return with_interval(float(known.mean()) if len(known) else np.nan, drawn.tolist())


def resampled_means(values: ArrayLike, identities: NDArray[np.int64], seed: int = 0) -> NDArray[np.float64]:
    """The mean in each resample: (200,), NaN where a resample drew no known value."""
    known = np.asarray(values, dtype=np.float64)
    there = ~np.isnan(known)
    place = np.unique(identities[there], return_inverse=True)[1]
    count = int(place.max(initial=-1)) + 1
    if not count:
        return np.full(RESAMPLES, np.nan)
    sums, sizes = np.bincount(place, known[there], count), np.bincount(place, minlength=count)
    found = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        weight = people_drawn(count, number, seed)
        found[number] = weight @ sums / (weight @ sizes)
    return found
