"""Identification, templates, clusters and groups against brute force, scikit-learn and planted truth."""

import numpy as np
import pytest
from sklearn.metrics.cluster import pair_confusion_matrix

from nonesuch.core.errors import NonesuchError
from nonesuch.core.similarity import normalised
from nonesuch.evaluation.clustering import cluster_scores, linked
from nonesuch.evaluation.fairness import fairness
from nonesuch.evaluation.identification import cumulative_match, open_set, search
from nonesuch.evaluation.templates import template_vectors


def _unit(draws: np.random.Generator, *shape: int) -> np.ndarray:
    return normalised(draws.normal(size=shape).astype(np.float32))


def test_ranks_by_brute_force() -> None:
    draws = np.random.default_rng(0)
    gallery, people = _unit(draws, 40, 6), draws.integers(0, 15, 40)
    probes, own = _unit(draws, 60, 6), draws.integers(0, 20, 60)
    found = search(gallery, people, probes, own)
    for row in range(60):
        best = {person: (probes[row] @ gallery[people == person].T).max() for person in set(people.tolist())}
        others = [value for person, value in best.items() if person != own[row]]
        assert found.other[row] == pytest.approx(max(others), abs=1e-6)
        if own[row] not in best:
            assert found.rank[row] == 0
            continue
        assert found.own[row] == pytest.approx(best[own[row]], abs=1e-6)
        assert found.rank[row] == 1 + sum(value >= best[own[row]] for value in others)
    known = found.rank > 0
    assert cumulative_match(found, (1, 3)) == {
        k: pytest.approx(np.mean([1 <= rank <= k for rank in found.rank[known]])) for k in (1, 3)
    }
    for fpir, tpir in open_set(found, (0.0, 0.3)).items():
        tried = [np.inf, *found.other[~known], -np.inf]
        allowed = [cut for cut in tried if np.mean(found.other[~known] > cut) <= fpir]
        right = (found.rank[known] == 1) & (found.own[known] > min(allowed))
        assert tpir == pytest.approx(right.mean())


def test_searches_that_cannot_be() -> None:
    draws = np.random.default_rng(0)
    with pytest.raises(NonesuchError, match="one of them is empty"):
        search(_unit(draws, 0, 4), np.zeros(0, int), _unit(draws, 2, 4), np.zeros(2, int))
    found = search(_unit(draws, 3, 4), np.arange(3), _unit(draws, 2, 4), np.array([7, 8]))
    with pytest.raises(NonesuchError, match="none of the probes"):
        cumulative_match(found)
    with pytest.raises(NonesuchError, match="within and without"):
        open_set(found)
    with pytest.raises(NonesuchError, match="NaN"):
        search(np.full((1, 4), np.nan, np.float32), np.zeros(1, int), _unit(draws, 1, 4), np.zeros(1, int))


def test_templates_by_hand() -> None:
    embeddings = np.array([[1, 0], [3, 0], [0, 4], [5, 0], [0, 1]], dtype=np.float32)
    numbers, vectors = template_vectors(embeddings, np.array([9, 9, 9, 2, 2]), np.array([1, 1, 2, 1, 1]))
    assert numbers.tolist() == [2, 9]
    # Template 9: a video (1 0, 3 0 -> 2 0) and a photograph 0 4; template 2: one medium of two.
    expected = [np.array([2.5, 0.5]), np.array([2.0, 4.0])]
    assert np.allclose(vectors, [row / np.linalg.norm(row) for row in expected])
    with pytest.raises(NonesuchError, match="sum to zero"):
        template_vectors(np.array([[1, 0], [-1, 0]], np.float32), np.zeros(2, int), np.arange(2))


@pytest.mark.parametrize("seed", range(5))
def test_clusters_are_scored_as_elsewhere(seed: int) -> None:
    draws = np.random.default_rng(seed)
    people, clusters = draws.integers(0, 6, 50), draws.integers(0, 8, 50)
    found = cluster_scores(people, clusters)
    (_, false), (missed, right) = pair_confusion_matrix(people, clusters)
    assert found["pair_precision"] == pytest.approx(right / (right + false))
    assert found["pair_recall"] == pytest.approx(right / (right + missed))
    precision = np.mean([(people[clusters == clusters[i]] == people[i]).mean() for i in range(50)])
    recall = np.mean([(clusters[people == people[i]] == clusters[i]).mean() for i in range(50)])
    assert found["bcubed_precision"] == pytest.approx(precision)
    assert found["bcubed_recall"] == pytest.approx(recall)
    assert found["bcubed_f"] == pytest.approx(2 * precision * recall / (precision + recall))


def test_planted_clusters_are_found() -> None:
    draws = np.random.default_rng(0)
    people = np.repeat(np.arange(300), 5)
    unit = normalised((_unit(draws, 300, 64)[people] + 0.04 * draws.normal(size=(1500, 64))).astype(np.float32))
    order = draws.permutation(1500)
    assert cluster_scores(people[order], linked(unit[order], 0.7))["bcubed_f"] == 1.0
    assert cluster_scores(people, linked(unit, 2.0))["pair_recall"] == 0.0


def test_groups_by_hand() -> None:
    scores = np.array([0.9, 0.4, 0.1, 0.6, 0.9, 0.8, 0.2, 0.1])
    mated = np.array([True, True, False, False] * 2)
    groups = np.array(["a"] * 4 + ["b"] * 4)
    found = fairness(scores, mated, groups, 0.5)
    assert (found.groups["a"].fmr, found.groups["a"].fnmr, found.groups["a"].accuracy) == (0.5, 0.5, 0.5)
    assert (found.groups["b"].fmr, found.groups["b"].fnmr, found.groups["b"].accuracy) == (0.0, 0.0, 1.0)
    assert (found.mean, found.deviation, found.trade_off) == (0.75, 0.25, 0.5)
    assert found.skewed_error_ratio == float("inf")
    assert fairness(scores, mated, groups, 0.65).skewed_error_ratio == float("inf")
    with pytest.raises(NonesuchError, match="at least two"):
        fairness(scores, mated, np.array(["a"] * 8), 0.5)
