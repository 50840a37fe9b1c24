"""Identities in two stages (IDiff-Face, arXiv 2308.04995): images of nobody in particular, and their vectors."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.devices import exact, one_core
from nonesuch.core.errors import NonesuchError
from nonesuch.embedders.embedder import Embedder
from nonesuch.generators.generator import Generator, to_grey_levels
from nonesuch.identities.plain_images import RENDERED_BATCH
from nonesuch.identities.sampling import Draws


def two_stage(generator: Generator, embedder: Embedder) -> Draws:
    """Draws that embed images drawn without an identity, each from its own seed; the crops count as aligned.

    Args:
        generator: draws the images.
        embedder: makes the vectors.

    Returns:
        Maps (N,) image seeds to (N, D) float32 raw vectors; each is a function of its seed, whatever its neighbours.

    Raises:
        NonesuchError: the generator can draw no image without an identity; from the draws: pixels or a vector that are
            not finite.
    """
    nobody, size = generator.unconditional(), min(generator.usual_batch, RENDERED_BATCH)

    def draws(seeds: Sequence[int]) -> NDArray[np.float32]:
        # Full batches, since the last bits of a network's output depend on the batch's size.
        padded = np.array([*seeds, *[seeds[-1]] * (-len(seeds) % size)], dtype=np.uint64)
        unheard = np.ones((len(padded), nobody.card.feature_dim), dtype=np.float32)
        with exact(), one_core(nobody.device):
            vectors = embedder.embed(to_grey_levels(nobody.render(unheard, padded, size)), size)[: len(seeds)]
        if not (np.isfinite(vectors).all() and vectors.any(axis=1).all()):
            raise NonesuchError(f"{embedder.name} gives no vector for an image of {nobody.name}: zero, NaN or infinity")
        return vectors

    return draws
