"""How far apart are the pixels of one plan under other render settings?

    python benchmarks/rebuild_tolerance.py [--images 100] [--generator NAME ...]

The same images are rendered as `nonesuch generate` renders them (micro-batches of 16, one core), and in other ways:
other micro-batches and more threads in one network, which change the order of sums as another processor or another
version of torch does. Compared are the grey levels before the codec, and what JPEG of quality 95 makes of them.
"""

import argparse

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from nonesuch import load_generator
from nonesuch.core import images
from nonesuch.core.devices import exact
from nonesuch.core.images import Pixels
from nonesuch.generators.generator import Generator, to_grey_levels

WAYS = {"micro-batch 1": (1, 1), "micro-batch 8": (8, 1), "micro-batch 64": (64, 1), "two threads": (16, 2)}


def render(generator: Generator, count: int, micro_batch: int, threads: int) -> Pixels:
    """(count, 112, 112, 3) uint8, of the same vectors and seeds each time."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((count, generator.card.feature_dim)).astype(np.float32)
    vectors *= generator.card.vector_norm / np.linalg.norm(vectors, axis=1, keepdims=True)
    torch.set_num_threads(threads)
    with exact():
        return to_grey_levels(generator.render(vectors, np.arange(count, dtype=np.uint64), micro_batch))


def as_jpeg(pixels: Pixels) -> Pixels:
    """The same after JPEG of quality 95."""
    return np.stack([images.decode(images.encode(image, "jpeg", 95), "") for image in pixels])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--generator", nargs="+", default=["vec2face_small", "idiff_fast"])
    options = parser.parse_args()
    table = Table(
        "generator", "way", "images that differ", "largest difference", "the same after JPEG", "mean after JPEG"
    )
    for name in options.generator:
        generator = load_generator(name, "cpu")
        usual = render(generator, options.images, 16, 1)
        for way, settings in WAYS.items():
            other = render(generator, options.images, *settings)
            apart = np.abs(usual.astype(int) - other)
            after = np.abs(as_jpeg(usual).astype(int) - as_jpeg(other))
            changed = (apart.max((1, 2, 3)) > 0).sum()
            table.add_row(name, way, str(changed), str(apart.max()), str(after.max()), f"{after.mean():.5f}")
    Console().print(table)


if __name__ == "__main__":
    main()
