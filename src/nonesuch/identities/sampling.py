"""New identities: vectors of people who do not exist, kept apart from one another."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nonesuch.core import seeding
from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import Stream
from nonesuch.identities.statistics import Statistics
from nonesuch.measures.similarity import greedily_separated

Draw = Callable[[int], NDArray[np.float32]]

Admits = Callable[[NDArray[np.float32]], NDArray[np.bool_]]  # (N, D) candidates -> (N,) which may be taken

_BLOCK = 1024
_EXAMINED_BLOCK = 64  # fewer where candidates must be rendered to be admitted, so that few are in vain
_MOST_DRAWS_PER_IDENTITY = 30


def pca_gaussian(statistics: Statistics) -> Draw:
    """Draws from the Gaussian over real people's mean vectors, with its natural norm (Vec2Face, appendix A.1).

    The result maps a seed to a (D,) float32 raw vector.
    """

    def draw(seed: int) -> NDArray[np.float32]:
        weights = seeding.normal(seed, Stream.IDENTITY, len(statistics.spread)) * statistics.spread
        return (statistics.mean + weights @ statistics.axes).astype(np.float32)

    return draw


def sphere(width: int, norm: float) -> Draw:
    """Draws uniformly from the sphere of that radius; maps a seed to a (width,) float32 raw vector."""

    def draw(seed: int) -> NDArray[np.float32]:
        direction = seeding.normal(seed, Stream.IDENTITY, width)
        return (norm * direction / np.linalg.norm(direction)).astype(np.float32)

    return draw


def draw_apart(
    draw: Draw,
    count: int,
    seed: int,
    max_cosine: float,
    on_progress: Callable[[int], None] = lambda accepted: None,
    admits: Admits | None = None,
) -> NDArray[np.float32]:
    """Draw identities in turn and keep each whose cosine to all kept ones is at most `max_cosine`.

    The check is exact. The first n of any larger sample with the same seed are the sample of n.

    Args:
        draw: maps a seed to a vector.
        count: identities wanted.
        seed: of the sample; candidate k is drawn from (seed, k).
        max_cosine: largest cosine between two identities.
        on_progress: told how many are accepted.
        admits: which candidates may be taken at all.

    Returns:
        (count, D) float32 raw vectors.

    Raises:
        NonesuchError: `count` identities do not fit; the message says how many did.
    """
    if count < 1:
        raise NonesuchError(f"{count} identities: give a number of at least 1")
    kept = np.empty((0, len(draw(0))), dtype=np.float32)
    drawn = fruitless = admitted = 0
    size = _BLOCK if admits is None else _EXAMINED_BLOCK
    enough = 10 * _BLOCK if admits is None else _BLOCK  # fruitless draws in a row: as good as full
    while drawn < max(_MOST_DRAWS_PER_IDENTITY * count, enough) and fruitless < enough:
        block = np.stack([draw(seeding.derive_seed(seed, k)) for k in range(drawn, drawn + size)])
        drawn += size
        if admits is not None:
            block = block[admits(block)]
            admitted += len(block)
        stays = greedily_separated(block, kept, max_cosine)
        kept = np.concatenate([kept, block[stays]])
        fruitless = 0 if stays.any() else fruitless + size
        on_progress(min(len(kept), count))
        if len(kept) >= count:
            return kept[:count]
    if admits is not None and admitted < 0.1 * drawn:
        raise NonesuchError(
            f"only {len(kept)} of {count} identities found: {admitted} of {drawn:,} candidates were admitted; "
            "ask for fewer, or lower --min-age"
        )
    raise NonesuchError(
        f"only {len(kept)} of {count} identities fit at a cosine of at most {max_cosine:g} (after {drawn:,} draws); "
        "ask for fewer, or allow a higher --max-similarity"
    )
