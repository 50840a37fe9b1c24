"""Do generated images show people of the training set? The nearest real image of each, judged by a control.

The published check compared the mean of an identity's images with real identities' means, and missed real people: here
every image is compared with every identity's centre and every image of the training set. How near is near by chance is
not read off an error rate that was measured elsewhere: the same search is made for as many images of real people who
are not in the training set, and what generated images have more than these is the excess.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.audit.bootstrap import resampled_means
from nonesuch.audit.separability import check_vectors
from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import Stream, derive_seed, permutation
from nonesuch.core.similarity import nearest
from nonesuch.evaluation.intervals import Figure, with_interval

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


@dataclass(frozen=True)
class Leakage:
    """Generated images beside the control.

    Attributes:
        generated, control: the searches; of equally many images.
        generated_rows: which generated images were searched.
        quantiles: by share, the nearest cosine that this share of the (generated, control) images stays below.
        thresholds: cosines that 1%, .1% (where there are so many) of the control's images exceed.
        excess: by threshold, share of the generated images above it minus the control's share, with an interval over
            identities.
    """

    generated: Search
    control: Search
    generated_rows: NDArray[np.int64]
    quantiles: dict[float, tuple[float, float]]
    thresholds: dict[float, float]
    excess: dict[float, Figure]

    def worst(self, count: int) -> list[tuple[int, int, float]]:
        """Generated image, row of the gallery, cosine: the nearest pairs, nearest first."""
        order = np.argsort(-self.generated.cosine, kind="stable")[:count]
        found = self.generated
        return [(int(self.generated_rows[at]), int(found.row[at]), float(found.cosine[at])) for at in order]


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
        generated: (N, D) embeddings of generated images; of more than the control has a draw is taken, identities
            whole as far as they fit.
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
    rows = _drawn(identities, len(control), seed)
    size = len(rows)
    control_rows = np.arange(len(control)) if size == len(control) else _drawn(control_people, size, seed)
    size = min(size, len(control_rows))
    rows, control_rows = rows[:size], control_rows[:size]
    found = Search(*nearest(generated[rows], training))
    other = Search(*nearest(control[control_rows], training))
    shares = [share for share in (0.01, 0.001) if share * size >= 1]
    thresholds = {share: float(np.quantile(other.cosine, 1.0 - share, method="higher")) for share in shares}
    quantiles = {
        share: (float(np.quantile(found.cosine, share)), float(np.quantile(other.cosine, share)))
        for share in _QUANTILES
        if (1.0 - share) * size >= 1
    }
    return Leakage(
        found,
        other,
        rows,
        quantiles,
        thresholds,
        {
            share: _excess(found.cosine > cut, identities[rows], other.cosine > cut, control_people[control_rows], seed)
            for share, cut in thresholds.items()
        },
    )


def _drawn(labels: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """At most so many rows: whole identities in a drawn order, the last one cut."""
    if len(labels) <= most:
        return np.arange(len(labels))
    names, place = np.unique(labels, return_inverse=True)
    rank = np.empty(len(names), dtype=np.int64)
    rank[permutation(derive_seed(seed), Stream.SPLIT, len(names))] = np.arange(len(names))
    return np.sort(np.argsort(rank[place], kind="stable")[:most])


def _excess(
    above: NDArray[np.bool_],
    people: NDArray[np.int64],
    control_above: NDArray[np.bool_],
    control_people: NDArray[np.int64],
    seed: int,
) -> Figure:
    drawn = resampled_means(above, people, derive_seed(seed, 0))
    drawn -= resampled_means(control_above, control_people, derive_seed(seed, 1))
    return with_interval(float(above.mean() - control_above.mean()), drawn.tolist())
