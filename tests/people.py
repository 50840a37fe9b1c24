"""Pictures of people who don't exist, for tests that need faces."""

from pathlib import Path

import numpy as np
from PIL import Image

from nonesuch import load_generator
from nonesuch.core.images import Pixels
from nonesuch.generators.generator import to_grey_levels
from nonesuch.identities import statistics
from nonesuch.identities.distributions import PcaGaussian
from nonesuch.identities.sampling import draw_apart
from nonesuch.identities.variation import perturb
from nonesuch.models import ASSETS


def faces_of_no_one(count: int, seed: int, images: int = 1, style_spread: float = 1.0, sigma: float = 0.0) -> Pixels:
    """(count * images, 112, 112, 3) uint8 by the default generator, those of a person one after the other."""
    draw = PcaGaussian(statistics.load(ASSETS / "vec2face_small.statistics.safetensors"))
    vectors = draw_apart(draw, count, seed, 0.541).repeat(images, axis=0)
    seeds = np.arange(len(vectors), dtype=np.uint64)
    if sigma:
        vectors = np.stack([perturb(base, sigma, row, 0.2) for row, base in enumerate(vectors)])
    return to_grey_levels(load_generator("vec2face_small", "cpu").render(vectors, seeds, 8, style_spread))


def planted_person(folder: Path, person: int, images: range) -> None:
    """Writes folder/personN/NN.png, 112x112: a pattern of colours under noise and a changing light, quickly learned."""
    colours = np.kron(np.random.default_rng(person).integers(60, 200, (4, 4, 3)), np.ones((28, 28, 1)))
    (folder / f"person{person}").mkdir(parents=True, exist_ok=True)
    for image in images:
        draws = np.random.default_rng([person, image])
        pixels = np.clip(colours + draws.normal(0, 25) + draws.normal(0, 20, colours.shape), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"person{person}" / f"{image:02d}.png")
