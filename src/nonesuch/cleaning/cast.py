"""Cleaning labels automatically, as CAST in WebFace260M (arXiv 2103.04098): cluster within identities to find what does
not belong, merge identities that are one person, until nothing changes. Nothing is moved: decisions are listed."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nonesuch.cleaning.clusters import main_cluster, means, rows_at_once
from nonesuch.core.errors import NonesuchError
from nonesuch.measures.grouping import rows_by_identity
from nonesuch.measures.separability import check_vectors

MOST_ROUNDS = 10


@dataclass(frozen=True)
class Decision:
    """One change.

    Attributes:
        round: number of the pass, from 1; 0 for what a person decided before it, and for duplicates.
        image: row of the image.
        action: "drop" (an image that belongs to nobody here), "move" (to another identity), "merge" (with its whole
            identity), "duplicate" (of an image that stays).
        before, after: labels; the same for "drop" and "duplicate".
        cosine: to the identity it was compared with, or to the image that it doubles; NaN where none was.
        other: the image that it doubles, otherwise -1.
        person: whether a person has decided it.
    """

    round: int
    image: int
    action: str
    before: int
    after: int
    cosine: float
    other: int = -1
    person: bool = False


@dataclass(frozen=True)
class Settled:
    """What a person has decided, which no cosine overrules. Rows of images, and labels.

    Attributes:
        one: (label, label that it becomes): both are in the core of what they become.
        two: pairs of labels that are two people, after `one`.
        held: the label of images whose identity is certain, after `one`.
        refused: pairs (image, label) that do not belong together, after `one`.
    """

    one: dict[int, int] = field(default_factory=dict)
    two: frozenset[tuple[int, int]] = frozenset()
    held: dict[int, int] = field(default_factory=dict)
    refused: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True)
class Cleaned:
    """The labels after all rounds.

    Attributes:
        identities: (N,) int64 new labels, -1 for images that were dropped.
        decisions: every change, in order.
        rounds: passes that were made; if the labels are stable, the last one changed nothing.
        stable: whether the last round changed nothing.
    """

    identities: NDArray[np.int64]
    decisions: list[Decision]
    rounds: int
    stable: bool


def clean(
    unit: NDArray[np.float32],
    identities: NDArray[np.int64],
    same: float,
    merge: float,
    most_rounds: int = MOST_ROUNDS,
    settled: Settled | None = None,
) -> Cleaned:
    """Drop, move and merge until nothing changes.

    A round has three steps. (1) The core of each identity is its largest cluster of images that are linked by a cosine
    of at least `same`. (2) An image outside the core moves to the identity whose core's mean is nearest, if their
    cosine is at least `merge`; among thousands of people someone is always as near as `same`. Otherwise it stays if the
    mean of its own core is as near as `same`, or it is dropped. (3) Identities whose cores' means have a cosine of at
    least `merge` become one, under the smaller number.

    Args:
        unit: (N, D) embeddings of length 1.
        identities: (N,) labels, at least 0.
        same: cosine from which two images count as one person, such as the embedder's at FMR 1e-3.
        merge: cosine of a mean to another mean or to an image, from which they count as one person. It is higher
            because means are less noisy than images and many are compared.
        most_rounds: the most to make.
        settled: what a person has decided. An image that is held is in its identity's core, and so are those that are
            linked to it.

    Raises:
        NonesuchError: no images, embeddings that are zero or not finite, or negative labels.
    """
    if not len(unit):
        raise NonesuchError("there are no images to clean")
    if (identities < 0).any():
        raise NonesuchError("labels must not be negative")
    check_vectors(unit)
    cleaning = _Cleaning(unit, identities, same, merge, settled or Settled())
    for number in range(1, most_rounds + 1):
        if not cleaning.round(number):
            return Cleaned(cleaning.labels, cleaning.decisions, number, True)
    cleaning.leave_refused(most_rounds)
    return Cleaned(cleaning.labels, cleaning.decisions, most_rounds, False)


class _Cleaning:
    """The labels as they change, and the decisions."""

    def __init__(
        self, unit: NDArray[np.float32], identities: NDArray[np.int64], same: float, merge: float, settled: Settled
    ) -> None:
        self.unit, self.same, self.merge = unit, same, merge
        self.labels = identities.astype(np.int64).copy()
        # Identities that a person has merged keep one core each: the person knows what the embedder does not see.
        self.parts = self.labels.copy()
        self.decisions: list[Decision] = []
        self.held = np.zeros(len(unit), dtype=bool)
        self.refused = set(settled.refused)
        self.two = settled.two
        self.became: dict[int, int] = {}  # of each label that was taken in, the one that took it
        self.images = _ImagesOfLabels(self.labels)
        for name, after in settled.one.items():
            self._join(0, name, after, np.nan, True)
        for image, label in settled.held.items():
            self.held[image] = True
            if (before := int(self.labels[image])) != label:
                self._decide(Decision(0, image, "move", before, label, np.nan, person=True), label)

    def _decide(self, decision: Decision, label: int) -> None:
        self.decisions.append(decision)
        self.labels[decision.image] = self.parts[decision.image] = label

    def round(self, number: int) -> bool:
        """One pass; says whether it changed anything."""
        made = len(self.decisions)
        core = np.zeros(len(self.labels), dtype=bool)
        core[self.held & (self.labels >= 0)] = True
        refused_here = np.zeros(len(core), dtype=bool)
        for image, label in self.refused:
            refused_here[image] |= self.labels[image] == label
        for rows in rows_by_identity(np.where(refused_here, -1, self.parts)):
            core[rows[main_cluster(self.unit[rows], self.same, self.held[rows])]] = True
        names, centres = means(self.unit, np.where(core, self.labels, -1))
        self._leave_cores(core, refused_here, names, centres, number)
        self._merge_near(names, centres, number)
        return len(self.decisions) > made

    def _leave_cores(
        self,
        core: NDArray[np.bool_],
        refused_here: NDArray[np.bool_],
        names: NDArray[np.int64],
        centres: NDArray[np.float32],
        number: int,
    ) -> None:
        """Move or drop the images that are outside their identity's core."""
        place = {int(name): column for column, name in enumerate(names)}
        # A label that no image may have, for an image to which all are refused.
        centres = np.concatenate([centres, np.zeros_like(self.unit[:1])])
        outside = np.flatnonzero(~core & (self.labels >= 0))
        block = rows_at_once(len(centres))
        for start in range(0, len(outside), block):
            rows = outside[start : start + block]
            cosine = self.unit[rows] @ centres.T
            cosine[:, -1] = -np.inf
            at_row = {int(image): row for row, image in enumerate(rows)}
            for image, label in self.refused:
                if image in at_row and label in place:
                    cosine[at_row[image], place[label]] = -np.inf
            for row, image in enumerate(rows.tolist()):
                column = place.get(int(self.labels[image]), len(names))
                own = not refused_here[image] and float(cosine[row, column]) >= self.same
                self._leave(image, names, cosine[row], own, bool(refused_here[image]), number)

    def _leave(
        self,
        image: int,
        names: NDArray[np.int64],
        cosine: NDArray[np.float32],
        own: bool,
        refused: bool,
        number: int,
    ) -> None:
        """Move an image that is outside its identity's core, or drop it, unless its own mean is near (`own`)."""
        before, column = int(self.labels[image]), int(cosine.argmax())
        nearest = float(cosine[column])
        after = int(names[column]) if nearest >= self.merge else before
        if after != before:
            self._decide(Decision(number, image, "move", before, after, nearest, person=refused), after)
        elif not own:
            told = nearest if np.isfinite(nearest) else np.nan
            self._decide(Decision(number, image, "drop", before, before, told, person=refused), -1)

    def leave_refused(self, number: int) -> None:
        """Drop images that a person refused and merging brought back, where the budget ends before the next pass."""
        for image, label in sorted(self.refused):
            if self.labels[image] == label:
                self._decide(Decision(number, image, "drop", label, label, np.nan, person=True), -1)

    def _merge_near(self, names: NDArray[np.int64], centres: NDArray[np.float32], number: int) -> None:
        self.images = _ImagesOfLabels(self.labels)
        block = rows_at_once(len(names))
        for start in range(0, len(names), block):
            cosine = centres[start : start + block] @ centres[: start + block].T
            for row, column in np.argwhere(cosine >= self.merge):
                if column >= row + start:
                    continue
                first, second = sorted((self._root(int(names[column])), self._root(int(names[row + start]))))
                if first != second and not self._kept_apart(first, second):
                    self._join(number, second, first, float(cosine[row, column]), False)

    def _root(self, name: int) -> int:
        while name in self.became:
            name = self.became[name]
        return name

    def _kept_apart(self, first: int, second: int) -> bool:
        return any({self._root(one), self._root(other)} == {first, second} for one, other in self.two)

    def _join(self, number: int, name: int, after: int, cosine: float, person: bool) -> None:
        for image in self.images.join(name, after):
            part = int(self.parts[image])
            self._decide(Decision(number, image, "merge", name, after, cosine, person=person), after)
            if person or part != name:
                self.parts[image] = part
        self.became[name] = after
        self.refused |= {(image, after) for image, label in self.refused if label == name}


class _ImagesOfLabels:
    """The images of each label, while labels are merged and nothing else changes."""

    def __init__(self, labels: NDArray[np.int64]) -> None:
        self._order = np.argsort(labels, kind="stable")
        self._labels = labels[self._order]
        self._merged: dict[int, NDArray[np.int64]] = {}

    def join(self, name: int, after: int) -> list[int]:
        """Give all images of one label to another; returns them."""
        taken = self._of(name)
        self._merged[after] = np.sort(np.concatenate([self._of(after), taken]))
        self._merged[name] = taken[:0]
        return taken.tolist()

    def _of(self, name: int) -> NDArray[np.int64]:
        if name in self._merged:
            return self._merged[name]
        first, last = np.searchsorted(self._labels, [name, name + 1])
        return self._order[first:last]
