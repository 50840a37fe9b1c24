"""Intervals over identities: as wide as the identities' spread makes them, not the images'."""

import numpy as np
import pytest

from nonesuch.measures.figure import Figure
from nonesuch.measures.intervals import mean_over_identities, resampled_means, with_interval


def test_the_interval_is_that_of_the_identities() -> None:
    draws = np.random.default_rng(0)
    identities = np.repeat(np.arange(400), 9)
    values = draws.normal(size=400)[identities]  # the same within an identity
    found = mean_over_identities(values, identities)
    assert found.value == pytest.approx(values.mean())
    error = values[::9].std() / np.sqrt(400)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.2)
    assert found.low < found.value < found.high


def test_identities_of_different_sizes_weigh_by_their_images() -> None:
    identities = np.array([5, 5, 5, 9])
    drawn = resampled_means(np.array([1.0, 1.0, 1.0, 0.0]), identities)
    assert set(np.round(drawn, 6).tolist()) == {0.0, 0.75, 1.0}


def test_unknown_values_are_left_out() -> None:
    found = mean_over_identities([1.0, np.nan, 3.0], np.array([0, 0, 1]))
    assert found.value == 2.0
    nothing = mean_over_identities([np.nan], np.array([0]))
    assert np.isnan(nothing.value)
    assert np.isnan(nothing.low)


@pytest.mark.parametrize("people", [2, 30, 1000])
def test_none_of_so_many_people_is_no_proof_that_nobody_is(people: int) -> None:
    """The rule of three: where a share of 3/n of people is, none of n is seen one time in twenty."""
    identities = np.repeat(np.arange(people), 4)
    none, everybody = (mean_over_identities(np.full(len(identities), seen), identities) for seen in (False, True))
    assert (none.value, none.low, none.high) == (0.0, 0.0, min(3 / people, 1.0))
    assert (everybody.value, everybody.low, everybody.high) == (1.0, 1.0 - min(3 / people, 1.0), 1.0)
    if people >= 30:
        assert (1 - none.high) ** people == pytest.approx(0.05, abs=0.01)


def test_what_no_resample_changes_has_no_interval() -> None:
    for found in (mean_over_identities([4.0, 5.0], np.array([7, 7])), with_interval(2.5, [2.5] * 200)):
        assert np.isnan([found.low, found.high]).all()
    assert with_interval(0.0, [0.0, 0.0, 0.5], share_of=4) == Figure(0.0, 0.0, 0.75)
