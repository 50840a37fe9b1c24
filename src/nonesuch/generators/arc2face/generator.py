"""Arc2Face as a generator: what its U-Net is told, which times it visits, and how its images become aligned crops."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nonesuch.core.weights import Positive
from nonesuch.generators.arc2face.network import Arc2Face
from nonesuch.generators.diffusion.generator import DiffusionCard, DiffusionGenerator
from nonesuch.generators.diffusion.schedule import Schedule, Visits, visits_short_of_clean

# (B, 3, S, S) RGB in 0..255 -> (B, 3, 112, 112) aligned crops.
Align = Callable[[Tensor], Tensor]

PUBLISHED_SAMPLING = {"sampler": "dpm", "steps": 25, "guidance": 3.0}
DISTILLED_SAMPLING = {"sampler": "lcm", "steps": 4, "guidance": 1.0}


@dataclass(frozen=True, kw_only=True)
class Arc2FaceCard(DiffusionCard):
    """The card of an Arc2Face; the defaults are those of Stable Diffusion 1.5 and of the published sampling."""

    schedule: Schedule = "scaled_linear"
    sampling: dict[str, Any] = field(default_factory=lambda: dict(PUBLISHED_SAMPLING))
    latent_scale: Positive = 0.18215
    learned_without_identity: bool = True


class Arc2FaceGenerator(DiffusionGenerator):
    """Arc2Face with its card.

    Args:
        align: turns its images into crops.
    """

    card: Arc2FaceCard
    network: Arc2Face

    def __init__(
        self, card: Arc2FaceCard, network: Arc2Face, device: torch.device, dtype: torch.dtype, align: Align
    ) -> None:
        super().__init__(card, network, device, dtype)
        self._align = align

    @property
    def usual_batch(self) -> int:
        """See `Generator.usual_batch`: an image is a thousand times as much work as one of a small network."""
        return 1 if self.device.type == "cpu" else 8

    def _context(self, identity: Tensor) -> Tensor:
        return self.network.encoder(identity)

    def _context_of_nobody(self, count: int) -> Tensor:
        return self.network.encoder.of_nobody().expand(count, -1, -1)

    def _predict(self, x: Tensor, times: Tensor, context: Tensor | None) -> Tensor:
        assert context is not None
        return self.network.predict(x, times, context)

    def _visits(self) -> Visits:
        return visits_short_of_clean(self._signal, self.sampling.steps)  # as published, for all samplers

    def _crops(self, latents: Tensor) -> Tensor:
        images = (self.network.decode(latents).float().clamp(-1.0, 1.0) + 1.0) * 127.5
        return self._align(images)
