"""Identities as a packing problem (HyperFace, arXiv 2411.08470): vectors are pushed apart by gradient steps."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from nonesuch.core.devices import exact
from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import Stream, derive_seed, permutation
from nonesuch.identities.distributions import Distribution
from nonesuch.identities.sampling import KeptApart
from nonesuch.measures.similarity import nearest

MOST = 20_000  # each step compares a batch with all; above, that takes too long, and rejection hardly less

_EPOCHS, _BATCH, _RATE = 60, 1024, 0.1
_SOFTNESS = 0.05  # cosines within it share the push
_PULL = 0.2
_MANIFOLD = 4000  # draws that stand for where identities lie


def pack_apart(
    distribution: Distribution,
    count: int,
    seed: int,
    max_cosine: float,
    on_epoch: Callable[[int, int], None] = lambda done, total: None,
    device: torch.device | str = "cpu",
) -> KeptApart:
    """Push draws of a distribution apart, and hold them near where it lies.

    Each step moves the vectors of a batch on the sphere. What falls is a soft maximum of their cosines to all others,
    minus `_PULL` times the cosine to the nearest of `_MANIFOLD` other draws. The paper minimises the largest cosine,
    and pulls towards embeddings of faces. Each vector keeps the length of its draw. Unlike other samples, these differ
    in the last digits between processors, and a smaller sample is no part of a larger one.

    Args:
        distribution: of the draws.
        count: identities wanted, at most `MOST`.
        seed: of the sample; identity k starts as the draw of (seed, k).
        max_cosine: largest cosine between two identities at the end.
        on_epoch: told how many passes over all are done, of how many.
        device: where they are pushed.

    Raises:
        NonesuchError: more than `MOST`, or the closest two end above `max_cosine`.
    """
    if not 1 <= count <= MOST:
        raise NonesuchError(f"{count} identities: give 1 to {MOST:,}; 'nonesuch identities' samples more")
    seeds = [derive_seed(seed, k) for k in range(count)]
    draws = np.stack([distribution(one) for one in seeds])
    lengths = np.linalg.norm(draws, axis=1, keepdims=True)
    manifold = distribution.rough([derive_seed(seed, k, 1) for k in range(_MANIFOLD)])
    unit, others = (normalize(torch.from_numpy(part).to(device), dim=1) for part in (draws, manifold))
    with exact(), torch.inference_mode():
        for epoch in range(_EPOCHS):
            order = torch.from_numpy(permutation(derive_seed(seed, epoch, 2), Stream.OTHER, count)).to(device)
            for rows in order.split(_BATCH):
                unit[rows] = _pushed(unit, rows, others, _RATE * (1 - epoch / _EPOCHS))
            on_epoch(epoch + 1, _EPOCHS)
    vectors = (unit.cpu().numpy() * lengths).astype(np.float32)
    closest = float(nearest(vectors, vectors, same=True)[0].max()) if count > 1 else -1.0
    if closest > max_cosine:
        raise NonesuchError(
            f"the closest two of {count} end at cosine {closest:.3f}, above {max_cosine:g}; ask for "
            "fewer, or allow a higher --max-similarity"
        )
    return KeptApart(vectors, np.array(seeds, dtype=np.uint64), count, closest)


def _pushed(unit: Tensor, rows: Tensor, others: Tensor, rate: float) -> Tensor:
    """(B, D) the rows after a step, of length 1."""
    moved = unit[rows]
    cosines = moved @ unit.T
    cosines[torch.arange(len(rows), device=unit.device), rows] = -2.0
    gradient = (cosines / _SOFTNESS).softmax(1) @ unit
    gradient -= _PULL * others[(moved @ others.T).argmax(1)]
    gradient -= (gradient * moved).sum(1, keepdim=True) * moved  # what would only change the length
    return normalize(moved - rate * gradient, dim=1)
