"""A dataset cleaned from its features: labels, duplicates, the uncertain cases, and the log of every decision."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nonesuch.cleaning.answers import IMAGE, PEOPLE, Answer, Answered, settle
from nonesuch.cleaning.cast import Cleaned, Decision, clean
from nonesuch.cleaning.doubles import Pair, doubles, pairs
from nonesuch.cleaning.features import Features
from nonesuch.cleaning.uncertain import Thresholds
from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.embedders.embedder import EmbedderCard
from nonesuch.formats.photograph_lists import chosen, classes_of
from nonesuch.formats.photographs import Photograph
from nonesuch.formats.relabelling import Label
from nonesuch.formats.shard_rows import ShardRows
from nonesuch.measures.duplicates import picture_threshold

_LOG = ("round", "file", "action", "before", "after", "cosine", "other", "by")
_SAID = {
    (IMAGE, True): "is of",
    (IMAGE, False): "is not of",
    (PEOPLE, True): "one person",
    (PEOPLE, False): "two people",
}


@dataclass(frozen=True)
class CleanedSet:
    """A dataset after cleaning. Rows are those of its features.

    Attributes:
        photographs: all photographs of the dataset, as they were found.
        features: of the photographs with a face.
        identities: name of each label, in alphabetical order.
        before, after: (N,) labels before and after, -1 for images that go.
        cleaned: labels and decisions before duplicates go.
        pairs: images that may be one picture.
        doubles: those that go as duplicates.
        answered: what a person had decided.
    """

    photographs: Sequence[Photograph]
    features: Features
    identities: list[str]
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    cleaned: Cleaned
    pairs: list[Pair]
    doubles: list[Decision]
    answered: Answered

    @property
    def images(self) -> int:
        """How many images stay."""
        return int((self.after >= 0).sum())

    @property
    def knows_faces(self) -> bool:
        """Whether of an image that stays it is known which of its faces is meant."""
        return bool(np.isin(self.features.rows[self.after >= 0], list(self.features.landmarks)).any())

    def name(self, row: int) -> str:
        """The name of a row's image."""
        return self.photograph(row).name

    def photograph(self, row: int) -> Photograph:
        """A row's image, and the face in it."""
        place = int(self.features.rows[row])
        return replace(self.photographs[place], landmarks=self.features.landmarks.get(place))

    def labels(self) -> Iterator[tuple[str, Label]]:
        """The images that stay, with their identities before and after."""
        stays = self.after >= 0
        places = self.features.rows[stays]
        mask = np.zeros(len(self.photographs), dtype=bool)
        mask[places] = True
        items = chosen(self.photographs, mask)
        for item, place, row in zip(items, places, np.flatnonzero(stays), strict=True):
            after, before = self.identities[self.after[row]], self.identities[self.before[row]]
            yield item.name, Label(after, before, self.features.landmarks.get(int(place)))

    @property
    def numbers(self) -> dict[str, int]:
        """What was done, and what there is before and after, by name."""
        decisions = self.cleaned.decisions
        images = {action: len({d.image for d in decisions if d.action == action}) for action in ("drop", "move")}
        problems = Counter(kind for kind, _ in self.features.problems.values())
        return {
            "images dropped": images["drop"],
            "images moved": images["move"],
            "identities merged": len({d.before for d in decisions if d.action == "merge"}),
            "duplicates": len(self.doubles),
            "unreadable": problems["unreadable"],
            "without a face": problems["no face"],
            "without features": problems["no features"],
            "identities before": len(self.identities),
            "identities": len(np.unique(self.after[self.after >= 0])),
            "images before": len(self.photographs),
            "images": self.images,
        }


def thresholds(card: EmbedderCard, fmr: float, same: float | None, merge: float | None) -> Thresholds:
    """The cosines of an embedder.

    Where `merge` is not given, it is the threshold at FMR 10^-6.5 on the line through the embedder's thresholds at FMR
    1e-3 and 1e-5 (by the logarithm of the rate). It is at most half-way from the second to 1. There mobilefacenet
    merges none of 610 LFW people wrongly (`benchmarks/cleaning.py`).

    Args:
        fmr: the rate whose threshold is `same` where that is not given.

    Raises:
        NonesuchError: the card lacks a threshold that is needed, or `merge` is below `same`.
    """
    same = card.threshold(fmr) if same is None else same
    if merge is None:
        often, seldom = card.known_threshold(1e-3), card.known_threshold(1e-5)
        if often is None or seldom is None:
            raise NonesuchError(
                f"the card of {card.name} lacks the thresholds at FMR 1e-3 and 1e-5 by which identities are merged; "
                "give --merge COSINE"
            )
        merge = max(min(seldom + 0.75 * (seldom - often), (1.0 + seldom) / 2.0), same)
    if merge < same:
        raise NonesuchError(f"--merge {merge:g} is below the cosine of one person, {same:g}; give a higher one")
    return Thresholds(same, merge, picture_threshold(same))


def clean_set(
    photographs: Sequence[Photograph], found: Features, limits: Thresholds, answers: Sequence[Answer], most_rounds: int
) -> CleanedSet:
    """Clean the labels, then find duplicates among what stays.

    Raises:
        NonesuchError: two images share a name, or the answers are about what is not there or contradict each other.
    """
    check_names(photographs)
    identities, label_of = classes_of(photographs)
    before = label_of[found.rows].astype(np.int64)
    answered = settle(answers, _asked_about(answers, photographs, found.rows), identities)
    cleaned = clean(found.vectors, before, limits.same, limits.merge, most_rounds, answered.settled)
    candidates = pairs(found.vectors, found.hashes, cleaned.identities, limits.picture, answered.same_picture)
    twice = doubles(candidates, cleaned.identities, limits.picture, answered.same_picture, answered.other_picture)
    after = cleaned.identities.copy()
    after[[decision.image for decision in twice]] = -1
    return CleanedSet(photographs, found, identities, before, after, cleaned, candidates, twice, answered)


def _asked_about(
    answers: Sequence[Answer], photographs: Sequence[Photograph], rows: NDArray[np.int64]
) -> dict[str, int | None]:
    """The row of each image that an answer names and that is there; None where it shows no face."""
    names = {name for answer in answers for name in (answer.one, answer.other)}
    if not names:
        return {}
    places = {item.name: place for place, item in enumerate(photographs) if item.name in names}
    at = {name: int(np.searchsorted(rows, place)) for name, place in places.items()}
    return {name: row if row < len(rows) and rows[row] == places[name] else None for name, row in at.items()}


def check_names(photographs: Sequence[Photograph]) -> None:
    """Raises NonesuchError where two images share a name: a manifest knows images by their names."""
    if isinstance(photographs, ShardRows):  # named by its plan, which names each once
        return
    name, count = Counter(item.name for item in photographs).most_common(1)[0]
    if count > 1:
        raise NonesuchError(f"{photographs[0].container}: {count} images are named {name}; give each its own name")


def write_decisions(path: Path, result: CleanedSet) -> None:
    """Write the log as CSV: images that cannot be compared, a person's answers, every round, duplicates.

    `other` is the file that an image doubles, or what an answer is about; `by` is "model" or "person".

    Raises:
        NonesuchError: the disk is full or the place cannot be written.
    """
    rows: list[tuple[object, ...]] = []
    for row, (action, _) in sorted(result.features.problems.items()):
        item = result.photographs[row]
        rows.append((0, item.name, action, item.identity, "", "", "", "model"))
    for answer in result.answered.heeded:
        said = _SAID.get((answer.question, answer.yes), "same picture" if answer.yes else "other picture")
        rows.append((0, answer.one, said, "", "", "", answer.other, "person"))
    for decision in [*result.cleaned.decisions, *result.doubles]:
        stays = decision.action in ("move", "merge")
        rows.append(
            (
                decision.round,
                result.name(decision.image),
                decision.action,
                result.identities[decision.before],
                result.identities[decision.after] if stays else "",
                f"{decision.cosine:.4f}" if np.isfinite(decision.cosine) else "",
                result.name(decision.other) if decision.other >= 0 else "",
                "person" if decision.person else "model",
            )
        )
    with files.replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(_LOG)
        writer.writerows(rows)
