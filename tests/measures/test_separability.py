"""Separability against brute force, for any block, and with people merged on purpose."""

from statistics import NormalDist

import numpy as np
import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.measures.separability import (
    half_similarity,
    identity_centres,
    matches_another,
    separability,
    threshold_at,
)
from nonesuch.measures.similarity import normalised


def _centres(count: int = 300, width: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def test_by_brute_force() -> None:
    centres = _centres()
    cosine = normalised(centres).astype(np.float64) @ normalised(centres).astype(np.float64).T
    found = separability(centres, block=64)
    for threshold in (0.3, 0.4, 0.6):
        alone = [all(cosine[row, other] <= threshold for other in range(row)) for row in range(300)]
        assert found.separable(threshold) == sum(alone)
        sizes = np.array([0, 1, 57, 300])
        assert found.curve(threshold, sizes).tolist() == [sum(alone[:size]) for size in sizes]
        others = cosine - 2 * np.eye(300)
        assert found.colliding(threshold) == pytest.approx((others.max(1) > threshold).mean())
    assert found.counts.sum() == 300 * 299 / 2
    pairs = cosine[np.triu_indices(300, 1)]
    assert abs(found.counts[1400:].sum() - (pairs >= 0.4).sum()) <= 1
    earlier, later, value = found.closest(1)[0]
    assert value == pytest.approx(pairs.max(), abs=1e-6)
    assert cosine[earlier, later] == pytest.approx(pairs.max(), abs=1e-9)


@pytest.mark.parametrize("block", [1, 7, 299, 300, 5000])
def test_any_block_gives_the_same(block: int) -> None:
    # Whole numbers: their products are exact, so that sums of any order are equal.
    centres = np.sign(_centres(300, 16, 3)).astype(np.float32)
    whole, parts = separability(centres, 2048), separability(centres, block)
    for name in ("nearest", "nearest_row", "largest", "counts"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name)), name


def test_every_pair_is_counted_once() -> None:
    """Cosines of vectors in a plane are known exactly; more pairs than are counted at once."""
    angles = 2.0 * np.pi * np.arange(500) / 500 + 0.001
    found = separability(np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32), block=400)
    row, column = np.triu_indices(500, 1)
    edges = np.linspace(-1, 1, 2001)
    edges[[0, -1]] = -2, 2
    expected = np.histogram(np.cos(angles[row] - angles[column]), edges)[0]
    assert found.counts.sum() == expected.sum() == 500 * 499 / 2
    # float32 moves what lies on an edge by one bin.
    assert np.abs(np.cumsum(found.counts) - np.cumsum(expected)).max() <= 500


def test_people_merged_on_purpose_are_found() -> None:
    centres = _centres(200, 128, 1)
    clean = separability(centres)
    assert clean.separable(0.5) == 200
    twins = {20: 3, 77: 50, 199: 198}
    for later, earlier in twins.items():
        centres[later] = 3.0 * (centres[earlier] + 0.1 * centres[later])
    found = separability(centres)
    assert found.separable(0.5) == 197
    assert found.colliding(0.5) == pytest.approx(6 / 200)
    assert {later: earlier for earlier, later, _ in found.closest(3)} == twins


def test_what_cannot_be_compared() -> None:
    with pytest.raises(NonesuchError, match="takes two"):
        separability(_centres(1))
    for bad in (0.0, np.nan, np.inf):
        centres = _centres(5)
        centres[3] = bad
        with pytest.raises(NonesuchError, match="embedding 3 is zero or holds NaN"):
            separability(centres)


def test_people_twice_are_found_though_their_own_images_are_alike() -> None:
    """Each person is there under two labels, each label with four variants of one photograph: no identity's halves are
    as far apart as two photographs of one person, so only a threshold from elsewhere can tell."""
    draws = np.random.default_rng(0)
    people, width = 100, 64
    photographs = draws.normal(size=(people, 1, width)) + 0.6 * draws.normal(size=(people, 2, width))
    labels = np.repeat(np.arange(2 * people), 4)
    vectors = (photographs.reshape(-1, width)[labels] + 0.05 * draws.normal(size=(len(labels), width))).astype("f4")
    found = separability(identity_centres(vectors, labels))
    assert not (found.largest >= np.quantile(half_similarity(vectors, labels), 0.05)).any()
    unit = normalised(vectors).astype(np.float64)
    between = (unit @ unit.T).reshape(2 * people, 4, 2 * people, 4).mean((1, 3)) - 2 * np.eye(2 * people)
    for threshold in (0.5, 0.7, 0.75):
        expected = (between >= threshold).any(1)
        assert np.array_equal(matches_another(vectors, labels, found.largest, threshold), expected)
    assert matches_another(vectors, labels, found.largest, 0.5).mean() > 0.95


def test_thresholds_beyond_the_known_ones() -> None:
    """Of normal scores: the quantile itself."""
    normal = NormalDist(0.1, 0.12)
    known = {fmr: normal.inv_cdf(1 - fmr) for fmr in (1e-3, 1e-4, 1e-5)}
    for fmr in (1e-3, 3e-4, 1e-5, 1e-6, 1e-8):
        assert threshold_at(known, fmr) == pytest.approx(-NormalDist(-0.1, 0.12).inv_cdf(fmr), abs=1e-6)
    assert threshold_at({1e-3: 0.4}, 1e-9) == 0.4
    assert threshold_at({}, 1e-3) is None


def test_pairs_that_are_the_same_or_the_opposite_are_counted() -> None:
    """Rounding puts some of their cosines beyond -1 and 1, which no bin holds."""
    centres = _centres(200)
    found = separability(np.concatenate([centres, 3.0 * centres, -centres]))
    assert found.counts.sum() == 600 * 599 / 2
    assert (found.counts[0], found.counts[-1]) == (400, 200)


def test_what_strangers_reach_by_chance() -> None:
    """Of 4.5 million pairs of strangers, as many as the rate says reach the cosine; twins among them change nothing."""
    draws = np.random.default_rng(0)
    vectors = draws.normal(size=(3000, 24)).astype(np.float32)
    alone = separability(vectors)
    cosine = alone.reached_by_chance(1e-5)
    reached = alone.counts[int((cosine + 1) * 1000) :].sum()
    assert 0.2 < reached / (1e-5 * alone.counts.sum()) < 5
    twins = separability(
        np.concatenate([vectors, vectors + 0.05 * draws.normal(size=vectors.shape)]).astype(np.float32)
    )
    assert twins.reached_by_chance(1e-5) == pytest.approx(cosine, abs=0.02)
    assert separability(vectors + 1000).reached_by_chance(1e-5) > 0.999
