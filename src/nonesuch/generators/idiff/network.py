"""A latent diffusion in one file of weights: the U-Net that draws latents, and the first stage that decodes them."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from nonesuch.core.errors import NonesuchError
from nonesuch.core.weights import Card
from nonesuch.generators.idiff.first_stage import IDiffFirstStage
from nonesuch.generators.idiff.kl_first_stage import KlFirstStage
from nonesuch.generators.idiff.unet import IDiffUNet

FirstStage = IDiffFirstStage | KlFirstStage
_MOST_WIDER = 16
_LARGEST_LATENT = 256  # a photograph of 1024 pixels has one of 128 to 256


@dataclass(frozen=True, kw_only=True)
class PartCard(Card):
    """The card of one of the two networks alone, which generates nothing."""

    kind: ClassVar[str] = "part of a generator"


class LatentDiffusion(nn.Module):
    """The two networks of IDiff-Face; a sampler runs the first many times, then the second once.

    Args:
        unet: arguments of `IDiffUNet`.
        first_stage: arguments of `IDiffFirstStage`, or of `KlFirstStage`.
        codebook: whether the first stage has one.
        latent_side: width and height of a latent, at most 256.
        feature_dim, context_dropout: of the U-Net, in place of those in `unet`; None to leave them.
        wider: directions in which first noise is wider than a standard normal, see `widened`.

    Attributes:
        wider: (K, C * H * W) orthogonal rows, each as long as the square root of what its factor has above 1.

    Raises:
        NonesuchError: a larger latent, or more than 16 directions.
    """

    wider: Tensor

    def __init__(
        self,
        unet: dict[str, Any] | None = None,
        first_stage: dict[str, Any] | None = None,
        codebook: bool = True,
        latent_side: int = 32,
        feature_dim: int | None = None,
        context_dropout: float | None = None,
        wider: int = 0,
    ) -> None:
        super().__init__()
        if not 1 <= latent_side <= _LARGEST_LATENT:
            raise NonesuchError(f"latent_side {latent_side}: a latent has sides of 1 to {_LARGEST_LATENT}")
        if not 0 <= wider <= _MOST_WIDER:
            raise NonesuchError(f"wider {wider}: noise is wider in 0 to {_MOST_WIDER} directions")
        given = {"feature_dim": feature_dim, "context_dropout": context_dropout}
        self.unet = IDiffUNet(**{**(unet or {}), **{name: value for name, value in given.items() if value is not None}})
        self.first_stage: FirstStage = (IDiffFirstStage if codebook else KlFirstStage)(**first_stage or {})
        self.latent_side = latent_side
        self.feature_dim = self.unet.feature_dim
        if wider:
            self.register_buffer("wider", torch.zeros(wider, math.prod(self.latent_shape)))
        else:
            self.register_buffer("wider", torch.zeros(0, math.prod(self.latent_shape)), persistent=False)

    def widened(self, noise: Tensor) -> Tensor:
        """(B, C, H, W) standard normal noise -> the same, wider in the directions of `wider` by their factors."""
        if not len(self.wider):
            return noise
        flat, rows = noise.float().flatten(1), self.wider.float()
        return (flat + (flat @ rows.T) @ rows).view_as(noise)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Of one latent: channels, height, width."""
        return self.first_stage.channels, self.latent_side, self.latent_side

    @property
    def image_side(self) -> int:
        """Width and height of the first stage's images, in pixels."""
        return self.latent_side * self.first_stage.latent_factor
