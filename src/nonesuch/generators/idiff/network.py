"""A latent diffusion in one file of weights: the U-Net that draws latents, and the first stage that decodes them."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from nonesuch.core.errors import NonesuchError
from nonesuch.core.weights import Card
from nonesuch.generators.idiff.first_stage import IDiffFirstStage
from nonesuch.generators.idiff.unet import IDiffUNet

_LARGEST_LATENT = 256  # a photograph of 1024 pixels has one of 128 to 256


@dataclass(frozen=True, kw_only=True)
class PartCard(Card):
    """The card of one of the two networks alone, which generates nothing."""

    kind: ClassVar[str] = "part of a generator"


class LatentDiffusion(nn.Module):
    """The two networks of IDiff-Face; a sampler runs the first many times, then the second once.

    Args:
        unet: arguments of `IDiffUNet`.
        first_stage: arguments of `IDiffFirstStage`.
        latent_side: width and height of a latent, at most 256.

    Raises:
        NonesuchError: a larger latent.
    """

    def __init__(
        self, unet: dict[str, Any] | None = None, first_stage: dict[str, Any] | None = None, latent_side: int = 32
    ) -> None:
        super().__init__()
        if not 1 <= latent_side <= _LARGEST_LATENT:
            raise NonesuchError(f"latent_side {latent_side}: a latent has sides of 1 to {_LARGEST_LATENT}")
        self.unet = IDiffUNet(**unet or {})
        self.first_stage = IDiffFirstStage(**first_stage or {})
        self.latent_side = latent_side
        self.feature_dim = self.unet.feature_dim
