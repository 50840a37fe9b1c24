"""How early a drawing finds its photograph: ranks with ties, and areas computed by hand."""

import math

import numpy as np
import pytest

from nonesuch.measures.early_retrieval import early_chance, early_figures, ranks_of


def test_a_tie_counts_against_the_right_one() -> None:
    scores = np.array([[0.9, 0.5, 0.1], [0.5, 0.5, 0.5], [0.2, 0.3, 0.3]])
    assert ranks_of(scores, np.array([0, 1, 2])).tolist() == [1, 3, 2]


def test_the_areas_are_those_computed_by_hand() -> None:
    figures = early_figures(np.array([[4, 1], [5, 2]]), candidates=5)  # two drawings, two steps
    first, second = math.exp(-0.5), math.exp(-1.0)
    assert figures.m_a == pytest.approx((1 / 4 + 1 + 0 + 3 / 4) / 4)
    assert figures.m_b == pytest.approx((1 / 4 + 1 + 1 / 5 + 1 / 2) / 4)
    assert figures.wm_a == pytest.approx((1 / 4 * first + 1 * second + 0 + 3 / 4 * second) / 4)
    assert figures.wm_b == pytest.approx((1 / 4 * first + 1 * second + 1 / 5 * first + 1 / 2 * second) / 4)
    assert figures.finished == {1: 0.5, 5: 1.0, 10: 1.0}


def test_perfect_ranks_give_one_and_the_mean_weight() -> None:
    figures = early_figures(np.ones((3, 20), dtype=np.int64), candidates=100)
    assert (figures.m_a, figures.m_b) == (1.0, 1.0)
    assert figures.wm_a == figures.wm_b == pytest.approx(0.632 - 0.316 / 20, abs=1e-3)


def test_chance_is_what_random_orders_give() -> None:
    ranks = np.random.default_rng(0).integers(1, 51, (20_000, 5))
    found, expected = early_figures(ranks, 50), early_chance(50, 5)
    for name in ("m_a", "m_b", "wm_a", "wm_b"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=5e-3)
    assert found.finished == pytest.approx(expected.finished, abs=1e-2)
    assert early_chance(4, 5).finished == {1: 0.25, 5: 1.0, 10: 1.0}
