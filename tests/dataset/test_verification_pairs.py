"""Which images a verification set compares: folds, kinds, turns and the most that can be had."""

import hashlib
import re
from collections import Counter
from itertools import combinations, permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.dataset.verification_pairs import _some, draw_pairs

EVEN = np.repeat(np.arange(40), 4)
UNEVEN = np.random.default_rng(0).permutation(np.repeat(np.arange(60), [90, 30, *[5] * 8, *[3] * 20, *[1] * 30]))


def _folds(labels: NDArray[np.int64], pairs: NDArray[np.int64]) -> list[tuple[list[set[int]], list[set[int]]]]:
    """Of each fold the mated and the non-mated pairs, as insightface cuts them: every tenth part, in order."""
    count = len(pairs) // 10
    assert len({frozenset(pair) for pair in pairs.tolist()}) == len(pairs) == 10 * count
    found, seen = [], set[int]()
    for fold in range(10):
        rows = pairs[fold * count : (fold + 1) * count]
        same = labels[rows[:, 0]] == labels[rows[:, 1]]
        assert same.tolist() == [True] * (count // 2) + [False] * (count // 2)
        people = set(labels[rows].ravel().tolist())
        assert not people & seen
        seen |= people
        sets = [set(pair) for pair in rows.tolist()]
        found.append((sets[: count // 2], sets[count // 2 :]))
    return found


@pytest.mark.parametrize("labels", [EVEN, UNEVEN])
@pytest.mark.parametrize("count", [20, 60, 120])
def test_folds_share_nobody_and_no_pair_is_there_twice(labels: NDArray[np.int64], count: int) -> None:
    _folds(labels, draw_pairs(labels, count, 3))


@pytest.mark.parametrize("labels", [EVEN, UNEVEN])
def test_the_most_that_can_be_had(labels: NDArray[np.int64]) -> None:
    """The error names it; with so many, one kind of one fold has all pairs that there are."""
    with pytest.raises(NonesuchError, match=r"at most [\d,]+ pairs in ten folds") as refused:
        draw_pairs(labels, 1_000_000, 3)
    named = re.search(r"give --pairs (\d+)", str(refused.value))
    assert named is not None
    most = int(named[1])
    used_up = 0
    for mated, others in _folds(labels, draw_pairs(labels, most, 3)):
        rows = np.flatnonzero(np.isin(labels, labels[[row for pair in mated + others for row in pair]])).tolist()
        every = list(combinations(rows, 2))
        used_up += len(mated) == sum(labels[a] == labels[b] for a, b in every)
        used_up += len(others) == sum(labels[a] != labels[b] for a, b in every)
    assert used_up
    with pytest.raises(NonesuchError, match=f"--pairs {most + 20}: "):
        draw_pairs(labels, most + 20, 4)


def test_people_take_turns() -> None:
    """Who has ninety images is compared as often as who has three, until those have no pairs left."""
    folds = _folds(UNEVEN, draw_pairs(UNEVEN, 180, 5))
    for mated, others in folds:
        of_person = Counter(int(UNEVEN[min(pair)]) for pair in mated)
        assert sorted(of_person.values()) == [3, 3, 3]
        assert len({frozenset(UNEVEN[list(pair)].tolist()) for pair in others}) == 9


def test_the_seed_alone_says_which_pairs() -> None:
    drawn = draw_pairs(UNEVEN, 120, 7)
    assert np.array_equal(drawn, draw_pairs(UNEVEN.astype(np.int32), 120, 7))
    assert len({frozenset(pair) for pair in [*drawn.tolist(), *draw_pairs(UNEVEN, 120, 8).tolist()]}) > 200
    assert hashlib.sha256(drawn.astype("<i8").tobytes()).hexdigest()[:16] == "c2f3ce7cee552cd4"  # on every machine


def test_some_of_many_come_in_every_order_alike() -> None:
    seen = Counter(tuple(_some(seed, 4, 2)) for seed in range(2400))
    assert set(seen) == set(permutations(range(4), 2))
    assert sum((count - 200) ** 2 / 200 for count in seen.values()) < 31.3  # chi-square, 11 degrees, 0.1%
    assert sorted(_some(1, 9, 9)) == list(range(9))


@pytest.mark.parametrize(
    ("labels", "says"), [(np.repeat(np.arange(19), 3), "19 and 19"), ([*range(30), *range(9)], "30 and 9")]
)
def test_too_few_people(labels: list[int], says: str) -> None:
    with pytest.raises(NonesuchError, match=f"ten folds need 20 identities, 10 of them with two images.* {says}"):
        draw_pairs(np.array(labels), 20, 0)
