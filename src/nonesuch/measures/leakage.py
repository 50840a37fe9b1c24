"""Do generated images show people of the training set? The nearest real image of each, judged by a control.

The published check compared the mean of an identity's images with real identities' means, and missed real people. Here
every image is compared with every identity's centre and every image of the training set. An error rate measured
elsewhere cannot say how near strangers come by chance. So the same search is made for images of real people who are
not in the training set; what generated images have beyond these is the excess. Whole identities are judged in
`nonesuch.measures.suspects`.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import derive_seed
from nonesuch.measures.figure import COUNT, SHARE, Better, Bounds, Figure, Measure
from nonesuch.measures.intervals import RESAMPLES, people_drawn, with_interval
from nonesuch.measures.separability import check_vectors
from nonesuch.measures.similarity import nearest

EXCESS = Bounds(
    "few images nearer to the training set than strangers'",
    0.01,
    0.01,
    "the excess, by images and by people's centres: the share of images beyond the cosine that 1% of held-out people's "
    "exceed, minus that 1%. Green where both intervals end below 1%; red where one begins above 0 (of 0.1% too) and an "
    "excess is above 1%; otherwise amber",
    at="control 0.01",
)
EXCESSES = {
    kind: Measure(
        f"{kind}/excess/*",
        f"excess near {near} over {{}}",
        SHARE,
        Better.LOWER,
        meaning="share of images nearer to the training set than this share of held-out people's are, minus that share",
    )
    for kind, near in (("images", "training photographs"), ("people", "training people's centres"))
}
TELLING = {
    kind: Measure(
        f"{kind}/telling",
        f"control images that would tell the excess ({kind}) from {EXCESS.green:.0%}",
        COUNT,
        interval=False,
        null="no control would tell; more identities might",
        meaning="how large a control makes the interval of the excess narrow enough",
    )
    for kind in EXCESSES
}
COPIES = Measure(
    "images/copies",
    "images that are copies of a training photograph",
    COUNT,
    Better.LOWER,
    interval=False,
    null="the embedder's card states no threshold at FMR 1e-3",
    meaning="images whose embedding is that of a training photograph, as nearly as of a copy",
    bounds=Bounds(
        "no copy of a training photograph",
        0.0,
        0.0,
        "images whose cosine to a training photograph is at least that of copies of one picture, 1 - (1 - t) / 8 with "
        "the embedder's threshold t at FMR 1e-3: red with one",
    ),
)
_QUANTILES = (0.5, 0.9, 0.99, 0.999)


@dataclass(frozen=True)
class Search:
    """The nearest row of a gallery to each image.

    Attributes:
        cosine: (N,) float32.
        row: (N,) int64 of the gallery.
    """

    cosine: NDArray[np.float32]
    row: NDArray[np.int64]

    def worst(self, count: int) -> list[tuple[int, int, float]]:
        """Image, row of the gallery, cosine: the nearest pairs, nearest first."""
        order = np.argsort(-self.cosine, kind="stable")[:count]
        return [(int(at), int(self.row[at]), float(self.cosine[at])) for at in order]


def search(vectors: NDArray[np.float32], training: NDArray[np.float32]) -> Search:
    """The nearest of the training set's images, or of its people's centres, to each image.

    Args:
        vectors: (N, D) embeddings of images.
        training: (G, D) embeddings.

    Raises:
        NonesuchError: one of the sets is empty, or holds vectors that are zero or not finite.
    """
    for name, part in (("", vectors), (" training", training)):
        if not len(part):
            raise NonesuchError(f"there are no{name} images to compare")
        check_vectors(part)
    return Search(*nearest(vectors, training))


@dataclass(frozen=True)
class Leakage:
    """Generated images compared with the control.

    Attributes:
        quantiles: by share, the nearest cosine that this share of the (generated, control) images stays below.
        thresholds: cosines that 1%, 0.1% (where there are so many) of images like the control's exceed.
        excess: by threshold, share of the generated images above it minus that 1%, 0.1%, with an interval over the
            identities of both.
        telling: images of a control with which the interval of the excess over 1% would end below `EXCESS.green`; None
            where none would do.
    """

    quantiles: dict[float, tuple[float, float]]
    thresholds: dict[float, float]
    excess: dict[float, Figure]
    telling: int | None


def leakage(
    generated: Search,
    identities: NDArray[np.int64],
    control: Search,
    people: NDArray[np.int64],
    seed: int = 0,
) -> Leakage:
    """Judge a search for all generated images by the same search for a control. The control may be the smaller one: the
    share of images beyond a cosine does not depend on how many are searched.

    Args:
        generated: of generated images, N of them.
        identities: (N,) their labels.
        control: of images of real people who are not in the training set, M of them.
        people: (M,) their labels.
        seed: of the resamples.
    """
    mine, theirs = generated.cosine, control.cosine
    shares = [share for share in (0.01, 0.001) if share * (len(theirs) + 1) >= 1]
    found = {share: _excess(mine, identities, theirs, people, share, seed) for share in shares}
    return Leakage(
        {
            share: (float(np.quantile(mine, share)), float(np.quantile(theirs, share)))
            for share in _QUANTILES
            if (1.0 - share) * len(theirs) >= 1
        },
        {share: _cut(theirs, share) for share in shares},
        {share: excess for share, (excess, _) in found.items()},
        found[shares[0]][1] if shares else least_control(0.01),
    )


def least_control(share: float) -> int:
    """Images of a control whose cut of a share is uncertain by no more than `EXCESS.green`, if all were independent."""
    return math.ceil(share * (1.0 - share) * (1.96 / EXCESS.green) ** 2)


def _cut(control: NDArray[np.float32], share: float) -> float:
    """The cosine that a share of images like these exceed; unbiased, however few they are."""
    return float(np.quantile(control, 1.0 - share, method="weibull"))


def _excess(
    generated: NDArray[np.float32],
    identities: NDArray[np.int64],
    control: NDArray[np.float32],
    people: NDArray[np.int64],
    share: float,
    seed: int,
) -> tuple[Figure, int | None]:
    """Share of generated images beyond the control's cut, minus the share that the cut is made for, and the control
    that would tell. Each resample makes its own cut."""
    place, person = (np.unique(labels, return_inverse=True)[1] for labels in (identities, people))
    sizes = np.bincount(place)
    cut = _cut(control, share)
    beyond = np.flatnonzero(generated > cut)
    value = len(beyond) / len(generated) - share
    drawn, at_one_cut = [], []
    for number in range(RESAMPLES):
        weight = people_drawn(len(sizes), number, derive_seed(seed, 0))
        copies = people_drawn(int(person.max()) + 1, number, derive_seed(seed, 1))[person].astype(np.int64)
        images = float(weight @ sizes)
        at_one_cut.append(weight[place[beyond]].sum() / images - share)
        if copies.any():
            resampled = generated > _cut(control.repeat(copies), share)
            drawn.append(weight[place[resampled]].sum() / images - share)
    # Where no identity of n is beyond, up to 1 - 0.025^(1/n) of such identities may be (Clopper and Pearson, 1934).
    none = 1.0 - 0.025 ** (1.0 / len(sizes)) - share if not len(beyond) else -share
    both, alone = with_interval(value, drawn), with_interval(value, at_one_cut)
    # Where no resample differs there is no interval, and `none` alone says how far the share may go.
    low, high, high_at_one_cut = (value if math.isnan(end) else end for end in (both.low, both.high, alone.high))
    return Figure(value, low, max(high, none)), _telling(value, high, max(high_at_one_cut, none), len(control))


def _telling(value: float, high: float, high_at_one_cut: float, control: int) -> int | None:
    """Images of a control with which the interval of a set without excess would end below the bound: the control's own
    part of the variance falls with its size, that of the generated images stays."""
    left = EXCESS.green
    if high_at_one_cut - value >= left:
        return None
    of_control = max((high - value) ** 2 - (high_at_one_cut - value) ** 2, 0.0)
    needed = control * of_control / (left**2 - (high_at_one_cut - value) ** 2)
    return max(math.ceil(needed), least_control(0.01))
