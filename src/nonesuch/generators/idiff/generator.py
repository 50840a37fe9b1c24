"""IDiff-Face as a generator: what its U-Net is told, how its latents become crops, and what its card adds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nonesuch.generators.diffusion.generator import DiffusionCard, DiffusionGenerator
from nonesuch.generators.idiff.framing import to_crops
from nonesuch.generators.idiff.network import LatentDiffusion, style_apart


@dataclass(frozen=True, kw_only=True)
class IDiffCard(DiffusionCard):
    """The card of an IDiff-Face.

    Attributes:
        frame: left, top, side in pixels of the square of a decoded image that becomes the 112x112 crop; empty for all
            of it.
    """

    frame: Sequence[float] = ()


class IDiffGenerator(DiffusionGenerator):
    """IDiff-Face with its card."""

    card: IDiffCard
    network: LatentDiffusion

    @property
    def shows_identity(self) -> bool:
        """See `Generator.shows_identity`."""
        return super().shows_identity and self.network.unet.conditioning != "none"

    @property
    def _knows_nobody(self) -> bool:
        return super()._knows_nobody or self.network.unet.conditioning == "none"

    def _context(self, identity: Tensor) -> Tensor:
        return identity

    def _context_of_nobody(self, count: int) -> None:
        return None  # the U-Net has a context of its own for that

    def _style_apart(self, noise: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return style_apart(noise, self.network.style_units())

    def _first_noise(self, noise: Tensor, style: Tensor) -> Tensor:
        return self.network.with_style(noise, style)

    def _predict(self, x: Tensor, times: Tensor, context: Tensor | None) -> Tensor:
        return self.network.unet(x, times, context)

    def _crops(self, latents: Tensor) -> Tensor:
        images = self.network.first_stage.decode(latents)
        return (to_crops(images.float(), self.card.frame).clamp(-1.0, 1.0) + 1.0) * 127.5
