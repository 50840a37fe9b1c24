"""Is an identity a person of the training set? Each identity against each training person, corrected for the searches.

The score of an identity and a person is the mean cosine of the better half of its images to the person's centre: half
of an identity may show somebody else. What strangers reach is learned from a control. Their largest scores over all
training people are taken as largest values of normal scores; two of their quantiles, 10% and 90%, say which. The tail
beyond is not read from the few largest, which in real photographs are often the same person under another name.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import Stream, derive_seed, permutation
from nonesuch.measures.figure import COUNT, SHARE, Better, Bounds, Measure
from nonesuch.measures.grouping import rows_by_identity
from nonesuch.measures.intervals import RESAMPLES, people_drawn
from nonesuch.measures.leakage import Search
from nonesuch.measures.separability import threshold_at
from nonesuch.measures.similarity import normalised

_UNSEEN = "not even a leak of all identities would be seen, as training people who were planted were not"
SUSPECTED = Bounds(
    "no identity matches a training person",
    0.001,
    0.001,
    "red with an identity whose images match a training person's beyond what strangers reach, by the control and by "
    "the embedder's threshold, both corrected for the number of searches. Green where none does and a leak of 0.1% of "
    "the identities, or of one, would be seen nine times in ten; otherwise amber",
)
SUSPECTS = Measure(
    "identities/suspects",
    "identities that match a training person",
    COUNT,
    Better.LOWER,
    interval=False,
    meaning="the better half of their images is nearer to one training person than chance explains",
)
MATCHING_CONTROL = Measure(
    "identities/control_above",
    "held-out people who match a training person",
    COUNT,
    interval=False,
    meaning="the same of the control: what chance and wrong labels give",
)
LEAK = Measure(
    "identities/power/identities",
    "the same in identities",
    COUNT,
    Better.LOWER,
    interval=False,
    null=_UNSEEN,
    meaning="the smallest leak, as a number of identities",
)
POWER = Measure(
    "identities/power/share",
    "smallest leak of identities that would be seen nine times in ten",
    SHARE,
    Better.LOWER,
    interval=False,
    count="identities",
    null=_UNSEEN,
    meaning="from training people planted among this set's identities, in photographs that the search does not hold",
)
TELLING_PEOPLE = Measure(
    "identities/telling",
    f"control people that would show a leak of {SUSPECTED.green:.1%} or one identity",
    COUNT,
    interval=False,
    meaning="how many people a control needs before such a leak would be seen",
    null="no control would tell; it takes an embedder that tells people better apart, or more training photographs",
)
LEAST_PEOPLE = 20  # of a control

_ERROR = 0.05  # chance of one false suspect in the whole set
_MISSED = 0.1
_QUANTILES = (0.1, 0.9)  # of strangers' largest scores
_CAUTION = 0.9  # quantile of the resampled cosines
_MOST_PLANTED = 2000


@dataclass(frozen=True)
class Suspects:
    """Identities compared with training people.

    Attributes:
        score: (P,) the largest over the training people.
        person: (P,) int64 who that is.
        cosine: the score from which an identity is a suspect.
        control_above: people of the control who reach it: they are in the training set too, or are labelled wrongly.
        planted: (K,) scores of training people who were planted, each in other photographs than it is compared with.
        leak: the smallest number of leaked identities that is seen nine times in ten; None where none is.
        telling: people of a control with which a leak of `SUSPECTED.green` would be seen so; None where none would do.
    """

    score: NDArray[np.float32]
    person: NDArray[np.int64]
    cosine: float
    control_above: int
    planted: NDArray[np.float32]
    leak: int | None
    telling: int | None

    @property
    def rows(self) -> NDArray[np.int64]:
        """The suspects, nearest first."""
        order = np.argsort(-self.score, kind="stable")
        return order[: int((self.score >= self.cosine).sum())]


@dataclass(frozen=True)
class Compared:
    """Images and their search among the training people's centres.

    Attributes:
        vectors: (N, D) embeddings.
        identities: (N,) labels 0..P-1.
        search: the nearest centre of each image.
    """

    vectors: NDArray[np.float32]
    identities: NDArray[np.int64]
    search: Search


def suspects(
    generated: Compared,
    control: Compared | None,
    training: NDArray[np.float32],
    people: NDArray[np.int64],
    centres: NDArray[np.float32],
    thresholds: Mapping[float, float],
) -> Suspects:
    """Find the identities that are training people.

    Args:
        control: of people who are not in the training set; None where there is none.
        training, people: (G, D) embeddings of the training set and (G,) labels 0..T-1.
        centres: (T, D) of the training people.
        thresholds: the embedder's cosines by FMR.

    Raises:
        NonesuchError: neither a control of 20 people nor a threshold of the embedder says what strangers reach.
    """
    score, person = best_scores(generated, centres)
    rate = _ERROR / (len(score) * len(centres))
    known = threshold_at(thresholds, rate)
    least = -1.0 if known is None else known
    theirs = None if control is None else best_scores(control, centres)[0]
    if theirs is None or len(theirs) < LEAST_PEOPLE:
        if known is None:
            raise NonesuchError(
                f"the embedder's card states no threshold and the control has {0 if theirs is None else len(theirs)} "
                f"people; {LEAST_PEOPLE} or more say what strangers reach"
            )
        exact = cautious = -1.0
    else:
        exact, cautious = _strangers_reach(theirs, len(centres), rate)
    cosine = max(least, cautious)
    planted = planted_scores(training, people)
    telling = _people_telling(len(score), planted, max(least, exact), cosine, 0 if theirs is None else len(theirs))
    above = 0 if theirs is None else int((theirs >= cosine).sum())
    return Suspects(score, person, cosine, above, planted, _leak(planted, cosine, len(score)), telling)


def best_scores(images: Compared, centres: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The largest score of each identity and whose it is, (P,) each, over the people nearest to any of its images."""
    centres, unit = normalised(centres), normalised(images.vectors)
    scores, people = [], []
    for rows in rows_by_identity(images.identities):
        near = np.unique(images.search.row[rows])
        found = _better_half(unit[rows] @ centres[near].T)
        scores.append(found.max())
        people.append(near[found.argmax()])
    return np.array(scores, dtype=np.float32), np.array(people, dtype=np.int64)


def planted_scores(training: NDArray[np.float32], people: NDArray[np.int64]) -> NDArray[np.float32]:
    """The scores of training people as leaked identities: every second photograph of a person against the centre of
    its others, of at most 2,000 people who have two: (K,)."""
    unit = normalised(training)
    several = [rows for rows in rows_by_identity(people) if len(rows) > 1]
    found = []
    for at in permutation(derive_seed(0), Stream.SPLIT, len(several))[:_MOST_PLANTED] if several else ():
        rows = several[at]
        centre = normalised(unit[rows[1::2]].sum(0, keepdims=True))
        found.append(_better_half(unit[rows[::2]] @ centre.T)[0])
    return np.array(found, dtype=np.float32)


def _better_half(cosine: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, T) -> (T,)"""
    kept = (len(cosine) + 1) // 2
    return np.partition(cosine, len(cosine) - kept, axis=0)[len(cosine) - kept :].mean(0)


def _strangers_reach(largest: NDArray[np.float32], people: int, rate: float) -> tuple[float, float]:
    """The score that a stranger has with one person at this rate, from strangers' largest scores over `people`; and the
    same with caution: the cosine that nine of ten resamples of the strangers stay below."""
    normal = NormalDist()
    low, high = (-normal.inv_cdf(-math.expm1(math.log(share) / people)) for share in _QUANTILES)
    at = (-normal.inv_cdf(rate) - low) / (high - low)

    def reached(scores: NDArray[np.float32]) -> float:
        one, other = np.quantile(scores, _QUANTILES)
        return float(one + at * (other - one))

    drawn = [
        reached(largest.repeat(people_drawn(len(largest), number).astype(np.int64))) for number in range(RESAMPLES)
    ]
    return reached(largest), max(reached(largest), float(np.quantile(drawn, _CAUTION)))


def _leak(planted: NDArray[np.float32], cosine: float, identities: int) -> int | None:
    """The smallest number of identities, in whose place planted people are seen with a chance of 90%."""
    seen = int((planted >= cosine).sum()) / (len(planted) + 1)  # of few planted people, all seen is not yet always
    if not seen:
        return None
    leak = math.ceil(math.log(_MISSED) / math.log1p(-seen))
    return leak if leak <= identities else None


def _people_telling(
    identities: int, planted: NDArray[np.float32], exact: float, cosine: float, control: int
) -> int | None:
    allowed = max(1, int(SUSPECTED.green * identities))
    seen = math.ceil((1.0 - _MISSED ** (1.0 / allowed)) * (len(planted) + 1))
    if seen > len(planted):
        return None
    left = float(np.sort(planted)[::-1][seen - 1]) - exact
    if left <= 0:
        return None
    return max(LEAST_PEOPLE, math.ceil(control * ((cosine - exact) / left) ** 2))
