"""Arc2Face's three networks in one file of weights: the ID encoder, the U-Net and the VAE of a Stable Diffusion 1.5.

Source: Arc2Face (arXiv 2403.11641, ECCV 2024); sizes as published with its weights and with Stable Diffusion 1.5.
"""

from typing import Any

import torch
from torch import Tensor, nn

from nonesuch.core.errors import NonesuchError
from nonesuch.generators.arc2face.id_encoder import IdEncoder

_LARGEST_LATENT = 256  # of an image of 2048 pixels

# Arguments of diffusers' UNet2DConditionModel and AutoencoderKL that differ from its defaults.
_UNET: dict[str, Any] = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
_VAE: dict[str, Any] = {
    "sample_size": 512,
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
}


class Arc2Face(nn.Module):
    """A sampler asks the encoder once, the U-Net many times, and the VAE once.

    Args:
        unet: arguments of diffusers' UNet2DConditionModel that differ from Stable Diffusion 1.5's.
        vae: of its AutoencoderKL.
        encoder: arguments of `IdEncoder`.
        latent_side: width and height of a latent, at most 256.

    Raises:
        NonesuchError: diffusers is not installed, or a larger latent.
    """

    def __init__(
        self,
        unet: dict[str, Any] | None = None,
        vae: dict[str, Any] | None = None,
        encoder: dict[str, Any] | None = None,
        latent_side: int = 64,
    ) -> None:
        super().__init__()
        try:
            from diffusers import AutoencoderKL, UNet2DConditionModel
        except ImportError as error:
            raise NonesuchError("Arc2Face needs diffusers: pip install 'nonesuch[diffusers]'") from error
        if not 1 <= latent_side <= _LARGEST_LATENT:
            raise NonesuchError(f"latent_side {latent_side}: a latent has sides of 1 to {_LARGEST_LATENT}")
        self.encoder = IdEncoder(**encoder or {})
        self.unet = UNet2DConditionModel(**{**_UNET, **(unet or {})})
        self.vae = AutoencoderKL(**{**_VAE, **(vae or {})})
        self.latent_side = latent_side
        self.feature_dim = self.encoder.feature_dim

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Of one latent: channels, height, width."""
        return int(self.vae.config.latent_channels), self.latent_side, self.latent_side

    @property
    def image_side(self) -> int:
        """Width and height of the VAE's images, in pixels."""
        return self.latent_side * 2 ** (len(self.vae.config.block_out_channels) - 1)

    def predict(self, x: Tensor, times: Tensor, context: Tensor) -> Tensor:
        """(B, C, H, W) noisy latents, (B,) times, (B, tokens, width) contexts -> the noise in them."""
        return self.unet(x, times, context, return_dict=False)[0]

    def decode(self, latents: Tensor) -> Tensor:
        """(B, C, H, W) latents -> (B, 3, S, S) images in [-1, 1], one after the other, which bounds memory."""
        return torch.cat([self.vae.decode(latent, return_dict=False)[0] for latent in latents.split(1)])
