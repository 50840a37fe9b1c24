"""Near duplicates are the same whatever the blocks, by brute force."""

from itertools import combinations

import numpy as np
import pytest

from nonesuch.measures import duplicates as module
from nonesuch.measures.duplicates import alike_within, differing_bits, has_near_twin, picture_threshold, similar_hashes
from nonesuch.measures.similarity import normalised


@pytest.fixture(params=[3, 1024])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(module, "_BLOCK", request.param)
    return int(request.param)


def test_twins_of_earlier_images(block: int) -> None:
    draws = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 10)
    vectors = draws.normal(size=(40, 8)).astype(np.float32)
    for row, earlier in ((9, 0), (14, 13), (38, 31), (39, 31), (25, 3)):  # the last is another identity's
        vectors[row] = 2.0 * vectors[earlier]
    order = draws.permutation(40)
    vectors, labels = vectors[order], labels[order]
    cosine = normalised(vectors) @ normalised(vectors).T
    same = labels[:, None] == labels
    for threshold in (0.99, 0.5):
        expected = (np.tril(cosine, -1) >= threshold) & same
        assert has_near_twin(vectors, labels, threshold).tolist() == expected.any(1).tolist()
        found = list(alike_within(normalised(vectors), labels, threshold))
        pairs = sorted(tuple(pair) for part, _ in found for pair in part.tolist())
        assert pairs == [(left, right) for left, right in np.argwhere(expected.T).tolist()]
        for part, values in found:
            assert values == pytest.approx(cosine[part[:, 0], part[:, 1]], abs=1e-6)


def test_bits_that_differ(block: int) -> None:
    one, other = np.random.default_rng(1).integers(0, 2**63, (2, 10, 19), dtype=np.uint64)
    nearest = []
    for left, right in zip(one.tolist(), other.tolist(), strict=True):
        pairs = [(left[0], crop) for crop in right] + [(crop, right[0]) for crop in left]
        nearest.append(min((first ^ second).bit_count() for first, second in pairs))
    assert differing_bits(one, other).tolist() == nearest
    assert differing_bits(one[:0], other[:0]).tolist() == []


@pytest.mark.parametrize("most", [0, 4])
def test_pairs_of_hashes(block: int, most: int) -> None:
    draws = np.random.default_rng(2)
    base = [int(value) for value in draws.integers(0, 2**63, 6, dtype=np.uint64)]
    hashes = [*base, base[0], *(value ^ (1 << int(draws.integers(64))) for value in base * 3), base[1] ^ 0b11111]
    expected = [
        (one, other)
        for one, other in combinations(range(len(hashes)), 2)
        if (hashes[one] ^ hashes[other]).bit_count() <= most
    ]
    found = similar_hashes(hashes, most)
    # Of equal hashes only the first is paired with others.
    firsts = {value: row for row, value in reversed(list(enumerate(hashes)))}
    kept = [
        pair
        for pair in expected
        if hashes[pair[0]] == hashes[pair[1]] or all(firsts[hashes[row]] == row for row in pair)
    ]
    assert found == kept


def test_many_copies_make_a_chain() -> None:
    """Up to fifty copies all pairs; beyond, each with the first and the one before."""
    assert len(similar_hashes([7] * 50)) == 50 * 49 // 2
    assert similar_hashes([7] * 51) == sorted(
        {(0, row) for row in range(1, 51)} | {(row, row + 1) for row in range(50)}
    )


def test_the_cosine_of_copies() -> None:
    assert picture_threshold(0.2) == pytest.approx(0.9)
    assert picture_threshold(1.0) == 1.0
