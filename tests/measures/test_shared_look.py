"""A planted look is named, real people's differences from themselves are not."""

import numpy as np
import pytest

from nonesuch.measures.separability import look_alikes
from nonesuch.measures.shared_look import frequency, is_over_frequent, times_the_odds


def _shown(share: float, people: int, images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Each person shows it in nearly all images or hardly ever."""
    draws = np.random.default_rng(seed)
    labels = np.repeat(np.arange(people), images)
    inclined = draws.random(people) < share
    return draws.random(len(labels)) < np.where(inclined, 0.95, 0.05)[labels], labels


def test_shares_of_images_and_of_identities() -> None:
    shown = np.array([1, 1, 0, 0, 0, 1, 1, 1], dtype=bool)
    found = frequency(shown, np.array([7, 7, 7, 3, 3, 9, 9, 9]))
    assert found.images.value == 5 / 8
    assert found.identities.value == 2 / 3  # the first shows it in two of three, the last in all
    assert found.within == {"p5": pytest.approx(1 / 15), "p50": pytest.approx(2 / 3), "p95": pytest.approx(29 / 30)}


@pytest.mark.parametrize(("share", "expected"), [(0.7, True), (0.9, True), (0.3, False), (0.1, False)])
def test_a_planted_look_is_found_beside_real_people(share: float, expected: bool) -> None:
    real = frequency(*_shown(0.3, 300, 4, 1))
    assert is_over_frequent(frequency(*_shown(share, 100, 10, 2)).images, real.images) is expected


def test_draws_of_the_same_people_are_no_look() -> None:
    real = frequency(*_shown(0.4, 300, 4, 0))
    found = [is_over_frequent(frequency(*_shown(0.4, 60, 5, seed)).images, real.images) for seed in range(1, 60)]
    assert sum(found) <= 1


def test_few_people_are_not_called_over_frequent() -> None:
    """Three of three people show what half of real people show: that may be chance."""
    few = frequency(np.ones(30, dtype=bool), np.repeat(np.arange(3), 10))
    real = frequency(*_shown(0.5, 300, 4, 0))
    assert times_the_odds(few.images, real.images) > 100
    assert not is_over_frequent(few.images, real.images)


def test_linked_identities_are_one_group() -> None:
    pairs = [(0, 1, 0.9), (4, 5, 0.8), (2, 3, 0.7), (1, 2, 0.6)]
    assert look_alikes(pairs) == [([0, 1, 2, 3], 0.6), ([4, 5], 0.8)]
