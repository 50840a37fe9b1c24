"""Pictures of people who don't exist, for tests that need faces."""

import numpy as np

from nonesuch import load_generator
from nonesuch.core.images import Pixels
from nonesuch.generators.generator import to_grey_levels
from nonesuch.identities import statistics
from nonesuch.identities.sampling import pca_gaussian, sample_identities
from nonesuch.models import ASSETS


def faces_of_no_one(count: int, seed: int, images: int = 1, style_spread: float = 1.0) -> Pixels:
    """(count * images, 112, 112, 3) uint8 by the default generator, those of a person behind each other."""
    draw = pca_gaussian(statistics.load(ASSETS / "vec2face_small.statistics.safetensors"))
    vectors = sample_identities(draw, count, seed, 0.541).repeat(images, axis=0)
    seeds = np.arange(len(vectors), dtype=np.uint64)
    return to_grey_levels(load_generator("vec2face_small", "cpu").render(vectors, seeds, 8, style_spread))
