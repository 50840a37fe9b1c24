"""Which images a verification set compares: ten folds that share nobody, half of each mated, as LFW has them.

Source: Huang, Ramesh, Berg and Learned-Miller, Labeled Faces in the Wild, 2007 (View 2).
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import Stream, derive_seed, permutation, uniform
from nonesuch.formats.packed_pairs import FOLDS

STEP = 2 * FOLDS  # the smallest set: a mated and a non-mated pair in each fold


def draw_pairs(labels: NDArray[np.integer], count: int, seed: int) -> NDArray[np.int64]:
    """Pairs of images, fold after fold, in each the mated ones first. No pair is there twice.

    Folds have as many people as one another, and about as many images: people are dealt out by their number of images,
    in random order where it is the same. In a fold its people (for non-mated pairs, its pairs of people) take turns in
    random order, and each turn gives one of their pairs of images at random.

    Args:
        labels: (N,) whom each image shows, as numbers of classes that all have images.
        count: of the pairs, a multiple of 20.
        seed: the same seed gives the same pairs.

    Returns:
        (count, 2) rows of the images.

    Raises:
        NonesuchError: people and images do not give so many.
    """
    order, sizes = np.argsort(labels, kind="stable"), np.bincount(labels)
    starts = np.cumsum(sizes) - sizes
    shuffled = permutation(seed, Stream.PAIR, len(sizes))
    ranked = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    folds = [ranked[fold::FOLDS] for fold in range(FOLDS)]
    _check_room(count, sizes, [sizes[people].tolist() for people in folds])
    found: list[tuple[int, int]] = []
    for fold, people in enumerate(folds):
        of_fold = starts[people].tolist(), sizes[people].tolist(), count // STEP
        found += _mated(derive_seed(seed, fold, 1), *of_fold)
        found += _non_mated(derive_seed(seed, fold, 0), *of_fold)
    return order[np.array(found)]


def _check_room(count: int, sizes: NDArray[np.int64], folds: Sequence[list[int]]) -> None:
    """Raises NonesuchError where a fold, whose people have so many images, has too few pairs of either kind."""
    mated = min(sum(size * (size - 1) // 2 for size in fold) for fold in folds)
    non_mated = min((sum(fold) ** 2 - sum(size * size for size in fold)) // 2 for fold in folds)
    most = STEP * min(mated, non_mated)
    if most == 0:
        raise NonesuchError(
            f"--format bin: its ten folds need 20 identities, 10 of them with two images; there are {len(sizes)} "
            f"and {int((sizes > 1).sum())}"
        )
    if count > most:
        raise NonesuchError(
            f"--pairs {count}: {len(sizes):,} identities with {int(sizes.sum()):,} images give at most {most:,} pairs "
            f"in ten folds that share nobody; give --pairs {most}, or more images"
        )


def _mated(seed: int, starts: list[int], sizes: list[int], count: int) -> Iterator[tuple[int, int]]:
    several = sum(size > 1 for size in sizes)  # those with more images come first
    for person, place in _in_turn(seed, several, lambda person: sizes[person] * (sizes[person] - 1) // 2, count):
        first, second = _two(place)
        yield starts[person] + first, starts[person] + second


def _non_mated(seed: int, starts: list[int], sizes: list[int], count: int) -> Iterator[tuple[int, int]]:
    def room(couple: int) -> int:
        first, second = _two(couple)
        return sizes[first] * sizes[second]

    for couple, place in _in_turn(seed, len(sizes) * (len(sizes) - 1) // 2, room, count):
        first, second = _two(couple)
        left, right = divmod(place, sizes[second])
        yield starts[first] + left, starts[second] + right


def _in_turn(seed: int, groups: int, room: Callable[[int], int], count: int) -> Iterator[tuple[int, int]]:
    """`count` different (group, number below the group's `room`, which is at least 1); together they have room."""
    waiting = _some(derive_seed(seed), groups, min(groups, count))
    turns: Counter[int] = Counter()
    left, turn = count, 0
    while left:
        waiting = [group for group in waiting if room(group) > turn][:left]
        turns.update(waiting)
        left, turn = left - len(waiting), turn + 1
    for group, number in turns.items():
        for place in _some(derive_seed(seed, group), room(group), number):
            yield group, place


def _some(seed: int, size: int, count: int) -> list[int]:
    """`count` different numbers below `size` in random order: the beginning of Fisher and Yates' shuffle."""
    moved: dict[int, int] = {}
    found = []
    for at, draw in enumerate(uniform(seed, Stream.PAIR, count).tolist()):
        drawn = at + int(draw * (size - at))
        found.append(moved.get(drawn, drawn))
        moved[drawn] = moved.get(at, at)
    return found


def _two(number: int) -> tuple[int, int]:
    """The pair first < second of a number: 0 is (0, 1), 1 is (0, 2), 2 is (1, 2), 3 is (0, 3), ..."""
    second = (1 + math.isqrt(1 + 8 * number)) // 2
    return number - second * (second - 1) // 2, second
