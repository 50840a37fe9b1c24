"""Cleaning: planted wrong labels, split identities and duplicates are found, a clean set is left alone."""

import numpy as np
import pytest

from nonesuch.cleaning.cast import Settled, clean
from nonesuch.cleaning.clusters import main_cluster
from nonesuch.core.errors import NonesuchError
from nonesuch.measures.similarity import normalised

SAME, MERGE = 0.5, 0.6


def _people(count: int = 80, images: int = 10) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(0)
    labels = np.repeat(np.arange(count), images)
    vectors = draws.normal(size=(count, 64))[labels] + 0.7 * draws.normal(size=(len(labels), 64))
    return vectors.astype(np.float32), labels


def test_a_clean_set_is_left_alone() -> None:
    vectors, labels = _people()
    found = clean(normalised(vectors), labels, SAME, MERGE)
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
    found = clean(normalised(vectors), labels, SAME, MERGE)
    assert found.stable
    actions = {action: {d.image for d in found.decisions if d.action == action} for action in ("drop", "move", "merge")}
    assert actions["drop"] == set(strangers.tolist())
    assert actions["move"] == set(wrong.tolist())
    assert {(d.before, d.after) for d in found.decisions if d.action == "merge"} == {(100, 5), (101, 60)}
    kept = np.setdiff1d(np.arange(800), strangers)
    assert np.array_equal(found.identities[kept], true[kept])
    assert (found.identities[strangers] == -1).all()
    again = clean(normalised(vectors[kept]), found.identities[kept], SAME, MERGE)
    assert again.decisions == []


def test_identities_of_one_or_two_images() -> None:
    vectors, labels = _people(4, 3)
    vectors = np.concatenate([vectors, vectors[:2] + 0.01])
    found = clean(normalised(vectors), np.concatenate([labels, [9, 10]]), SAME, MERGE)
    assert found.stable
    assert len(found.identities) == 14
    assert found.identities[12] in (0, 9)


def test_the_main_cluster_is_linked_and_the_largest() -> None:
    chain = normalised(np.array([[1, 0], [0.9, 0.45], [0.6, 0.8], [-1, 0], [-1, 0.05]], dtype=np.float32))
    assert main_cluster(chain, 0.8).tolist() == [0, 1, 2]
    assert main_cluster(chain[:2], 0.99).tolist() == [0]
    # Of two pairs the tighter one.
    assert main_cluster(chain[[0, 1, 3, 4]], 0.8).tolist() == [2, 3]


def test_what_cannot_be_cleaned() -> None:
    vectors, labels = _people(3, 3)
    with pytest.raises(NonesuchError, match="no images"):
        clean(normalised(vectors[:0]), labels[:0], SAME, MERGE)
    with pytest.raises(NonesuchError, match="negative"):
        clean(normalised(vectors), labels - 1, SAME, MERGE)
    vectors[4, 2] = np.nan
    with pytest.raises(NonesuchError, match="embedding 4"):
        clean(normalised(vectors), labels, SAME, MERGE)


def test_a_person_wins_over_every_threshold() -> None:
    vectors, labels = _people(20, 6)
    draws = np.random.default_rng(2)
    vectors[0] = draws.normal(size=64)  # a stranger
    labels[9] = 2  # the second person's
    labels[15:18] = 20  # half of the third person
    plain = clean(normalised(vectors), labels, SAME, MERGE)
    assert [plain.identities[row] for row in (0, 9, 15)] == [-1, 1, 2]
    settled = Settled(
        one={19: 18}, two=frozenset({(2, 20)}), held={0: 0, 30: 7}, refused=frozenset({(9, 1), (9, 2), (50, 8)})
    )
    found = clean(normalised(vectors), labels, SAME, MERGE, settled=settled)
    assert found.stable
    assert [found.identities[row] for row in (0, 9, 15, 30, 50)] == [0, -1, 20, 7, -1]
    assert (found.identities[108:] == 18).all()  # though no cosine says so
    by_person = {(d.image, d.action) for d in found.decisions if d.person}
    assert by_person == {(30, "move"), (9, "drop"), (50, "drop")} | {(row, "merge") for row in range(114, 120)}


def test_kept_apart_through_a_third_identity() -> None:
    vectors, labels = _people(6, 6)
    for new, rows in {6: slice(2, 4), 7: slice(4, 6)}.items():
        labels[rows] = new  # the first person three times
    found = clean(normalised(vectors), labels, SAME, MERGE, settled=Settled(two=frozenset({(6, 7)})))
    assert found.stable
    assert found.identities[2] != found.identities[4]
    assert 0 in found.identities[[2, 4]]


def test_an_image_that_is_refused_does_not_come_back_with_its_identity() -> None:
    vectors, labels = _people(6, 6)
    labels[3:6] = 6
    for rounds in (1, 10):
        found = clean(normalised(vectors), labels, SAME, MERGE, rounds, Settled(refused=frozenset({(4, 0)})))
        assert found.identities[:6].tolist() == [0, 0, 0, 0, -1, 0]
        assert [d.person for d in found.decisions if d.action == "drop"] == [True]


def test_held_images_bring_what_is_linked_to_them_and_cost_nothing_else() -> None:
    vectors, labels = _people(6, 6)
    labels[6:8] = 0  # six of one person, two of another
    assert (clean(normalised(vectors), labels, SAME, MERGE, settled=Settled(held={6: 0})).identities[:8] == 0).all()
    two = np.array([0, 12])  # of two people, under one label
    for held, kept in ((0, [9, -1]), (1, [-1, 9])):
        found = clean(normalised(vectors[two]), np.array([9, 9]), SAME, MERGE, settled=Settled(held={held: 9}))
        assert found.identities.tolist() == kept
    everything = Settled(refused=frozenset((row, label) for row in range(36) for label in range(6)))
    assert (clean(normalised(vectors), labels, SAME, MERGE, settled=everything).identities == -1).all()
