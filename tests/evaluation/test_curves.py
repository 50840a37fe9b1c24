"""Curves against scikit-learn and SciPy."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_curve

from nonesuch.evaluation.curves import error_curve, score_histogram
from nonesuch.evaluation.drawing import probit


@pytest.mark.parametrize(("count", "digits"), [(50, 1), (2000, 8), (40_000, 3)])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_operating_points_are_those_of_scikit_learn(count: int, digits: int, kind: type) -> None:
    draws = np.random.default_rng(0)
    same = draws.random(count) < 0.3
    scores = np.round(draws.normal(same * 1.5), digits).astype(kind)
    found = error_curve(scores[same], scores[~same])
    false_match, true_match, _ = roc_curve(same, scores, drop_intermediate=False)
    assert found["fmr"] == sorted(found["fmr"])
    assert (found["fmr"][0], found["fmr"][-1]) == (0.0, 1.0)
    for fmr, fnmr, threshold in zip(found["fmr"], found["fnmr"], found["threshold"], strict=True):
        assert fmr == pytest.approx(np.mean(scores[~same] >= threshold), abs=1e-12)
        assert fnmr == pytest.approx(np.mean(scores[same] < threshold), abs=1e-12)
        if fmr < 1.0:
            assert 1 - fnmr == pytest.approx(true_match[false_match <= fmr + 1e-12].max(), abs=1e-12)
    assert len(found["fmr"]) <= 302


def test_one_comparison_of_a_kind() -> None:
    assert error_curve(np.array([0.9]), np.array([0.1])) == {
        "fmr": [0.0, 1.0],
        "fnmr": [0.0, 0.0],
        "threshold": [np.nextafter(0.1, 1), 0.1],
    }


def test_histograms_leave_refused_comparisons_out() -> None:
    scores = np.array([-1.0, 0.2, 0.3, 0.4, -1.0, 0.1, 0.1, 0.2])
    mated = np.arange(8) < 4
    histogram = score_histogram(scores, mated)
    assert histogram["edges"][0] == 0.1
    assert histogram["edges"][-1] == 0.4
    assert sum(histogram["mated"]) == sum(histogram["non_mated"]) == 0.75
    assert np.allclose(histogram["mated"], np.histogram(scores[1:4], histogram["edges"])[0] / 4)
    refused = score_histogram(np.full(4, -1.0), np.arange(4) < 2)
    assert sum(refused["mated"]) == 0.0
    equal = score_histogram(np.full(4, 0.5), np.arange(4) < 2)
    assert sum(equal["mated"]) == 1.0


def test_normal_deviates_are_those_of_scipy() -> None:
    rates = np.array([1e-6, 0.01, 0.5, 0.9])
    assert np.allclose(probit(rates), norm.ppf(rates))
