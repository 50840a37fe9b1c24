"""The look that images of a dataset share: attributes that it shows more often than real people do.

Pairs of images say nothing about it: people who all smile and are all young may be as far apart as anybody (compare the
visual tendency of generators in Vec2Face's and HSFace's images).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.measures.figure import COUNT, Better, Figure, Measure
from nonesuch.measures.intervals import mean_over_identities

OVER_FREQUENT = Measure(
    "over_frequent/count",
    "over-frequent attributes",
    COUNT,
    Better.LOWER,
    interval=False,
    null="no photographs to compare with (--against)",
    meaning="of CelebA's 40: those whose odds are at least twice those among the training photographs",
)
_MOST_ODDS = 2.0  # times those of real people
_SPREAD = {"p5": 0.05, "p50": 0.5, "p95": 0.95}
_SMALLEST = 1e-4  # share, so that odds are finite


@dataclass(frozen=True)
class Frequency:
    """How often an attribute is shown.

    Attributes:
        images: share of the images.
        identities: share of the identities most of whose images show it.
        within: by "p5", "p50", "p95": of the identities' shares of images that show it.
    """

    images: Figure
    identities: Figure
    within: dict[str, float]


def frequency(shown: NDArray[np.bool_], identities: NDArray[np.int64]) -> Frequency:
    """Count an attribute.

    Args:
        shown: (N,) whether an image shows it; at least one image.
        identities: (N,) labels.
    """
    place = np.unique(identities, return_inverse=True)[1].astype(np.int64)
    shares = np.bincount(place, shown) / np.bincount(place)
    return Frequency(
        mean_over_identities(shown, identities),
        mean_over_identities(shares > 0.5, np.arange(len(shares))),
        {key: float(np.quantile(shares, share)) for key, share in _SPREAD.items()},
    )


def times_the_odds(mine: Figure, real: Figure) -> float:
    """The odds of one share divided by those of another."""
    one, other = (np.clip(figure.value, _SMALLEST, 1.0 - _SMALLEST) for figure in (mine, real))
    return float(one / (1.0 - one) / (other / (1.0 - other)))


def is_over_frequent(mine: Figure, real: Figure) -> bool:
    """Whether a share is far above that of real people: its interval above theirs, and twice the odds."""
    return mine.low > real.high and times_the_odds(mine, real) >= _MOST_ODDS
