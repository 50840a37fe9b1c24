"""Clusters against scikit-learn, SciPy, brute force and planted truth."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import pair_confusion_matrix

from nonesuch.core.errors import NonesuchError
from nonesuch.evaluation.clustering import cluster_scores, linked
from nonesuch.evaluation.people import people_figures
from nonesuch.evaluation.probes import Embedded
from nonesuch.measures import intervals
from nonesuch.measures.similarity import normalised


def _planted(people: int, each: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(0)
    labels = draws.permutation(np.repeat(np.arange(people), each))
    centres = normalised(draws.normal(size=(people, 64)).astype(np.float32))
    vectors = centres[labels] + spread * draws.normal(size=(len(labels), 64))
    return normalised(vectors.astype(np.float32)), labels


@pytest.mark.parametrize("seed", range(5))
def test_clusters_are_scored_as_elsewhere(seed: int) -> None:
    draws = np.random.default_rng(seed)
    people, clusters = draws.integers(0, 6, 50), draws.integers(0, 8, 50)
    found = {name: figure.value for name, figure in cluster_scores(people, clusters).items()}
    (_, false), (missed, right) = pair_confusion_matrix(people, clusters)
    assert found["pair_precision"] == pytest.approx(right / (right + false))
    assert found["pair_recall"] == pytest.approx(right / (right + missed))
    precision = np.mean([(people[clusters == clusters[i]] == people[i]).mean() for i in range(50)])
    recall = np.mean([(clusters[people == people[i]] == clusters[i]).mean() for i in range(50)])
    assert found["bcubed_precision"] == pytest.approx(precision)
    assert found["bcubed_recall"] == pytest.approx(recall)
    assert found["bcubed_f"] == pytest.approx(2 * precision * recall / (precision + recall))


def test_intervals_are_of_sets_in_which_people_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resample's scores are those of a set that holds a person drawn k times as k people in the same cluster."""
    draws = np.random.default_rng(1)
    people, clusters = draws.integers(0, 6, 50), draws.integers(0, 8, 50)
    weights = np.array([2.0, 0.0, 1.0, 3.0, 0.0, 1.0])
    monkeypatch.setattr(intervals, "people_drawn", lambda count, number, seed=0: weights if number % 2 else np.ones(6))
    found = cluster_scores(people, clusters)
    copies = [
        (person + 10 * copy, cluster)
        for person, cluster in zip(people, clusters, strict=True)
        for copy in range(int(weights[person]))
    ]
    same = {(a, b): a[0] == b[0] for a in copies for b in copies}
    # Copies of one person are neither mated nor non-mated with one another.
    counted = [
        (i, j)
        for i in range(len(copies))
        for j in range(i)
        if same[copies[i], copies[j]] or copies[i][0] % 10 != copies[j][0] % 10
    ]
    together = [copies[i][1] == copies[j][1] for i, j in counted]
    mated = [copies[i][0] == copies[j][0] for i, j in counted]
    right = np.sum(np.array(together) & np.array(mated))
    for name, all_pairs in (("pair_precision", together), ("pair_recall", mated)):
        ends = sorted((found[name].value, float(right / np.sum(all_pairs))))
        assert [found[name].low, found[name].high] == pytest.approx(ends)


@pytest.mark.parametrize("threshold", [0.9, 0.5, 0.2, -0.1])
def test_single_linkage_is_that_of_scipy(threshold: float) -> None:
    unit, _ = _planted(20, 4, 0.12)
    left, right = np.triu_indices(80, 1)
    cosines = (unit[left] * unit[right]).sum(1).astype(np.float64)
    links = cosines >= threshold
    found = linked(80, left[links], right[links])
    expected = fcluster(linkage(1.0 - cosines, "single"), 1.0 - threshold, "distance")
    assert adjusted_rand_score(found, expected) == 1.0
    assert list(dict.fromkeys(found.tolist())) == list(range(found.max() + 1))


def test_planted_clusters_are_found() -> None:
    unit, people = _planted(60, 5, 0.04)
    found = people_figures(people, Embedded(unit, np.ones(300, np.float32)))["clusters"]
    # 44,250 non-mated comparisons resolve 1e-4; at 1e-3 there are 44 false links between 60 people.
    assert list(found) == ["0.0001", "0.001"]  # the strictest first
    assert found["0.0001"]["bcubed_recall"]["value"] == 1.0
    assert found["0.001"]["clusters"] < found["0.0001"]["clusters"] <= 60
    assert found["0.0001"]["pair_precision"]["value"] > found["0.001"]["pair_precision"]["value"]


def test_nothing_linked_and_nothing_at_all() -> None:
    none = np.empty(0, np.int64)
    clusters = linked(4, none, none)
    assert clusters.tolist() == [0, 1, 2, 3]
    assert cluster_scores(np.array([0, 0, 1, 1]), clusters)["pair_recall"].value == 0.0
    assert cluster_scores(np.arange(4), clusters)["pair_f"].value == 1.0
    with pytest.raises(NonesuchError, match="no images"):
        cluster_scores(none, none)
