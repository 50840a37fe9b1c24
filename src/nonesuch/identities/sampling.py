"""New identities: vectors of people who do not exist, kept apart from one another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nonesuch.core import seeding
from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import Stream
from nonesuch.identities.statistics import Statistics
from nonesuch.measures.similarity import greedily_separated

Draw = Callable[[int], NDArray[np.float32]]
Draws = Callable[[Sequence[int]], NDArray[np.float32]]  # (N,) seeds -> (N, D), for what is cheaper together

Admits = Callable[[NDArray[np.float32]], NDArray[np.bool_]]  # (N, D) candidates -> (N,) which may be taken

RENDERED_BATCH = 16  # images that candidates render together

_BLOCK = 1024
_RENDERED_BLOCK = 64  # fewer where candidates must be rendered, so that few are in vain
_MOST_DRAWS_PER_IDENTITY = 30


@dataclass(frozen=True)
class KeptApart:
    """Identities that no two are too much alike of.

    Attributes:
        vectors: (N, D) float32 raw.
        seeds: (N,) uint64, what each was drawn from.
    """

    vectors: NDArray[np.float32]
    seeds: NDArray[np.uint64]


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
    """The vectors of `keep_apart`, for draws of one seed at a time; arguments and errors as there."""
    return keep_apart(one_by_one(draw), count, seed, max_cosine, on_progress, admits).vectors


def one_by_one(draw: Draw) -> Draws:
    """Draws of several seeds from draws of one."""
    return lambda seeds: np.stack([draw(seed) for seed in seeds])


def keep_apart(
    draws: Draws,
    count: int,
    seed: int,
    max_cosine: float,
    on_progress: Callable[[int], None] = lambda accepted: None,
    admits: Admits | None = None,
    rendered: bool = False,
) -> KeptApart:
    """Draw identities in turn and keep each whose cosine to all kept ones is at most `max_cosine`.

    The check is exact. The first n of any larger sample with the same seed are the sample of n.

    Args:
        draws: maps seeds to vectors.
        count: identities wanted.
        seed: of the sample; candidate k is drawn from (seed, k).
        max_cosine: largest cosine between two identities.
        on_progress: told how many are accepted.
        admits: which candidates may be taken at all.
        rendered: whether a draw renders an image; fewer are then drawn in vain.

    Raises:
        NonesuchError: `count` identities do not fit; the message says how many did.
    """
    if count < 1:
        raise NonesuchError(f"{count} identities: give a number of at least 1")
    costly = rendered or admits is not None
    kept, kept_seeds = np.empty((0, 0), dtype=np.float32), np.empty(0, dtype=np.uint64)
    drawn = fruitless = admitted = 0
    enough = _BLOCK if costly else 10 * _BLOCK  # fruitless draws in a row: as good as full
    while drawn < max(_MOST_DRAWS_PER_IDENTITY * count, enough) and fruitless < enough:
        size = min(_RENDERED_BLOCK, _whole_batches(count - len(kept))) if costly else _BLOCK
        seeds = [seeding.derive_seed(seed, k) for k in range(drawn, drawn + size)]
        block, of_block = draws(seeds), np.array(seeds, dtype=np.uint64)
        drawn += size
        if admits is not None:
            may = admits(block)
            block, of_block = block[may], of_block[may]
            admitted += len(block)
        kept = kept.reshape(len(kept), block.shape[1])
        stays = greedily_separated(block, kept, max_cosine)
        kept, kept_seeds = np.concatenate([kept, block[stays]]), np.concatenate([kept_seeds, of_block[stays]])
        fruitless = 0 if stays.any() else fruitless + size
        on_progress(min(len(kept), count))
        if len(kept) >= count:
            return KeptApart(kept[:count], kept_seeds[:count])
    if admits is not None and admitted < 0.1 * drawn:
        raise NonesuchError(
            f"only {len(kept)} of {count} identities found: {admitted} of {drawn:,} candidates were admitted; "
            "ask for fewer, or lower --min-age"
        )
    raise NonesuchError(
        f"only {len(kept)} of {count} identities fit at a cosine of at most {max_cosine:g} (after {drawn:,} draws); "
        "ask for fewer, or allow a higher --max-similarity"
    )


def _whole_batches(images: int) -> int:
    """That many images or a few more, so that no batch is padded."""
    return -(-images // RENDERED_BATCH) * RENDERED_BATCH
