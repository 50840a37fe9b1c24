"""What an identity looks like by itself: its image without perturbation, in the mean style."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nonesuch.core.devices import exact, one_core
from nonesuch.core.images import Pixels
from nonesuch.generators.generator import Generator, to_grey_levels
from nonesuch.models import load_generator

RENDERED_BATCH = 16  # images that candidates render together


def plain_images(generator: Generator, vectors: NDArray[np.float32]) -> Pixels:
    """(N, D) raw identity vectors -> (N, 112, 112, 3) uint8, each a function of its vector alone."""
    seeds = np.zeros(len(vectors), dtype=np.uint64)
    with exact(), one_core(generator.device):
        return to_grey_levels(generator.render(vectors, seeds, RENDERED_BATCH, style_spread=0.0))


class PlainImages:
    """`plain_images` of a generator that is loaded when it is first needed.

    The images of the last call are kept: who passes one judge is looked at by the next.

    Args:
        generator: its name or file.
        device: where it renders.
    """

    def __init__(self, generator: str, device: str) -> None:
        self._name, self._device = generator, device
        self._last: dict[bytes, Pixels] = {}

    @cached_property
    def _generator(self) -> Generator:
        return load_generator(self._name, self._device)

    def __call__(self, vectors: NDArray[np.float32]) -> Pixels:
        """(N, D) raw identity vectors, at least one -> (N, 112, 112, 3) uint8."""
        keys = [vector.tobytes() for vector in vectors]
        new = [row for row, key in enumerate(keys) if key not in self._last]
        rendered = plain_images(self._generator, vectors[new]) if new else ()
        known = self._last | {keys[row]: image for row, image in zip(new, rendered, strict=True)}
        self._last = {key: known[key] for key in keys}
        return np.stack([known[key] for key in keys])
