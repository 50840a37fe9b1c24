"""New identities: vectors of people who do not exist, kept apart from one another."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nonesuch.core import seeding
from nonesuch.core.errors import NonesuchError
from nonesuch.identities.distributions import Draw
from nonesuch.identities.plain_images import RENDERED_BATCH
from nonesuch.identities.quotas import Quotas
from nonesuch.identities.separation import Separation

Draws = Callable[[Sequence[int]], NDArray[np.float32]]  # (N,) seeds -> (N, D), for what is cheaper together

Admits = Callable[[NDArray[np.float32]], NDArray[np.bool_]]  # (N, D) candidates -> (N,) which may be taken

_BLOCK, _LARGE_BLOCK = 1024, 8192
_RENDERED_BLOCK = 64  # fewer where candidates must be rendered, so that few are in vain
_MOST_DRAWS_PER_IDENTITY = 100


@dataclass(frozen=True)
class KeptApart:
    """Identities that no two are too much alike of.

    Attributes:
        vectors: (N, D) float32 raw.
        seeds: (N,) uint64, what each was drawn from.
        drawn: candidates tried; the next is number `drawn`.
        closest: the largest cosine of any two; -1 where there are no two.
    """

    vectors: NDArray[np.float32]
    seeds: NDArray[np.uint64]
    drawn: int
    closest: float


def draw_apart(
    draw: Draw, count: int, seed: int, max_cosine: float, admits: Admits | None = None
) -> NDArray[np.float32]:
    """The vectors of `keep_apart`, for draws of one seed at a time; arguments and errors as there."""
    return keep_apart(one_by_one(draw), count, seed, max_cosine, admits=admits).vectors


def one_by_one(draw: Draw) -> Draws:
    """Draws of several seeds from draws of one."""
    return lambda seeds: np.stack([draw(seed) for seed in seeds])


def keep_apart(
    draws: Draws,
    count: int,
    seed: int,
    max_cosine: float,
    *,
    rough: Draws | None = None,
    admits: Admits | None = None,
    quotas: Quotas | None = None,
    rendered: bool = False,
    start: KeptApart | None = None,
    on_block: Callable[[KeptApart], None] = lambda kept: None,
    device: torch.device | str = "cpu",
) -> KeptApart:
    """Draw identities in turn and keep each whose cosine to all kept ones is at most `max_cosine`.

    The check is exact, see `Separation`. The first n of any larger sample with the same seed are the sample of n.

    Args:
        draws: maps seeds to vectors.
        count: identities wanted.
        seed: of the sample; candidate k is drawn from (seed, k).
        max_cosine: largest cosine between two identities.
        rough: cheaper draws of the same, see `Distribution.rough`; only who passes them is drawn by `draws`.
        admits: which candidates may be taken at all.
        quotas: how many of whom; a smaller sample is then no part of a larger one.
        rendered: whether a draw or `admits` renders images; fewer are then drawn in vain.
        start: a sample of the same seed and of fewer, to go on from.
        on_block: told what is kept so far, after each block of candidates.
        device: where candidates are compared.

    Raises:
        NonesuchError: `count` identities do not fit; the message says how many did.
    """
    if count < 1:
        raise NonesuchError(f"{count} identities: give a number of at least 1")
    kept, seeds = Separation(max_cosine, device), np.empty(count, dtype=np.uint64)
    drawn = asked = admitted = fruitless = 0
    room = np.array([count]) if quotas is None else quotas.room(count)
    if start is not None:
        kept.join(start.vectors[:count])
        seeds[: len(kept)], drawn, kept.closest = start.seeds[:count], start.drawn, start.closest
        room -= np.bincount(_groups(start.vectors[:count], quotas), minlength=len(room))
    enough = _BLOCK if rendered else 10 * _BLOCK  # fruitless draws in a row: as good as full
    size = _BLOCK

    def usual() -> int:
        return min(_RENDERED_BLOCK, _whole_batches(count - len(kept))) if rendered else size

    with closing(_blocks(rough or draws, seed, drawn, usual, ahead=not rendered)) as blocks:
        while len(kept) < count and drawn < max(_MOST_DRAWS_PER_IDENTITY * count, enough) and fruitless < enough:
            of_block, block = next(blocks)
            found = kept.screened(block)
            rows = found.rows
            exact = draws(of_block[rows].tolist()) if rough and len(rows) else block[rows]
            fit = kept.fit(exact, found)
            if admits is not None and fit.any():
                asked += int(fit.sum())
                fit[fit] = admits(exact[fit])
                admitted += int(fit.sum())
            groups = _groups(exact[fit], quotas)
            joined = rows[fit][kept.admit(exact[fit], found.nearest[fit], groups, room)]
            seeds[len(kept) - len(joined) : len(kept)] = of_block[joined]
            drawn += int(joined[-1]) + 1 if len(kept) == count else len(block)
            fruitless = 0 if len(joined) else fruitless + len(block)
            size = _LARGE_BLOCK if len(kept) > _LARGE_BLOCK and len(joined) < 0.2 * len(block) else _BLOCK
            on_block(KeptApart(kept.vectors, seeds[: len(kept)], drawn, kept.closest))
    if len(kept) == count:
        return KeptApart(kept.vectors, seeds, drawn, kept.closest)
    told = f"only {len(kept)} of {count} identities"
    if asked and admitted < 0.1 * asked:
        raise NonesuchError(
            f"{told} found: {admitted} of {asked:,} candidates were admitted; ask for fewer, or admit more: lower "
            "--min-age, raise --away-fmr, or give another --seed than the gallery was sampled with"
        )
    missing = "" if quotas is None else f"; of the quotas are missing {quotas.missing(room)}"
    raise NonesuchError(
        f"{told} fit at a cosine of at most {max_cosine:g} (after {drawn:,} draws){missing}; "
        f"ask for fewer, or allow a higher --max-similarity{' or a smaller --quota' if missing else ''}"
    )


def _blocks(
    draws: Draws, seed: int, first: int, size: Callable[[], int], ahead: bool
) -> Generator[tuple[NDArray[np.uint64], NDArray[np.float32]], None, None]:
    """Candidates from number `first` on, with their seeds; the next block is drawn while one is looked at."""

    def block(first: int, count: int) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        seeds = [seeding.derive_seed(seed, k) for k in range(first, first + count)]
        return np.array(seeds, dtype=np.uint64), draws(seeds)

    with ThreadPoolExecutor(1) as pool:
        coming = None
        while True:
            count = size()
            following = pool.submit(block, first, count)
            first += count
            if not ahead:
                yield following.result()
            elif coming is not None:
                yield coming.result()
            coming = following


def _groups(vectors: NDArray[np.float32], quotas: Quotas | None) -> NDArray[np.int64]:
    return np.zeros(len(vectors), dtype=np.int64) if quotas is None or not len(vectors) else quotas.groups(vectors)


def _whole_batches(images: int) -> int:
    """That many images or a few more, so that no batch is padded."""
    return -(-images // RENDERED_BATCH) * RENDERED_BATCH
