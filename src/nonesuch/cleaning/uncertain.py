"""The cases of a cleaning that a person should look at first: those nearest to a threshold, on either side of it.

As in active self-paced learning (Lin et al., TPAMI 2018, arXiv 1701.03555), the model decides what is certain, a person
is shown what is not, and both feed the next round.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.cleaning.answers import IMAGE, PEOPLE, PICTURE, Answered
from nonesuch.cleaning.cast import Cleaned
from nonesuch.cleaning.clusters import means
from nonesuch.cleaning.doubles import Pair
from nonesuch.core.images import Pixels
from nonesuch.measures.duplicates import MOST_BITS
from nonesuch.measures.grouping import rows_by_identity
from nonesuch.measures.similarity import normalised

_BLOCK = 1024


@dataclass(frozen=True)
class Thresholds:
    """Cosines from which two images count as one person, two means as one person, two images as one picture."""

    same: float
    merge: float
    picture: float


@dataclass(frozen=True)
class Case:
    """One question.

    Attributes:
        question: "image", "people" or "picture", as in `nonesuch.cleaning.answers`.
        one, other: rows of images, or labels: an image and a label, two labels, two images.
        cosine: what the model has compared.
        threshold: what it has compared the cosine with.
        margin: how far the model's decision is from the other one, at least 0.
        decided: the model's decision, in words.
    """

    question: str
    one: int
    other: int
    cosine: float
    threshold: float
    margin: float
    decided: str


@dataclass(frozen=True)
class Known:
    """What the cases' rows and labels stand for.

    Attributes:
        vectors: (N, D) embeddings.
        files: name of each row.
        identities: name of each label.
        before, after: (N,) labels before and after cleaning, -1 for images that were dropped.
        read: the face of a row, (112, 112, 3) uint8; None where it cannot be read any more.
    """

    vectors: NDArray[np.float32]
    files: Sequence[str]
    identities: Sequence[str]
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    read: Callable[[int], Pixels | None]


def uncertain(
    vectors: NDArray[np.float32],
    cleaned: Cleaned,
    pairs: Sequence[Pair],
    thresholds: Thresholds,
    answered: Answered,
    most: int,
) -> list[Case]:
    """The `most` least certain cases, the least certain first; none that a person has decided.

    Args:
        vectors: (N, D) embeddings of any length.
        cleaned: labels and decisions, before duplicates are taken out.
        pairs: images that may be one picture.
    """
    unit = normalised(np.asarray(vectors, dtype=np.float32))
    found = [
        *_images(unit, cleaned, thresholds, answered),
        *_people(unit, cleaned, thresholds.merge, answered, most),
        *_pictures(cleaned.identities, pairs, thresholds.picture, answered),
    ]
    found.sort(key=lambda case: (case.margin, case.question, case.one, case.other))
    return found[:most]


def _images(unit: NDArray[np.float32], cleaned: Cleaned, limits: Thresholds, answered: Answered) -> Iterator[Case]:
    """Images that stayed by a weak link, were moved, or were dropped."""
    labels = cleaned.identities
    became, held = _became(cleaned), answered.settled.held
    refused = {(image, became.get(label, label)) for image, label in answered.settled.refused}
    changed = {
        decision.image: decision
        for decision in cleaned.decisions
        if decision.action in ("move", "drop") and not decision.person and decision.image not in held
    }
    by_person = {decision.image for decision in cleaned.decisions if decision.person and decision.action != "merge"}
    for rows in rows_by_identity(labels):
        cosine = unit[rows] @ unit[rows].T
        np.fill_diagonal(cosine, -np.inf)
        for image, link in zip(rows.tolist(), cosine.max(1).tolist(), strict=True):
            if len(rows) > 1 and image not in changed and image not in held and image not in by_person:
                yield Case(IMAGE, image, int(labels[image]), link, limits.same, abs(link - limits.same), "it stays")
    names, centres = means(unit, labels)
    place = {name: column for column, name in enumerate(names.tolist())}
    for image, decision in changed.items():
        if labels[image] >= 0:
            over = decision.cosine - limits.merge
            found = [Case(IMAGE, image, int(labels[image]), decision.cosine, limits.merge, abs(over), "it moves there")]
        elif len(names):
            near = unit[image] @ centres.T
            own = became.get(decision.before, decision.before)
            nearest = int(names[near.argmax()])
            found = [
                Case(IMAGE, image, label, value, limit, abs(value - limit), "it is dropped")
                for label, limit in {nearest: limits.merge, own: limits.same}.items()
                if label in place
                for value in [float(near[place[label]])]
            ]
        open_cases = [case for case in found if (image, case.other) not in refused]
        yield from sorted(open_cases, key=lambda case: case.margin)[:1]


def _people(unit: NDArray[np.float32], cleaned: Cleaned, merge: float, answered: Answered, most: int) -> Iterator[Case]:
    """Identities that became one, and the nearest of those that did not."""
    merges = {
        (decision.after, decision.before): decision.cosine
        for decision in cleaned.decisions
        if decision.action == "merge" and not decision.person
    }
    for (after, before), cosine in merges.items():
        yield Case(PEOPLE, after, before, cosine, merge, abs(cosine - merge), "they are merged")
    names, centres = means(unit, cleaned.identities)
    became = _became(cleaned)
    apart = {frozenset(became.get(label, label) for label in pair) for pair in answered.settled.two}
    looked_at = most + len(apart)
    best: list[tuple[float, int, int]] = []
    for start in range(0, len(names), _BLOCK):
        cosine = centres[start : start + _BLOCK] @ centres[: start + _BLOCK].T
        row, column = np.nonzero(np.tri(len(cosine), cosine.shape[1], start - 1, dtype=bool) & (cosine < merge))
        value = cosine[row, column]
        nearest = np.argsort(-value, kind="stable")[:looked_at]
        best += [(float(value[at]), int(names[column[at]]), int(names[row[at] + start])) for at in nearest]
        best = sorted(best, key=lambda item: (-item[0], item[1:]))[:looked_at]
    for value, first, second in best:
        if {first, second} not in apart:
            yield Case(PEOPLE, first, second, value, merge, merge - value, "they stay apart")


def _pictures(identities: NDArray[np.int64], pairs: Sequence[Pair], least: float, answered: Answered) -> Iterator[Case]:
    decided = answered.same_picture | answered.other_picture
    for pair in pairs:
        rows = (pair.first, pair.second)
        if rows in decided or min(identities[list(rows)]) < 0:
            continue
        # A bit of 64 is the step in which hashes differ.
        bits, cosine = (MOST_BITS + 0.5 - pair.bits) / 64.0, pair.cosine - least
        same = pair.same(least)
        margin = min(bits, cosine) if same else -min(bits, cosine)
        words = "the later one is dropped" if same else "both stay"
        yield Case(PICTURE, *rows, pair.cosine, least, margin, words)


def _became(cleaned: Cleaned) -> dict[int, int]:
    """The label that each label ended in, of those that were merged."""
    found = {decision.before: decision.after for decision in cleaned.decisions if decision.action == "merge"}
    for name in found:
        while found[name] in found:
            found[name] = found[found[name]]
    return found
