import numpy as np
import pytest
from sklearn.metrics import roc_curve

from nonesuch.measures.metrics import equal_error_rate, fmr, fnmr


def test_equal_error_rate_equals_the_roc_curves_crossing() -> None:
    rng = np.random.default_rng(0)
    mated, non_mated = rng.normal(0.6, 0.2, 3000), rng.normal(0.1, 0.2, 5000)
    labels, scores = np.repeat([1, 0], [3000, 5000]), np.concatenate([mated, non_mated])
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    at = np.argmin(np.abs(false - (1 - true)))
    assert equal_error_rate(mated, non_mated) == pytest.approx((false[at] + 1 - true[at]) / 2, abs=1e-4)


def test_planted_scores() -> None:
    mated, non_mated = np.array([0.9, 0.8, 0.3, 0.7]), np.array([0.1, 0.2, 0.75, 0.0])
    assert (fmr(non_mated, 0.5), fnmr(mated, 0.5)) == (0.25, 0.25)
    assert equal_error_rate(mated, non_mated) == 0.25
    assert equal_error_rate(np.array([1.0]), np.array([0.0])) == 0.0
    assert fmr(np.array([0.5]), 0.5) == 1.0
