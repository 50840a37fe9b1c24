"""Cleaning labels automatically, as CAST in WebFace260M (arXiv 2103.04098): cluster within identities to find what does
not belong, merge identities that are one person, until nothing changes. Nothing is moved: decisions are listed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.audit.separability import check_vectors
from nonesuch.core.errors import NonesuchError
from nonesuch.core.similarity import normalised

MOST_ROUNDS = 10
_BLOCK = 2048


@dataclass(frozen=True)
class Decision:
    """One change.

    Attributes:
        round: number of the pass, from 1.
        image: row of the image.
        action: "drop" (an image that belongs to nobody here), "move" (to another identity), "merge" (with its whole
            identity), "duplicate" (of an image that stays).
        before, after: labels; the same for "drop" and "duplicate".
        cosine: to the identity it was compared with, or to the image that it doubles.
        other: the image that it doubles, else -1.
    """

    round: int
    image: int
    action: str
    before: int
    after: int
    cosine: float
    other: int = -1


@dataclass(frozen=True)
class Cleaned:
    """The labels after all rounds.

    Attributes:
        identities: (N,) int64 new labels, -1 for images that were dropped.
        decisions: every change, in order.
        stable: whether the last round changed nothing.
    """

    identities: NDArray[np.int64]
    decisions: list[Decision]
    stable: bool


def clean(
    vectors: NDArray[np.float32],
    identities: NDArray[np.int64],
    same: float,
    merge: float,
    most_rounds: int = MOST_ROUNDS,
) -> Cleaned:
    """Drop, move and merge until nothing changes.

    A round: (1) of each identity the largest cluster of images that are linked by a cosine of at least `same` is its
    core; (2) an image outside it moves to the identity whose core's mean is nearest, if their cosine is at least
    `same`, else it is dropped; (3) identities whose cores' means have a cosine of at least `merge` become one, that
    with the smaller number.

    Args:
        vectors: (N, D) embeddings of any length.
        identities: (N,) labels, at least 0.
        same: cosine from which two images count as one person, such as the embedder's at FMR 1e-3.
        merge: cosine of two means from which they count as one person; higher, as means are less noisy than images.
        most_rounds: budget.

    Raises:
        NonesuchError: no images, embeddings that are zero or not finite, or negative labels.
    """
    if not len(vectors):
        raise NonesuchError("there are no images to clean")
    if (identities < 0).any():
        raise NonesuchError("labels must not be negative")
    check_vectors(vectors)
    unit = normalised(np.asarray(vectors, dtype=np.float32))
    labels = identities.astype(np.int64).copy()
    decisions: list[Decision] = []
    for number in range(1, most_rounds + 1):
        found = _round(unit, labels, same, merge, number)
        if not found:
            return Cleaned(labels, decisions, True)
        decisions += found
    return Cleaned(labels, decisions, False)


def _round(
    unit: NDArray[np.float32], labels: NDArray[np.int64], same: float, merge: float, number: int
) -> list[Decision]:
    """One pass; changes `labels`."""
    core = np.zeros(len(labels), dtype=bool)
    for rows in _groups(labels):
        core[rows[main_cluster(unit[rows], same)]] = True
    names, centres = _centres(unit, np.where(core, labels, -1))
    decisions = []
    for start in range(0, len(labels), _BLOCK):
        outside = np.flatnonzero(~core[start : start + _BLOCK] & (labels[start : start + _BLOCK] >= 0)) + start
        if not len(outside):
            continue
        cosine = unit[outside] @ centres.T
        for image, at in zip(outside, cosine.argmax(1), strict=True):
            nearest = float(cosine[np.searchsorted(outside, image), at])
            before, after = int(labels[image]), int(names[at]) if nearest >= same else -1
            if after == before:
                continue  # near the mean, though linked to no image of the core
            action = "drop" if after < 0 else "move"
            decisions.append(Decision(number, int(image), action, before, before if after < 0 else after, nearest))
            labels[image] = after
    return decisions + _merged(unit, labels, names, centres, merge, number)


def _merged(
    unit: NDArray[np.float32],
    labels: NDArray[np.int64],
    names: NDArray[np.int64],
    centres: NDArray[np.float32],
    merge: float,
    number: int,
) -> list[Decision]:
    target = {int(name): (int(name), 1.0) for name in names}

    def root(name: int) -> int:
        while target[name][0] != name:
            name = target[name][0]
        return name

    for start in range(0, len(names), _BLOCK):
        cosine = centres[start : start + _BLOCK] @ centres[: start + _BLOCK].T
        for row, column in np.argwhere(np.tril(cosine, start - 1) >= merge):
            first, second = sorted((root(int(names[column])), root(int(names[row + start]))))
            if first != second:
                target[second] = (first, float(cosine[row, column]))
    decisions = []
    for name in names.tolist():
        if (after := root(name)) != name:
            for image in np.flatnonzero(labels == name):
                decisions.append(Decision(number, int(image), "merge", name, after, target[name][1]))
            labels[labels == name] = after
    return decisions


def main_cluster(unit: NDArray[np.float32], same: float) -> NDArray[np.int64]:
    """Rows of the largest set of images that are linked by cosines of at least `same`; of equals the tighter one."""
    if len(unit) <= 2:
        return np.arange(len(unit)) if len(unit) < 2 or unit[0] @ unit[1] >= same else np.arange(1)
    cosine = unit @ unit.T
    linked = cosine >= same
    cluster = np.arange(len(unit))
    while True:  # each pass takes the smallest number among neighbours: at most as many as there are images
        spread = np.where(linked, cluster, len(unit)).min(1)
        if np.array_equal(spread, cluster):
            break
        cluster = spread
    best: tuple[int, float, int] = (0, -np.inf, 0)
    for name in np.unique(cluster):
        rows = np.flatnonzero(cluster == name)
        best = max(best, (len(rows), float(cosine[np.ix_(rows, rows)].mean()), -int(name)))
    return np.flatnonzero(cluster == -best[2])


def _groups(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    order = np.argsort(labels, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    return [rows for rows in groups if labels[rows[0]] >= 0]


def _centres(unit: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    known = labels >= 0
    names, place = np.unique(labels[known], return_inverse=True)
    sums = np.zeros((len(names), unit.shape[1]))
    np.add.at(sums, place, unit[known])
    return names, normalised(sums.astype(np.float32))


def doubles(
    vectors: NDArray[np.float32], alike: list[tuple[int, int]], identities: NDArray[np.int64], least: float
) -> list[Decision]:
    """Of pairs whose pictures are nearly the same (see `similar_hashes`) the later one, if the embeddings agree too.

    Args:
        alike: (first, second) rows.
        identities: (N,) labels after `clean`; of a pair with a dropped image nothing is said.
        least: cosine from which embeddings agree.
    """
    unit = normalised(np.asarray(vectors, dtype=np.float32))
    found: dict[int, Decision] = {}
    for first, second in sorted(alike):
        cosine = float(unit[first] @ unit[second])
        if cosine < least or second in found or identities[first] < 0 or identities[second] < 0:
            continue
        label = int(identities[second])
        found[second] = Decision(0, second, "duplicate", label, label, cosine, first)
    return list(found.values())
