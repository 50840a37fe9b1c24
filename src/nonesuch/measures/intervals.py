"""Intervals by resampling people: comparisons and images are not independent, people nearly are."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nonesuch.core.seeding import Stream, derive_seed, uniform
from nonesuch.measures.figure import Figure

RESAMPLES = 200
_INTERVAL = (2.5, 97.5)  # percent
_RULE_OF_THREE = 3.0
_FEW = 1000  # people; for more, drawing takes less than what is computed of them, and keeping the draws much memory


def people_drawn(people: int, number: int, seed: int = 0) -> NDArray[np.float64]:
    """How often each of `people` is drawn in resample `number`, which draws as many with replacement: (people,).

    A person drawn k times counts k times: a mated comparison has weight k, a non-mated one with a person drawn l times
    k * l. Read it only: many figures are of the same people, and draws of few are kept.
    """
    return _drawn_of_few(people, number, seed) if people <= _FEW else _drawn(people, number, seed)


def _drawn(people: int, number: int, seed: int) -> NDArray[np.float64]:
    picks = (uniform(derive_seed(seed, number), Stream.RESAMPLE, people) * people).astype(np.int64)
    return np.bincount(picks, minlength=people).astype(np.float64)


@lru_cache(maxsize=20 * RESAMPLES)
def _drawn_of_few(people: int, number: int, seed: int) -> NDArray[np.float64]:
    found = _drawn(people, number, seed)
    found.flags.writeable = False
    return found


def with_interval(value: float, resampled: Sequence[float], share_of: int = 0) -> Figure:
    """A figure with the interval of its resampled values; NaN among them is ignored.

    A figure that no resample changes has no interval: nothing was seen to vary. For a share of 0 or 1 the rule of three
    says what resamples cannot: with 95% confidence fewer than 3 in n people are what none of n people is (Hanley and
    Lippman-Hand, 1983; ISO/IEC 19795-1).

    Args:
        share_of: for a share, in 0..1: the number of people that it is of; 0 for other figures.
    """
    known = np.array(resampled, dtype=np.float64)
    known = known[~np.isnan(known)]
    low = high = value
    if len(known):
        low, high = np.percentile(known, _INTERVAL, method="nearest").tolist()  # no arithmetic: a ratio may be infinite
    if share_of and value in (0.0, 1.0):
        three = min(_RULE_OF_THREE / share_of, 1.0)
        return Figure(value, min(low, 1.0 - three), 1.0) if value else Figure(value, 0.0, max(high, three))
    if not len(known) or np.isclose(known.min(), known.max(), rtol=1e-9, atol=0.0):
        return Figure(value)
    return Figure(value, low, high)


def with_intervals(
    exact: Mapping[str, float],
    people: int,
    resampled: Callable[[NDArray[np.float64]], Mapping[str, float]],
    shares_of: Mapping[str, int],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Figure]:
    """Several shares of the same people, each with its interval.

    Args:
        exact: the shares by name.
        people: number of people.
        resampled: the same shares where (people,) weights say how often each person was drawn; NaN where a resample
            says nothing.
        shares_of: by name, the number of people that each share is of.
    """
    drawn = [resampled(people_drawn(people, number, seed)) for number in range(resamples)]
    return {
        name: with_interval(value, [found[name] for found in drawn], shares_of[name]) for name, value in exact.items()
    }


def mean_over_identities(values: ArrayLike, identities: NDArray[np.int64], seed: int = 0) -> Figure:
    """The mean of a value per image (of a truth value: the share), with 95% of bootstrap resamples of identities.

    Args:
        values: (N,); NaN is left out. Where nothing is left, the mean and its interval are NaN.
        identities: (N,) labels; an identity that is drawn k times brings its images k times.
    """
    drawn = resampled_means(values, identities, seed)
    known = np.asarray(values, dtype=np.float64)
    there = ~np.isnan(known)
    mean = float(known[there].mean()) if there.any() else np.nan
    share_of = len(np.unique(identities[there])) if np.asarray(values).dtype == np.bool_ else 0
    return with_interval(mean, drawn.tolist(), share_of)


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
