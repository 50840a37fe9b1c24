"""Intervals over identities: as wide as the identities' spread makes them, not the images'."""

import numpy as np
import pytest

from nonesuch.measures.intervals import mean_over_identities, resampled_means


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
