"""Do generated images show people of the training set? The nearest real image of each, judged by a control.

The published check compared the mean of an identity's images with real identities' means, and missed real people. Here
every image is compared with every identity's centre and every image of the training set. An error rate measured
elsewhere cannot say how near strangers come by chance. So the same search is made for as many images of real people who
are not in the training set; what generated images have beyond these is the excess.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import Stream, derive_seed, permutation
from nonesuch.measures.figure import COUNT, SHARE, Better, Bounds, Figure, Measure
from nonesuch.measures.intervals import RESAMPLES, people_drawn, with_interval
from nonesuch.measures.separability import check_vectors
from nonesuch.measures.similarity import nearest

EXCESSES = {
    "images": Measure("images/excess/*", "excess near training photographs over {}", SHARE, Better.LOWER),
    "people": Measure("people/excess/*", "excess near training people's centres over {}", SHARE, Better.LOWER),
}
COPIES = Measure(
    "images/copies",
    "images that are copies of a training photograph",
    COUNT,
    Better.LOWER,
    interval=False,
    null="the embedder's card states no threshold at FMR 1e-3",
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


@dataclass(frozen=True)
class Leakage:
    """Generated images compared with the control.

    Attributes:
        generated, control: the searches, of all images.
        generated_rows: a draw of generated images, at most as many as the control has, which the figures below are
            about.
        quantiles: by share, the nearest cosine that this share of the (generated, control) images stays below.
        thresholds: cosines that 1%, 0.1% (where there are so many) of images like the control's exceed.
        excess: by threshold, share of the generated images above it minus that 1%, 0.1%, with an interval over the
            identities of both.
    """

    generated: Search
    control: Search
    generated_rows: NDArray[np.int64]
    quantiles: dict[float, tuple[float, float]]
    thresholds: dict[float, float]
    excess: dict[float, Figure]


def leakage(
    generated: NDArray[np.float32],
    identities: NDArray[np.int64],
    control: NDArray[np.float32],
    control_people: NDArray[np.int64],
    training: NDArray[np.float32],
    seed: int = 0,
) -> Leakage:
    """Search generated images and a control among training vectors.

    Args:
        generated: (N, D) embeddings of generated images.
        identities: (N,) their labels.
        control: (M, D) embeddings of images of real people who are not in the training set.
        control_people: (M,) their labels.
        training: (G, D) embeddings of the training set's images, or its people's centres.
        seed: of the draw.

    Raises:
        NonesuchError: one of the sets is empty, or holds vectors that are zero or not finite.
    """
    for name, part in (("generated", generated), ("control", control), ("training", training)):
        if not len(part):
            raise NonesuchError(f"there are no {name} images to compare")
        check_vectors(part)
    found, other = Search(*nearest(generated, training)), Search(*nearest(control, training))
    rows = _drawn(identities, len(control), seed)
    mine, theirs = found.cosine[rows], other.cosine
    shares = [share for share in (0.01, 0.001) if share * (len(control) + 1) >= 1]
    people = np.unique(control_people, return_inverse=True)[1]
    return Leakage(
        found,
        other,
        rows,
        {
            share: (float(np.quantile(mine, share)), float(np.quantile(theirs, share)))
            for share in _QUANTILES
            if (1.0 - share) * len(control) >= 1
        },
        {share: _cut(theirs, share) for share in shares},
        {share: _excess(mine, identities[rows], theirs, people, share, seed) for share in shares},
    )


def _cut(control: NDArray[np.float32], share: float) -> float:
    """The cosine that a share of images like these exceed; unbiased, however few they are."""
    return float(np.quantile(control, 1.0 - share, method="weibull"))


def _drawn(labels: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """At most so many rows: whole identities in random order, the last one cut short."""
    if len(labels) <= most:
        return np.arange(len(labels))
    names, place = np.unique(labels, return_inverse=True)
    rank = np.empty(len(names), dtype=np.int64)
    rank[permutation(derive_seed(seed), Stream.SPLIT, len(names))] = np.arange(len(names))
    return np.sort(np.argsort(rank[place], kind="stable")[:most])


def _excess(
    generated: NDArray[np.float32],
    identities: NDArray[np.int64],
    control: NDArray[np.float32],
    people: NDArray[np.int64],
    share: float,
    seed: int,
) -> Figure:
    """Share of generated images beyond the control's cut, minus the share that the cut is made for; each resample
    makes its own cut."""
    place = np.unique(identities, return_inverse=True)[1]
    drawn = []
    for number in range(RESAMPLES):
        weight = people_drawn(int(place.max()) + 1, number, derive_seed(seed, 0))[place]
        copies = people_drawn(int(people.max()) + 1, number, derive_seed(seed, 1))[people].astype(np.int64)
        if weight.any() and copies.any():
            cut = _cut(control.repeat(copies), share)
            drawn.append(float(weight @ (generated > cut) / weight.sum()))
    beyond = with_interval(float((generated > _cut(control, share)).mean()), drawn, int(place.max()) + 1)
    return Figure(beyond.value - share, beyond.low - share, beyond.high - share)
