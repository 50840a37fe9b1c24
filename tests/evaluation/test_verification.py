"""Thresholds, folds and all pairs against brute force and other libraries."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from nonesuch.core.errors import NonesuchError
from nonesuch.evaluation.all_pairs import compare_all
from nonesuch.evaluation.rates import Rates, rates_with_intervals
from nonesuch.evaluation.verification import best_threshold, fold_accuracies, grid_accuracies
from nonesuch.measures.intervals import people_drawn
from nonesuch.measures.metrics import fmr, threshold_at, true_match_rate
from nonesuch.measures.similarity import normalised


def _tied(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    mated = draws.random(count) < 0.5
    return np.round(draws.normal(mated * 0.8, 0.6), 1), mated


@pytest.mark.parametrize("seed", range(20))
def test_the_best_threshold_is_the_best(seed: int) -> None:
    scores, mated = _tied(seed, 60)
    cuts = np.unique(scores)
    tried = [-9.0, *((cuts[1:] + cuts[:-1]) / 2), 9.0]
    best = max(((scores >= cut) == mated).mean() for cut in tried)
    assert ((scores >= best_threshold(scores, mated)) == mated).mean() == best


@pytest.mark.parametrize("all_mated", [True, False])
def test_one_kind_alone(all_mated: bool) -> None:
    scores, mated = np.array([0.1, 0.5, 0.5]), np.full(3, all_mated)
    assert ((scores >= best_threshold(scores, mated)) == mated).all()


def test_folds_are_judged_by_the_other_folds() -> None:
    scores, mated = _tied(3, 300)
    folds = np.arange(300) // 100
    expected = []
    for fold in range(3):
        rest = folds != fold
        cuts = np.unique(scores[rest])
        tried = np.array([cuts[0] - 1, *((cuts[1:] + cuts[:-1]) / 2), cuts[-1] + 1])
        right = [((scores[rest] >= cut) == mated[rest]).mean() for cut in tried]
        cut = tried[int(np.argmax(right))]
        expected.append(((scores[~rest] >= cut) == mated[~rest]).mean())
    assert np.allclose(fold_accuracies(scores, mated, folds), expected)


@pytest.mark.parametrize("fmr", [0.0, 1e-3, 1e-2, 0.5, 1.0])
def test_true_match_rate_is_that_of_scikit_learn(fmr: float) -> None:
    scores, same = _tied(5, 4000)
    false_match, true_match, _ = roc_curve(same, scores, drop_intermediate=False)
    expected = true_match[false_match <= fmr].max()
    assert true_match_rate(scores[same], scores[~same], fmr) == pytest.approx(expected)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_no_lower_threshold_keeps_the_rate(kind: type) -> None:
    other = np.round(np.random.default_rng(0).normal(size=1000), 1).astype(kind)
    for rate in (0.0, 0.001, 0.01, 0.3):
        threshold = threshold_at(other, rate)
        assert fmr(other, threshold) <= rate < fmr(other, float(other[other < threshold].max()))
    assert threshold_at(other, 1.0) == -np.inf


def _rates(vectors: np.ndarray, people: np.ndarray, fmrs: tuple[float, ...], resamples: int) -> Rates:
    return rates_with_intervals(compare_all(normalised(vectors), people), people, fmrs, resamples)


def test_all_pairs_of_planted_people() -> None:
    draws = np.random.default_rng(0)
    people = np.repeat(np.arange(60), 4)
    vectors = (draws.normal(size=(60, 16))[people] + 0.9 * draws.normal(size=(240, 16))).astype(np.float32)
    found = _rates(vectors, people, (1e-2,), 50)
    unit = normalised(vectors)
    rows, columns = np.triu_indices(240, 1)
    scores, same = (unit[rows] * unit[columns]).sum(1), people[rows] == people[columns]
    false_match, true_match, _ = roc_curve(same, scores, drop_intermediate=False)
    at = np.argmin(np.abs(false_match - (1 - true_match)))
    assert found.eer.value == pytest.approx((false_match[at] + 1 - true_match[at]) / 2, abs=1e-3)
    assert found.tar["0.01"].value == pytest.approx(true_match[false_match <= 0.01].max(), abs=1e-3)
    for figure in (found.eer, found.tar["0.01"]):
        assert figure.low <= figure.value <= figure.high
        assert 0 < figure.high - figure.low < 0.2


@pytest.mark.parametrize("squeezed", [1.0, 0.01])
def test_intervals_heed_the_order_of_scores_alone(squeezed: float) -> None:
    """Cosines that all lie between .99 and 1 say the same as those of the same order in -1..1."""
    draws = np.random.default_rng(0)
    people = np.repeat(np.arange(60), 5)
    vectors = draws.normal(size=(60, 16))[people] + 0.5 * draws.normal(size=(300, 16))
    pairs = compare_all(normalised(vectors.astype(np.float32)), people)
    wide = rates_with_intervals(pairs, people, (1e-2, 1e-3), 50)
    scores = (1.0 - squeezed * (1.0 - pairs.scores.astype(np.float64)) / 2).astype(np.float64)
    found = rates_with_intervals(replace(pairs, scores=scores), people, (1e-2, 1e-3), 50)
    for one, other in zip((wide.eer, *wide.tar.values()), (found.eer, *found.tar.values()), strict=True):
        assert (other.value, other.low, other.high) == pytest.approx((one.value, one.low, one.high), abs=2e-3)
        assert other.low <= other.value <= other.high


def test_resampled_rates_are_those_of_scikit_learn() -> None:
    """A person drawn k times counts k times, and two drawn k and l times count k * l times."""
    draws = np.random.default_rng(3)
    people = np.repeat(np.arange(40), 4)
    vectors = draws.normal(size=(40, 16))[people] + 0.7 * draws.normal(size=(160, 16))
    pairs = compare_all(normalised(vectors.astype(np.float32)), people)
    found = rates_with_intervals(pairs, people, (1e-2,), 20)
    tars = []
    for number in range(20):
        drawn = people_drawn(40, number)
        left, right = people[pairs.left], people[pairs.right]
        weight = np.where(left == right, drawn[left], drawn[left] * drawn[right])
        fmr, tar, _ = roc_curve(pairs.mated, pairs.scores, sample_weight=weight, drop_intermediate=False)
        tars.append(tar[fmr <= 0.01 + 1e-12].max())
    low, high = np.percentile(tars, (2.5, 97.5), method="nearest")
    assert (found.tar["0.01"].low, found.tar["0.01"].high) == pytest.approx((low, high), abs=1e-9)


def test_intervals_cover_what_other_people_give() -> None:
    """Of 40 draws of people from one distribution, most intervals must hold the true figure."""
    draws, truth, hits = np.random.default_rng(1), [], 0
    intervals = []
    for _ in range(40):
        people = np.repeat(np.arange(30), 3)
        vectors = draws.normal(size=(30, 8))[people] + 0.8 * draws.normal(size=(90, 8))
        found = _rates(vectors.astype(np.float32), people, (), 60).eer
        truth.append(found.value)
        intervals.append(found)
    hits = sum(figure.low <= np.mean(truth) <= figure.high for figure in intervals)
    assert hits >= 32


def test_nothing_to_compare() -> None:
    with pytest.raises(NonesuchError, match="no mated or no non-mated"):
        compare_all(np.eye(3, dtype=np.float32), np.arange(3))


def test_more_images_than_memory_is_meant_for() -> None:
    with pytest.raises(NonesuchError, match="10,001 images are too many"):
        compare_all(np.zeros((10_001, 2), dtype=np.float32), np.arange(10_001))


def test_the_published_grid() -> None:
    """As insightface computes it: a pass over the comparisons for each threshold."""
    draws = np.random.default_rng(2)
    mated = draws.random(600) < 0.5
    scores = np.round(np.clip(draws.normal(mated * 0.5, 0.3), -1, 1), 2)
    folds = np.arange(600) // 60
    expected = []
    distances = 2.0 - 2.0 * scores
    for fold in range(10):
        rest = folds != fold
        right = [((distances[rest] < cut) == mated[rest]).mean() for cut in np.arange(0, 4, 0.01)]
        cut = np.arange(0, 4, 0.01)[int(np.argmax(right))]
        expected.append(((distances[~rest] < cut) == mated[~rest]).mean())
    assert np.allclose(grid_accuracies(scores, mated, folds), expected)
