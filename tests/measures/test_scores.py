"""Mated and non-mated scores against scikit-learn's ROC, and intervals that hold the truth."""

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from nonesuch.core.errors import NonesuchError
from nonesuch.measures import scores as module
from nonesuch.measures.scores import study
from nonesuch.measures.similarity import normalised


def _people(count: int, images: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    labels = np.repeat(np.arange(count), images)
    vectors = draws.normal(size=(count, 12))[labels] + 1.1 * draws.normal(size=(len(labels), 12))
    return vectors.astype(np.float32), labels


def test_rates_are_scikit_learns() -> None:
    vectors, labels = _people(40, 5)
    unit = normalised(vectors)
    left, right = np.triu_indices(200, 1)
    scores, mated = np.einsum("nd,nd->n", unit[left], unit[right]), labels[left] == labels[right]
    fmr, tar, _ = roc_curve(mated, scores, drop_intermediate=False)
    found = study(vectors, labels)
    assert (found.mated, found.non_mated) == (mated.sum(), (~mated).sum())
    at = np.argmin(np.abs(fmr - (1 - tar)))
    assert found.eer.value == pytest.approx((fmr[at] + 1 - tar[at]) / 2, abs=1e-3)
    assert found.fmr100 is not None
    assert found.fmr1000 is not None
    assert found.fmr100.value == pytest.approx(1 - tar[fmr <= 0.01].max(), abs=1e-9)
    assert found.fmr1000.value == pytest.approx(1 - tar[fmr <= 0.001].max(), abs=1e-9)
    assert found.mated_mean == pytest.approx(scores[mated].mean(), abs=1e-5)
    assert found.non_mated_deviation == pytest.approx(scores[~mated].std(), abs=1e-5)
    for figure in (found.eer, found.fmr100, found.fmr1000):
        assert figure.low <= figure.value <= figure.high
    assert sum(found.mated_histogram) == pytest.approx(1.0)
    assert len(found.edges) == 201


def test_intervals_hold_what_all_people_show() -> None:
    whole = study(*_people(600, 4, seed=99)).eer.value
    held = 0
    for seed in range(10):
        part = study(*_people(30, 4, seed=seed)).eer
        held += part.low <= whole <= part.high
    assert held >= 8


def test_a_draw_of_the_non_mated_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, labels = _people(60, 5)
    everything = study(vectors, labels)
    monkeypatch.setattr(module, "_MOST_NON_MATED", 20_000)
    part = study(vectors, labels)
    assert 19_000 < part.non_mated < 20_000
    assert part.mated == everything.mated
    assert part.eer.value == pytest.approx(everything.eer.value, abs=0.01)
    assert study(vectors, labels).eer == part.eer


def test_sets_without_both_kinds() -> None:
    vectors, _ = _people(3, 2)
    with pytest.raises(NonesuchError, match="no identity has two images"):
        study(vectors, np.arange(6))
    with pytest.raises(NonesuchError, match="non-mated comparisons need two"):
        study(vectors, np.zeros(6, dtype=np.int64))


def test_false_matches_at_a_threshold() -> None:
    vectors, labels = _people(40, 5)
    unit = normalised(vectors)
    left, right = np.triu_indices(200, 1)
    strangers = np.einsum("nd,nd->n", unit[left], unit[right]).round(5)[labels[left] != labels[right]]
    found = study(vectors, labels, thresholds={"some": 0.4, "none": 1.1}).false_matches
    assert found["some"].value == pytest.approx((strangers >= 0.4).mean(), abs=1e-12)
    assert 0 < found["some"].low < found["some"].value < found["some"].high
    assert (found["none"].value, found["none"].low, found["none"].high) == (0.0, 0.0, 3 / 40)
