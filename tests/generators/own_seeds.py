"""What holds for a generator of any diffusion: an image is a function of its vector and its own seed."""

import numpy as np

from nonesuch.core.devices import one_core
from nonesuch.generators.generator import Generator


def check_images_are_of_their_seeds(generator: Generator, vectors: np.ndarray, seeds: np.ndarray) -> None:
    """Of four vectors and seeds: the same bits beside other neighbours, another image from another seed."""
    with one_core(generator.device):  # as each worker of `generate` renders
        whole = generator.render(vectors, seeds, 3, others=vectors[::-1])
        again = generator.render(vectors[[3, 1]], seeds[[3, 1]], 3, others=vectors[[0, 2]])
        other = generator.render(vectors[:1], seeds[1:2], 3, others=vectors[3:])
    assert whole.shape == (4, 112, 112, 3)
    assert np.array_equal(again, whole[[3, 1]])
    assert np.abs(other[0] - whole[0]).mean() > 1.0
