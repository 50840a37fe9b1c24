"""The own Hungarian method against scipy's."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from nonesuch.language.naming.assignment import one_to_one
from nonesuch.measures.naming import NOBODY


@pytest.mark.parametrize("seed", range(200))
def test_no_assignment_gains_more(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 8, 2)
    gains = rng.normal(size=shape) if seed % 2 else rng.integers(-2, 3, shape).astype(float)  # ties, too
    found = one_to_one(gains)
    given = [name for name in found if name != NOBODY]
    assert len(set(given)) == len(given)
    best = linear_sum_assignment(np.maximum(gains, 0.0), maximize=True)
    gained = sum(gains[face, name] for face, name in enumerate(found) if name != NOBODY)
    assert gained == pytest.approx(np.maximum(gains, 0.0)[best].sum())


def test_nothing_to_give() -> None:
    assert one_to_one(np.zeros((0, 3))) == []
    assert one_to_one(np.zeros((2, 0))) == [NOBODY, NOBODY]
    assert one_to_one(np.full((2, 3), -1.0)) == [NOBODY, NOBODY]
    assert one_to_one(np.zeros((1, 1))) == [NOBODY]
