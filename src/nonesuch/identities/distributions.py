"""What identity vectors are drawn from: each is a function of its seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nonesuch.core import seeding
from nonesuch.core.seeding import Stream
from nonesuch.identities.statistics import Statistics

Draw = Callable[[int], NDArray[np.float32]]


class Distribution(Protocol):
    """What vectors are drawn from."""

    def __call__(self, seed: int) -> NDArray[np.float32]:
        """(D,) the raw vector of a seed."""

    def rough(self, seeds: Sequence[int]) -> NDArray[np.float32]:
        """(N, D) the directions of many seeds' vectors, but for the last digits: no cosine of two changes by 5e-5."""


@dataclass(frozen=True)
class PcaGaussian:
    """Draws from the Gaussian over real people's mean vectors, with its natural norm (Vec2Face, appendix A.1)."""

    statistics: Statistics

    def __call__(self, seed: int) -> NDArray[np.float32]:
        """(D,) raw vector."""
        known = self.statistics
        weights = seeding.normal(seed, Stream.IDENTITY, len(known.spread)) * known.spread
        return (known.mean + weights @ known.axes).astype(np.float32)

    def rough(self, seeds: Sequence[int]) -> NDArray[np.float32]:
        """(N, D) what each seed gives, but for the last digits: no cosine of two changes by 5e-5."""
        known = self.statistics
        weights = seeding.normal_rows(seeds, Stream.IDENTITY, len(known.spread)) * known.spread
        return np.asarray(known.mean + weights @ known.axes, dtype=np.float32)


@dataclass(frozen=True)
class Sphere:
    """Draws uniformly from a sphere.

    Attributes:
        width: of the vectors.
        norm: of the vectors.
    """

    width: int
    norm: float

    def __call__(self, seed: int) -> NDArray[np.float32]:
        """(width,) raw vector."""
        direction = seeding.normal(seed, Stream.IDENTITY, self.width)
        return (self.norm * direction / np.linalg.norm(direction)).astype(np.float32)

    def rough(self, seeds: Sequence[int]) -> NDArray[np.float32]:
        """(N, width) directions as each seed gives them, but for the last digits; of any length."""
        return seeding.normal_rows(seeds, Stream.IDENTITY, self.width)
