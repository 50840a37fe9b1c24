import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from nonesuch.measures.labels import rightness


def test_accuracies_are_those_of_scikit_learn() -> None:
    draws = np.random.default_rng(0)
    said, truth = draws.random((50, 3)) < 0.6, (draws.random((50, 3)) < [0.1, 0.5, 0.9]).astype(float)
    for column, found in enumerate(rightness(said, truth)):
        mine, labels = said[:, column], truth[:, column] == 1
        assert found.accuracy == pytest.approx(accuracy_score(labels, mine))
        assert found.balanced == pytest.approx(balanced_accuracy_score(labels, mine))


def test_what_is_not_known_does_not_count() -> None:
    said = np.array([[True, True], [True, False], [False, True]])
    truth = np.array([[1.0, 1.0], [np.nan, 1.0], [0.0, np.nan]])
    first, second = rightness(said, truth)
    assert first == (1.0, 1.0)
    assert second.accuracy == 0.5
    assert np.isnan(second.balanced)
