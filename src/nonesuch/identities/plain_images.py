"""What an identity looks like by itself: its image without perturbation, in the mean style."""

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.devices import exact, one_core
from nonesuch.core.images import Pixels
from nonesuch.generators.generator import Generator, to_grey_levels

RENDERED_BATCH = 16  # images that candidates render together


def plain_images(generator: Generator, vectors: NDArray[np.float32]) -> Pixels:
    """(N, D) raw identity vectors -> (N, 112, 112, 3) uint8, each a function of its vector alone."""
    seeds = np.zeros(len(vectors), dtype=np.uint64)
    with exact(), one_core(generator.device):
        return to_grey_levels(generator.render(vectors, seeds, RENDERED_BATCH, style_spread=0.0))
