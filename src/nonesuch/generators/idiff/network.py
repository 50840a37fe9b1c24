"""A latent diffusion in one file of weights: the U-Net that draws latents, and the first stage that decodes them."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nonesuch.core.errors import NonesuchError
from nonesuch.core.weights import Card
from nonesuch.generators.idiff.first_stage import IDiffFirstStage
from nonesuch.generators.idiff.kl_first_stage import KlFirstStage
from nonesuch.generators.idiff.unet import IDiffUNet

FirstStage = IDiffFirstStage | KlFirstStage
_MOST_STYLES = 16
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
        styles: how many directions of first noise are a style code, see `with_style`.

    Attributes:
        styles: (K, C * H * W) orthogonal rows, each as long as noise is wide along it; 1 is as wide as elsewhere.

    Raises:
        NonesuchError: a larger latent, or more than 16 directions.
    """

    styles: Tensor

    def __init__(
        self,
        unet: dict[str, Any] | None = None,
        first_stage: dict[str, Any] | None = None,
        codebook: bool = True,
        latent_side: int = 32,
        feature_dim: int | None = None,
        context_dropout: float | None = None,
        styles: int = 0,
    ) -> None:
        super().__init__()
        if not 1 <= latent_side <= _LARGEST_LATENT:
            raise NonesuchError(f"latent_side {latent_side}: a latent has sides of 1 to {_LARGEST_LATENT}")
        if not 0 <= styles <= _MOST_STYLES:
            raise NonesuchError(f"styles {styles}: 0 to {_MOST_STYLES} directions of noise are a style code")
        given = {"feature_dim": feature_dim, "context_dropout": context_dropout}
        self.unet = IDiffUNet(**{**(unet or {}), **{name: value for name, value in given.items() if value is not None}})
        self.first_stage: FirstStage = (IDiffFirstStage if codebook else KlFirstStage)(**first_stage or {})
        self.latent_side = latent_side
        self.feature_dim = self.unet.feature_dim
        rows = torch.zeros(styles, math.prod(self.latent_shape))
        self.register_buffer("styles", rows, persistent=bool(styles))

    def style_units(self) -> NDArray[np.float64]:
        """(K, C * H * W) the directions of `styles`, each of length 1; in main memory."""
        units = self.styles.detach().cpu().numpy().astype(np.float64)
        return units / np.linalg.norm(units, axis=1, keepdims=True)

    def with_style(self, rest: Tensor, style: Tensor) -> Tensor:
        """What sampling begins with: noise (B, C, H, W) across the directions, and a code (B, K) of what is along them.

        Noise is as wide along a direction as its row is long: wider than elsewhere where the training photographs
        vary too little in what follows from it.
        """
        if not len(self.styles):
            return rest
        return rest + (style[:, :, None] * self.styles.to(rest)).sum(1).view_as(rest)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Of one latent: channels, height, width."""
        return self.first_stage.channels, self.latent_side, self.latent_side

    @property
    def image_side(self) -> int:
        """Width and height of the first stage's images, in pixels."""
        return self.latent_side * self.first_stage.latent_factor


def style_apart(
    noise: NDArray[np.float32], units: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Take the style code out of noise. An image's code depends on no other image's noise, to the bit.

    Args:
        noise: (N, C * H * W), standard normal.
        units: (K, C * H * W), see `LatentDiffusion.style_units`.

    Returns:
        What is across these directions, as `noise`, and a code (N, K) of what is along them, standard normal.
    """
    if not len(units):
        return noise, np.zeros((len(noise), 0), dtype=np.float32)
    codes = np.array([units @ row for row in noise]).reshape(len(noise), len(units))
    rest = [row - code @ units for row, code in zip(noise, codes, strict=True)]
    return np.array(rest, dtype=np.float32).reshape(noise.shape), codes.astype(np.float32)
