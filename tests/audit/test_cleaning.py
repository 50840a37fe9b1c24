"""Cleaning: planted wrong labels, split identities and duplicates are found, a clean set is left alone."""

import numpy as np
import pytest

from nonesuch.audit.cleaning import clean, doubles, main_cluster
from nonesuch.core.errors import NonesuchError
from nonesuch.core.similarity import normalised

SAME, MERGE = 0.5, 0.85


def _people(count: int = 80, images: int = 10) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(0)
    labels = np.repeat(np.arange(count), images)
    vectors = draws.normal(size=(count, 64))[labels] + 0.7 * draws.normal(size=(len(labels), 64))
    return vectors.astype(np.float32), labels


def test_a_clean_set_is_left_alone() -> None:
    vectors, labels = _people()
    found = clean(vectors, labels, SAME, MERGE)
    assert found.stable
    assert found.decisions == []
    assert np.array_equal(found.identities, labels)


def test_planted_errors_are_found_and_mended() -> None:
    vectors, labels = _people()
    true, draws = labels.copy(), np.random.default_rng(1)
    strangers = draws.choice(800, 8, replace=False)
    vectors[strangers] = draws.normal(size=(8, 64))
    wrong = np.setdiff1d(draws.choice(800, 40, replace=False), strangers)
    labels[wrong] = (labels[wrong] + draws.integers(1, 80, len(wrong))) % 80
    halves = {100: 5, 101: 60}
    for new, old in halves.items():
        labels[np.flatnonzero((true == old) & (labels == old))[5:]] = new
    found = clean(vectors, labels, SAME, MERGE)
    assert found.stable
    actions = {action: {d.image for d in found.decisions if d.action == action} for action in ("drop", "move", "merge")}
    assert actions["drop"] == set(strangers.tolist())
    assert actions["move"] == set(wrong.tolist())
    assert {(d.before, d.after) for d in found.decisions if d.action == "merge"} == {(100, 5), (101, 60)}
    kept = np.setdiff1d(np.arange(800), strangers)
    assert np.array_equal(found.identities[kept], true[kept])
    assert (found.identities[strangers] == -1).all()
    again = clean(vectors[kept], found.identities[kept], SAME, MERGE)
    assert again.decisions == []


def test_identities_of_one_or_two_images() -> None:
    vectors, labels = _people(4, 3)
    vectors = np.concatenate([vectors, vectors[:2] + 0.01])
    found = clean(vectors, np.concatenate([labels, [9, 10]]), SAME, MERGE)
    assert found.stable
    assert len(found.identities) == 14
    assert found.identities[12] in (0, 9)


def test_the_main_cluster_is_linked_and_the_largest() -> None:
    chain = normalised(np.array([[1, 0], [0.9, 0.45], [0.6, 0.8], [-1, 0], [-1, 0.05]], dtype=np.float32))
    assert main_cluster(chain, 0.8).tolist() == [0, 1, 2]
    assert main_cluster(chain[:2], 0.99).tolist() == [0]
    # Of two pairs the tighter one.
    assert main_cluster(chain[[0, 1, 3, 4]], 0.8).tolist() == [2, 3]


def test_the_later_of_two_doubles() -> None:
    vectors, labels = _people(5, 4)
    vectors[7], vectors[9] = vectors[2] * 1.1, vectors[2]
    labels[11] = -1
    pairs = [(2, 7), (2, 9), (7, 9), (3, 4), (0, 11)]
    found = doubles(vectors, pairs, labels, 0.95)
    assert [(d.image, d.other, d.action) for d in found] == [(7, 2, "duplicate"), (9, 2, "duplicate")]


def test_what_cannot_be_cleaned() -> None:
    vectors, labels = _people(3, 3)
    with pytest.raises(NonesuchError, match="no images"):
        clean(vectors[:0], labels[:0], SAME, MERGE)
    with pytest.raises(NonesuchError, match="negative"):
        clean(vectors, labels - 1, SAME, MERGE)
    vectors[4, 2] = np.nan
    with pytest.raises(NonesuchError, match="embedding 4"):
        clean(vectors, labels, SAME, MERGE)
