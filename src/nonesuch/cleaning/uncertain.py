"""The cases of a cleaning that a person should look at first: those nearest to a threshold, on either side of it.

As in active self-paced learning (Lin et al., TPAMI 2018, arXiv 1701.03555), the model decides what is certain, a person
is shown what is not, and both feed the next round.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.cleaning.answers import IMAGE, PEOPLE, PICTURE, Answered
from nonesuch.cleaning.cast import Cleaned, Decision
from nonesuch.cleaning.clusters import means, rows_at_once
from nonesuch.cleaning.doubles import Pair
from nonesuch.core.images import Pixels
from nonesuch.measures.duplicates import MOST_BITS
from nonesuch.measures.grouping import rows_by_identity

People = tuple[NDArray[np.int64], NDArray[np.float32]]  # of `means`


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
        unit: (N, D) embeddings of length 1.
        name: the name of a row's image.
        identities: name of each label.
        before, after: (N,) labels before and after cleaning, -1 for images that were dropped.
        read: the face of a row, (112, 112, 3) uint8; None where it cannot be read any more.
    """

    unit: NDArray[np.float32]
    name: Callable[[int], str]
    identities: Sequence[str]
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    read: Callable[[int], Pixels | None]


def uncertain(
    unit: NDArray[np.float32],
    cleaned: Cleaned,
    pairs: Sequence[Pair],
    thresholds: Thresholds,
    answered: Answered,
    most: int,
) -> list[Case]:
    """The `most` least certain cases, the least certain first; none that a person has decided.

    Args:
        unit: (N, D) embeddings of length 1.
        cleaned: labels and decisions, before duplicates are taken out.
        pairs: images that may be one picture.
    """
    changed, became, people = _by_model(cleaned, answered), _became(cleaned), means(unit, cleaned.identities)
    refused = {(image, became.get(label, label)) for image, label in answered.settled.refused}
    apart = {frozenset(became.get(label, label) for label in pair) for pair in answered.settled.two}
    by_person = {decision.image for decision in cleaned.decisions if decision.person and decision.action != "merge"}
    decided = {*changed, *answered.settled.held, *by_person}
    found = [
        *_linked(unit, cleaned.identities, thresholds.same, decided, most),
        *_changed(unit, cleaned.identities, thresholds, changed, became, refused, people),
        *_merged(cleaned, thresholds.merge),
        *_apart(people, thresholds.merge, apart, most),
        *_pictures(cleaned.identities, pairs, thresholds.picture, answered),
    ]
    found.sort(key=lambda case: (case.margin, case.question, case.one, case.other))
    return found[:most]


def _linked(
    unit: NDArray[np.float32], labels: NDArray[np.int64], same: float, decided: set[int], most: int
) -> Iterator[Case]:
    """The images that stay with the least certain links to the others of their identity."""
    margin = np.full(len(labels), np.inf)
    links = np.zeros(len(labels), dtype=np.float32)
    for rows in rows_by_identity(labels):
        if len(rows) > 1:
            part = unit[rows]
            cosine = part @ part.T
            np.fill_diagonal(cosine, -np.inf)
            links[rows] = cosine.max(1)
            margin[rows] = np.abs(links[rows].astype(np.float64) - same)
    margin[list(decided)] = np.inf
    for image in _smallest(margin, most):
        yield Case(IMAGE, image, int(labels[image]), float(links[image]), same, float(margin[image]), "it stays")


def _changed(
    unit: NDArray[np.float32],
    labels: NDArray[np.int64],
    limits: Thresholds,
    changed: dict[int, Decision],
    became: dict[int, int],
    refused: set[tuple[int, int]],
    people: People,
) -> Iterator[Case]:
    """Images that were moved or dropped."""
    names, centres = people
    place = {name: column for column, name in enumerate(names.tolist())}
    dropped = [image for image in changed if labels[image] < 0] if len(names) else []
    found: dict[int, list[Case]] = {}
    block = rows_at_once(len(names))
    for start in range(0, len(dropped), block):
        images = dropped[start : start + block]
        for image, near in zip(images, unit[images] @ centres.T, strict=True):
            own = became.get(changed[image].before, changed[image].before)
            nearest = int(names[near.argmax()])
            found[image] = [
                Case(IMAGE, image, label, value, limit, abs(value - limit), "it is dropped")
                for label, limit in {nearest: limits.merge, own: limits.same}.items()
                if label in place
                for value in [float(near[place[label]])]
            ]
    for image, decision in changed.items():
        if labels[image] >= 0:
            over = decision.cosine - limits.merge
            found[image] = [
                Case(IMAGE, image, int(labels[image]), decision.cosine, limits.merge, abs(over), "it moves there")
            ]
        open_cases = [case for case in found.get(image, ()) if (image, case.other) not in refused]
        yield from sorted(open_cases, key=lambda case: case.margin)[:1]


def _by_model(cleaned: Cleaned, answered: Answered) -> dict[int, Decision]:
    """The last decision about each image that the model moved or dropped, and that no person holds."""
    return {
        decision.image: decision
        for decision in cleaned.decisions
        if decision.action in ("move", "drop") and not decision.person and decision.image not in answered.settled.held
    }


def _smallest(margin: NDArray[np.float64], most: int) -> list[int]:
    """Rows of the `most` smallest of (N,) finite margins; of equals all, as long as the first are among them."""
    finite = np.flatnonzero(np.isfinite(margin))
    if most < len(finite):
        limit = np.partition(margin[finite], max(most - 1, 0))[max(most - 1, 0)]
        finite = finite[margin[finite] <= limit]
    return finite.tolist()


def _merged(cleaned: Cleaned, merge: float) -> Iterator[Case]:
    """Identities that became one."""
    merges = {
        (decision.after, decision.before): decision.cosine
        for decision in cleaned.decisions
        if decision.action == "merge" and not decision.person
    }
    for (after, before), cosine in merges.items():
        yield Case(PEOPLE, after, before, cosine, merge, abs(cosine - merge), "they are merged")


def _apart(people: People, merge: float, apart: set[frozenset[int]], most: int) -> Iterator[Case]:
    """The nearest of the identities that did not become one; `apart` holds those that a person has told apart."""
    names, centres = people
    looked_at = most + len(apart)
    best: list[tuple[float, int, int]] = []
    block = rows_at_once(len(names))
    for start in range(0, len(names), block):
        cosine = centres[start : start + block] @ centres[: start + block].T
        cosine[~np.tri(len(cosine), cosine.shape[1], start - 1, dtype=bool) | (cosine >= merge)] = -np.inf
        flat = cosine.ravel()
        nearest = _smallest(-flat, looked_at)
        for at in nearest:
            row, column = divmod(at, cosine.shape[1])
            best.append((float(flat[at]), int(names[column]), int(names[row + start])))
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
